//! The target's standard streams, made before the target.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::plan::Stream;
use crate::sys::child::{FIRST_OWN_FD, STDIO_SLOTS};
use crate::sys::fd::{dup_above, place, vacate};

/// The guard's ends. `None` where the stream isn't a pipe or is closed.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

impl Streams {
    /// Pipes for all three, with the target's ends in their slots.
    pub(crate) fn pipes() -> Result<Self, Errno> {
        let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
        place(&theirs, STDIO_SLOTS[0])?;
        let stdin = own(&ours)?;
        let mut readers = [None, None];
        for (reader, slot) in readers.iter_mut().zip(&STDIO_SLOTS[1..]) {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
            place(&theirs, *slot)?;
            *reader = Some(own(&ours)?);
        }
        let [stdout, stderr] = readers;
        Ok(Self { stdin: Some(stdin), stdout, stderr })
    }

    /// Replaces the pipes that the launch does not want.
    pub(crate) fn arrange(
        &mut self,
        wanted: [Stream; 3],
        passed: Vec<OwnedFd>,
    ) -> Result<(), Errno> {
        let mut passed = passed.into_iter();
        let ours = [&mut self.stdin, &mut self.stdout, &mut self.stderr];
        for ((want, slot), ours) in wanted.into_iter().zip(STDIO_SLOTS).zip(ours) {
            match want {
                Stream::Pipe => continue,
                // The guard's own standard input is /dev/null, open for both.
                Stream::Null => place(std::io::stdin(), slot)?,
                Stream::Passed => place(passed.next().ok_or(Errno::EBADF)?, slot)?,
            }
            *ours = None;
        }
        Ok(())
    }
}

/// Forgets the guard's copies of the target's ends, once the target has its own.
pub(crate) fn close_slots() {
    STDIO_SLOTS.into_iter().for_each(vacate);
}

/// Our end of a pipe: out of the way of the slots, and never blocking.
fn own(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsFd;
    let fd = dup_above(fd.as_fd(), FIRST_OWN_FD)?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd)
}
