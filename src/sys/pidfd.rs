//! Processes as descriptors (`pidfd_open(2)`, `pidfd_getfd(2)`), and their descriptors (`kcmp(2)`).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::check;

/// A descriptor that becomes readable when the process ends.
pub(crate) fn open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0u32) })?;
    // SAFETY: the kernel made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// As [`open`], for a thread that need not lead its process (`PIDFD_THREAD`, Linux 6.9).
pub(crate) fn open_thread(tid: i32) -> Result<OwnedFd, Errno> {
    open(tid).or_else(|_| {
        // SAFETY: takes numbers only.
        let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, tid, libc::O_EXCL) })?;
        // SAFETY: the kernel made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    })
}

/// A duplicate of another process's descriptor.
pub(crate) fn get_fd(pidfd: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0u32) })?;
    // SAFETY: the kernel made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `SIGKILL` to exactly that process.
pub(crate) fn kill(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers and a null pointer only.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    })?;
    Ok(())
}

/// Whether two tasks are known to have one table of descriptors.
pub(crate) fn share_descriptors(one: i32, other: i32) -> bool {
    const KCMP_FILES: i32 = 2;
    // SAFETY: takes numbers only.
    let order = check(unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0, 0) });
    order == Ok(0)
}
