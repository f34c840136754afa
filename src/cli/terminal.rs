//! The user's terminal, and the one the program gets instead.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::sys::fd::dup_above;
use crate::sys::terminal::{set_window_size, window_size};

/// A pair made for the program, and the user's terminal that it stands for.
#[derive(Debug)]
pub(super) struct Pair {
    users: OwnedFd,
    master: OwnedFd,
}

impl Pair {
    /// A pair with the modes and the size of the user's terminal. `plain`: for output only, which
    /// the user's terminal then processes by itself.
    pub(super) fn like(users: BorrowedFd<'_>, plain: bool) -> Result<(Self, Arc<OwnedFd>), Errno> {
        let mut modes = tcgetattr(users)?;
        if plain {
            cfmakeraw(&mut modes);
        }
        let pair = openpty(window_size(users).ok().as_ref(), Some(&modes))?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
        let users = dup_above(users, 3)?;
        Ok((Self { users, master: pair.master }, Arc::new(pair.slave)))
    }

    /// Our end, once more.
    pub(super) fn end(&self) -> Result<OwnedFd, Errno> {
        dup_above(self.master.as_fd(), 3)
    }

    /// Gives the program's terminal the size of the user's.
    pub(super) fn resize(&self) {
        if let Ok(size) = window_size(self.users.as_fd()) {
            // A terminal that is going away needs no size.
            let _ = set_window_size(self.master.as_fd(), &size);
        }
    }
}

/// The user's terminal in raw mode; as it was before when this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    pub(super) fn enter(terminal: BorrowedFd<'_>) -> Result<Self, Errno> {
        let before = tcgetattr(terminal)?;
        let raw = Self { terminal: dup_above(terminal, 3)?, before };
        raw.again()?;
        Ok(raw)
    }

    /// Raw once more, after [`Raw::restore`] or when a shell has set modes of its own.
    pub(super) fn again(&self) -> Result<(), Errno> {
        let mut modes = self.before.clone();
        cfmakeraw(&mut modes);
        tcsetattr(&self.terminal, SetArg::TCSANOW, &modes)
    }

    /// The modes from before. In the background the kernel would stop us for it.
    pub(super) fn restore(&self) {
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTTOU);
        let mask = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK);
        // The terminal may be gone, and there is nobody to tell.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
        if let Ok(mask) = mask {
            let _ = mask.thread_set_mask();
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.restore();
    }
}
