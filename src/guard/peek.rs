//! What the guard can't read in its own domain: a task's file mode mask and its pending signals.
//!
//! A thread of the guard that is started before the guard confines itself. It reads one file of
//! procfs for a number it is given, and tells numbers; it takes no path and performs nothing.

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;

const STACK: usize = 64 * 1024;

/// What is asked about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Umask,
    /// 1 if a signal is pending that is not blocked and has a handler.
    Signals,
}

/// The end that asks.
#[derive(Debug)]
pub(crate) struct Peek {
    questions: Sender<(i32, Question)>,
    answers: Receiver<Option<u32>>,
}

impl Peek {
    pub(crate) fn start() -> Result<Self, Errno> {
        let (questions, asked) = bounded::<(i32, Question)>(1);
        let (answer, answers) = bounded(1);
        std::thread::Builder::new()
            .name("peek".into())
            .stack_size(STACK)
            .spawn(move || {
                for (tid, question) in asked {
                    let status = std::fs::read_to_string(format!("/proc/{tid}/status"));
                    let found = status.ok().and_then(|status| match question {
                        Question::Umask => umask(&status),
                        Question::Signals => signals(&status).map(u32::from),
                    });
                    if answer.send(found).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        Ok(Self { questions, answers })
    }

    /// A task's file mode mask. `None` if the task is gone.
    pub(crate) fn umask(&self, tid: i32) -> Option<u32> {
        self.ask(tid, Question::Umask)
    }

    /// Whether a handler is to run in a task that waits.
    pub(crate) fn has_signals(&self, tid: i32) -> bool {
        self.ask(tid, Question::Signals) == Some(1)
    }

    fn ask(&self, tid: i32, question: Question) -> Option<u32> {
        self.questions.send((tid, question)).ok()?;
        self.answers.recv().ok()?
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn umask(status: &str) -> Option<u32> {
    u32::from_str_radix(field(status, "Umask:")?, 8).ok()
}

fn signals(status: &str) -> Option<bool> {
    let set = |name| u64::from_str_radix(field(status, name)?, 16).ok();
    let pending = set("SigPnd:")? | set("ShdPnd:")?;
    Some(pending & !set("SigBlk:")? & set("SigCgt:")? != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_task_is_seen() {
        let peek = Peek::start().unwrap();
        let me = nix::unistd::gettid().as_raw();
        let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
        assert_eq!(peek.umask(me), Some(0o027));
        nix::sys::stat::umask(mask);
        assert!(!peek.has_signals(me));
        assert_eq!(peek.umask(i32::MAX), None);
    }

    #[test]
    fn only_handled_signals_count() {
        let status = |pending: &str, blocked: &str, caught: &str| {
            let text = format!(
                "Umask:\t0022\nSigPnd:\t{pending}\nShdPnd:\t0\nSigBlk:\t{blocked}\nSigCgt:\t{caught}\n"
            );
            signals(&text)
        };
        assert_eq!(status("2000", "0", "2000"), Some(true));
        assert_eq!(status("2000", "2000", "2000"), Some(false));
        assert_eq!(status("2000", "0", "0"), Some(false));
        assert_eq!(signals("Name: x"), None);
    }
}
