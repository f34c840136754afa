//! Frames between host and guard: a tag byte, then raw bytes or a `postcard` message.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Decided, Question, Report};
use crate::error::LaunchError;
use crate::plan::Launch;
use crate::policy::Answer;

/// One frame, borrowed from the buffer it came in.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    // Host → guard
    Go(Box<Launch>),
    Stdin(&'a [u8]),
    CloseStdin,
    Kill,
    Signal(i32),
    /// The answer to the question of this number.
    Answer(u64, Box<Answer>),
    // Guard → host
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
    /// This many bytes of standard input have been passed on.
    StdinTaken(u32),
    StdinClosed,
    /// A piece of the collected file of this index.
    File(u16, &'a [u8]),
    /// A call waits for an answer.
    Question(Box<Question>),
    /// The call of this question no longer waits: its task has ended.
    Withdrawn(u64),
    Decided(Box<Decided>),
    Completed(Box<Report>),
    Failed(Box<LaunchError>),
}

const GO: u8 = b'G';
const STDIN: u8 = b'I';
const CLOSE_STDIN: u8 = b'C';
const KILL: u8 = b'K';
const SIGNAL: u8 = b'S';
const STDOUT: u8 = b'o';
const STDERR: u8 = b'e';
const STDIN_TAKEN: u8 = b't';
const STDIN_CLOSED: u8 = b'c';
const FILE: u8 = b'f';
const ANSWER: u8 = b'A';
const QUESTION: u8 = b'q';
const WITHDRAWN: u8 = b'w';
const DECIDED: u8 = b'd';
const COMPLETED: u8 = b'D';
const FAILED: u8 = b'X';

impl Frame<'_> {
    /// The frame's bytes.
    pub(crate) fn write(&self) -> postcard::Result<Vec<u8>> {
        Ok(match self {
            Self::Go(launch) => tagged(GO, launch)?,
            Self::Stdin(data) => encode_bytes(STDIN, data),
            Self::CloseStdin => vec![CLOSE_STDIN],
            Self::Kill => vec![KILL],
            Self::Signal(number) => encode_bytes(SIGNAL, &number.to_le_bytes()),
            Self::Stdout(data) => encode_bytes(STDOUT, data),
            Self::Stderr(data) => encode_bytes(STDERR, data),
            Self::StdinTaken(count) => encode_bytes(STDIN_TAKEN, &count.to_le_bytes()),
            Self::StdinClosed => vec![STDIN_CLOSED],
            Self::File(index, data) => {
                let mut frame = encode_bytes(FILE, &index.to_le_bytes());
                frame.extend_from_slice(data);
                frame
            }
            Self::Answer(id, answer) => tagged(ANSWER, &(*id, answer))?,
            Self::Question(question) => tagged(QUESTION, question)?,
            Self::Withdrawn(id) => encode_bytes(WITHDRAWN, &id.to_le_bytes()),
            Self::Decided(decided) => tagged(DECIDED, decided)?,
            Self::Completed(report) => tagged(COMPLETED, report)?,
            Self::Failed(error) => tagged(FAILED, error)?,
        })
    }

    /// Reads a frame. Never panics, whatever the bytes.
    pub(crate) fn read(bytes: &[u8]) -> postcard::Result<Frame<'_>> {
        let (tag, rest) = bytes.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        Ok(match *tag {
            GO => Frame::Go(decode(rest)?),
            STDIN => Frame::Stdin(rest),
            CLOSE_STDIN => Frame::CloseStdin,
            KILL => Frame::Kill,
            SIGNAL => Frame::Signal(i32::from_le_bytes(array(rest)?)),
            STDOUT => Frame::Stdout(rest),
            STDERR => Frame::Stderr(rest),
            STDIN_TAKEN => Frame::StdinTaken(u32::from_le_bytes(array(rest)?)),
            STDIN_CLOSED => Frame::StdinClosed,
            FILE => {
                let (index, data) =
                    rest.split_at_checked(2).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
                Frame::File(u16::from_le_bytes(array(index)?), data)
            }
            ANSWER => {
                let (id, answer) = decode(rest)?;
                Frame::Answer(id, answer)
            }
            QUESTION => Frame::Question(decode(rest)?),
            WITHDRAWN => Frame::Withdrawn(u64::from_le_bytes(array(rest)?)),
            DECIDED => Frame::Decided(decode(rest)?),
            COMPLETED => Frame::Completed(decode(rest)?),
            FAILED => Frame::Failed(decode(rest)?),
            _ => return Err(postcard::Error::DeserializeBadEnum),
        })
    }
}

/// A message of the daemon's socket.
pub(crate) fn encode<T: Serialize>(message: &T) -> postcard::Result<Vec<u8>> {
    postcard::to_stdvec(message)
}

/// The opposite of [`encode`].
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    postcard::from_bytes(bytes)
}

/// A tag and raw bytes.
fn encode_bytes(tag: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(data.len() + 1);
    frame.push(tag);
    frame.extend_from_slice(data);
    frame
}

fn tagged<T: Serialize>(tag: u8, message: &T) -> postcard::Result<Vec<u8>> {
    postcard::to_extend(message, vec![tag])
}

fn array<const N: usize>(bytes: &[u8]) -> postcard::Result<[u8; N]> {
    bytes.try_into().map_err(|_| postcard::Error::DeserializeUnexpectedEnd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::wire::{Status, Usage};

    #[test]
    fn frames_survive_the_trip() {
        let checked = Plan::new(["a", "b"]).file("x", "y").env("K", "V").validate().unwrap();
        let launch = checked.launch.clone();
        let bytes = Frame::Go(Box::new(launch.clone())).write().unwrap();
        assert!(matches!(Frame::read(&bytes).unwrap(), Frame::Go(back) if *back == launch));
        let report = Report {
            status: Status::Exited(3),
            usage: Usage::default(),
            refused: Vec::new(),
            refused_beyond: 0,
        };
        let bytes = Frame::Completed(Box::new(report.clone())).write().unwrap();
        assert!(matches!(Frame::read(&bytes).unwrap(), Frame::Completed(back) if *back == report));
        let bytes = Frame::File(7, b"data").write().unwrap();
        assert!(matches!(Frame::read(&bytes).unwrap(), Frame::File(7, b"data")));
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        for tag in 0..=255u8 {
            for tail in [&b""[..], b"\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
                let mut bytes = vec![tag];
                bytes.extend_from_slice(tail);
                let _ = Frame::read(&bytes);
            }
        }
        assert!(Frame::read(b"").is_err());
    }
}
