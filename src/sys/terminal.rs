//! Window sizes of terminals (`ioctl_tty(2)`).

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::winsize;
use nix::errno::Errno;

use super::check;

pub(crate) fn window_size(terminal: BorrowedFd<'_>) -> Result<winsize, Errno> {
    let mut size = winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    let at = std::ptr::from_mut(&mut size);
    // SAFETY: writes one `struct winsize`.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, at).into() })?;
    Ok(size)
}

pub(crate) fn set_window_size(terminal: BorrowedFd<'_>, size: &winsize) -> Result<(), Errno> {
    let at = std::ptr::from_ref(size);
    // SAFETY: reads one `struct winsize`.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, at).into() })?;
    Ok(())
}
