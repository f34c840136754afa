//! Bytes from one descriptor to another, without ever waiting.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{isatty, read, write};

const CHUNK: usize = 16 * 1024;

/// One direction. An end that is gone is forgotten, so that the other side notices.
#[derive(Debug)]
pub(super) struct Relay {
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    buffer: Vec<u8>,
    sent: usize,
    dry: bool,
}

impl Relay {
    pub(super) fn new(from: OwnedFd, to: OwnedFd) -> Self {
        Self { from: Some(from), to: Some(to), buffer: Vec::new(), sent: 0, dry: false }
    }

    /// Whether it has nothing to do any more.
    pub(super) fn is_over(&self) -> bool {
        self.from.is_none() && self.pending().is_empty()
    }

    /// Whether its source has come to an end.
    pub(super) fn is_dry(&self) -> bool {
        self.dry
    }

    /// What it waits for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.pending().is_empty() {
            self.from.as_ref().map(|from| (from.as_fd(), PollFlags::POLLIN))
        } else {
            self.to.as_ref().map(|to| (to.as_fd(), PollFlags::POLLOUT))
        }
    }

    /// Does what it waited for, if that is `ready`. `last`: nobody writes any more, so what isn't
    /// there now never will be. Returns how many bytes were read.
    pub(super) fn step(&mut self, ready: bool, last: bool) -> usize {
        if !self.pending().is_empty() {
            if ready {
                self.send();
            }
            if !last || !self.pending().is_empty() {
                return 0;
            }
        } else if !ready && !last {
            return 0;
        }
        self.take(last)
    }

    /// Reads no more, and forgets up to `excess` of the bytes it has; returns how many.
    pub(super) fn stop(&mut self, excess: usize) -> usize {
        let forgotten = excess.min(self.pending().len());
        self.buffer.truncate(self.buffer.len() - forgotten);
        self.from = None;
        forgotten
    }

    fn take(&mut self, last: bool) -> usize {
        let Some(from) = &self.from else { return 0 };
        self.sent = 0;
        self.buffer.resize(CHUNK, 0);
        let answer = read(from, &mut self.buffer);
        self.buffer.truncate(answer.unwrap_or(0));
        match answer {
            Ok(count) if count > 0 => return count,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if !last => {}
            // EIO is the end too: the other side of the terminal is closed.
            _ => {
                self.dry = true;
                self.from = None;
                self.to = None;
            }
        }
        0
    }

    fn send(&mut self) {
        let Some(to) = &self.to else { return };
        match write(to, self.pending()) {
            Ok(count) => self.sent += count,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => {
                // Whoever writes learns of it as it would without us: by EPIPE.
                self.to = None;
                self.from = None;
                self.buffer.clear();
            }
        }
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.sent..).unwrap_or_default()
    }
}

/// The same pipe or terminal with an open file description of our own, which doesn't block: that
/// of the caller is shared with processes that expect it as it is. A duplicate where that can't be
/// had; `poll` then says when to use it.
pub(super) fn own_description(fd: BorrowedFd<'_>, access: OFlag) -> Result<OwnedFd, Errno> {
    let kind = fstat(fd)?.st_mode & SFlag::S_IFMT.bits();
    if kind == SFlag::S_IFIFO.bits() || isatty(fd).unwrap_or(false) {
        let name = crate::sys::metadata::handle_name(fd);
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        if let Ok(own) = open(name.as_c_str(), flags, Mode::empty()) {
            return Ok(own);
        }
    }
    crate::sys::fd::dup_above(fd, 3)
}
