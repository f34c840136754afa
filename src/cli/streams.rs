//! The program's standard streams: the caller's very descriptors, but never the caller's terminal,
//! which would let the program type into it, read from it for ever or change it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use nix::unistd::{isatty, pipe2};

use super::options::Request;
use super::relay::{Relay, own_description};
use super::terminal::Pair;
use crate::plan::{Plan, Sink, Stdin};
use crate::sys::fd::dup_above;

/// What the launcher keeps of the streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// To the program.
    pub(super) input: Option<Relay>,
    /// From the program.
    pub(super) output: Vec<Relay>,
    pub(super) pairs: Vec<Pair>,
    /// The user's terminal, if the program has one that takes its place altogether.
    pub(super) interactive: Option<OwnedFd>,
}

impl Streams {
    /// Takes no more output, and not the last `excess` bytes either.
    pub(super) fn stop(&mut self, mut excess: usize) {
        for relay in &mut self.output {
            excess -= relay.stop(excess);
        }
    }
}

/// Arranges the streams of a plan.
pub(super) fn arrange(request: &Request) -> Result<(Plan, Streams), Errno> {
    let mut plan = request.plan.clone();
    let mut streams = Streams::default();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let [stdin, stdout, stderr] = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let is_terminal = |fd| isatty(fd).unwrap_or(false);
    let counted = request.limits.output.is_some();
    if is_terminal(stdin) && is_terminal(stdout) && !request.stdin_is_taken && !request.json {
        let (pair, slave) = Pair::like(stdout, false)?;
        streams.input = Some(Relay::new(own_description(stdin, OFlag::O_RDONLY)?, pair.end()?));
        streams.output.push(Relay::new(pair.end()?, own_description(stdout, OFlag::O_WRONLY)?));
        streams.pairs.push(pair);
        streams.interactive = Some(dup_above(stdin, 3)?);
        plan = plan
            .terminal(true)
            .stdin_from(Stdin::Fd(Arc::clone(&slave)))
            .stdout_to(Sink::Fd(Arc::clone(&slave)));
        plan = match stderr {
            fd if is_terminal(fd) => plan.stderr_to(Sink::Fd(slave)),
            fd => plan.stderr_to(sink(fd, counted, &mut streams)?),
        };
    } else {
        plan = plan.stdin_from(match stdin {
            _ if request.stdin_is_taken => Stdin::Null,
            fd if is_terminal(fd) => {
                let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
                fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                let typed = own_description(fd, OFlag::O_RDONLY)?;
                streams.input = Some(Relay::new(typed, ours));
                Stdin::Fd(Arc::new(theirs))
            }
            fd => passed(fd)?.map_or(Stdin::Null, Stdin::Fd),
        });
        if !request.json {
            let mut terminal = None;
            let mut arranged = Vec::new();
            for fd in [stdout, stderr] {
                arranged.push(if is_terminal(fd) {
                    output_terminal(fd, &mut terminal, &mut streams)?
                } else {
                    sink(fd, counted, &mut streams)?
                });
            }
            if let [stdout, stderr] = arranged.as_slice() {
                plan = plan.stdout_to(stdout.clone()).stderr_to(stderr.clone());
            }
        }
    }
    if !streams.pairs.is_empty()
        && !plan.env.iter().any(|(name, _)| name == "TERM")
        && let Some(kind) = std::env::var_os("TERM")
    {
        plan = plan.env("TERM", kind);
    }
    Ok((plan, streams))
}

/// A terminal of the program's own to write to: one for both streams if they go to one terminal,
/// so that what is written stays in order.
fn output_terminal(
    fd: BorrowedFd<'_>,
    known: &mut Option<(u64, Arc<OwnedFd>)>,
    streams: &mut Streams,
) -> Result<Sink, Errno> {
    let device = fstat(fd)?.st_rdev;
    if let Some((_, slave)) = known.as_ref().filter(|(of, _)| *of == device) {
        return Ok(Sink::Fd(Arc::clone(slave)));
    }
    let (pair, slave) = Pair::like(fd, true)?;
    streams.output.push(Relay::new(pair.end()?, own_description(fd, OFlag::O_WRONLY)?));
    streams.pairs.push(pair);
    *known = Some((device, Arc::clone(&slave)));
    Ok(Sink::Fd(slave))
}

/// Where the caller's output goes. Bytes that are counted come through us.
fn sink(fd: BorrowedFd<'_>, counted: bool, streams: &mut Streams) -> Result<Sink, Errno> {
    if !counted {
        return Ok(passed(fd)?.map_or(Sink::Null, Sink::Fd));
    }
    let to = match own_description(fd, OFlag::O_WRONLY) {
        Ok(to) => to,
        Err(Errno::EBADF) => return Ok(Sink::Null),
        Err(errno) => return Err(errno),
    };
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    streams.output.push(Relay::new(ours, to));
    Ok(Sink::Fd(Arc::new(theirs)))
}

/// The caller's descriptor itself; `None` if it is closed.
fn passed(fd: BorrowedFd<'_>) -> Result<Option<Arc<OwnedFd>>, Errno> {
    match dup_above(fd, 3) {
        Ok(own) => Ok(Some(Arc::new(own))),
        Err(Errno::EBADF) => Ok(None),
        Err(errno) => Err(errno),
    }
}
