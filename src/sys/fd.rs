//! Descriptor tables.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::check;

/// Closes every descriptor from `first` up except those in `keep`.
pub(crate) fn close_all_but(first: RawFd, keep: &mut [RawFd]) -> Result<(), Errno> {
    keep.sort_unstable();
    let mut from = first;
    for fd in keep.iter().copied().filter(|fd| *fd >= first) {
        if fd > from {
            close_range(from, fd - 1)?;
        }
        from = fd + 1;
    }
    close_range(from, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> Result<(), Errno> {
    // SAFETY: closes descriptors of ours that the caller says nothing else owns.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) })?;
    Ok(())
}

/// A duplicate at `lowest` or above, close-on-exec.
pub(crate) fn dup_above(fd: BorrowedFd<'_>, lowest: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let new = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest).into() })?;
    // SAFETY: the kernel made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(new as i32) })
}

/// Puts a duplicate at exactly `number`, replacing what was there.
pub(crate) fn place(fd: impl AsFd, number: RawFd) -> Result<(), Errno> {
    let fd = fd.as_fd().as_raw_fd();
    if fd == number {
        // dup3 refuses this; the descriptor is where it belongs, but must survive exec.
        // SAFETY: takes numbers only.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0).into() })?;
        return Ok(());
    }
    // SAFETY: `number` is a slot that the caller owns by convention.
    check(unsafe { libc::dup3(fd, number, 0).into() })?;
    Ok(())
}

/// Closes a slot that [`place`] filled.
pub(crate) fn vacate(number: RawFd) {
    // SAFETY: `number` is a slot that the caller owns by convention.
    let _ = unsafe { libc::close(number) };
}

/// Takes ownership of a descriptor that the parent process handed over under a fixed number.
pub(crate) fn inherited(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC).into() })?;
    // SAFETY: it is open, and by the protocol of this process's start nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The next piece of a directory's list, without `.` and `..`. Empty at the end.
pub(crate) fn list(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    /// As much as the C library asks for at once.
    const ROOM: usize = 32 * 1024;
    let mut buffer = vec![0u8; ROOM];
    loop {
        let names = next_entries(dir, &mut buffer)?;
        let Some(names) = names else { return Ok(Vec::new()) };
        if !names.is_empty() {
            return Ok(names);
        }
    }
}

/// Whether a directory has no entries. Of a directory with few, one call tells.
pub(crate) fn is_empty_dir(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    /// Room for `.`, `..` and one more with the longest name.
    const ROOM: usize = 512;
    // SAFETY: takes numbers only.
    check(unsafe { libc::lseek(dir.as_raw_fd(), 0, libc::SEEK_SET) })?;
    Ok(next_entries(dir, &mut [0u8; ROOM])?.is_none_or(|names| names.is_empty()))
}

/// What one `getdents64(2)` gives, without `.` and `..`. `None` at the end.
fn next_entries(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<Vec<CString>>, Errno> {
    // SAFETY: the kernel writes at most as many bytes as there are.
    let written = check(unsafe {
        libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    })?;
    if written == 0 {
        return Ok(None);
    }
    let mut rest = buffer.get(..written as usize).unwrap_or_default();
    let mut names = Vec::new();
    while let Some(length) = rest.get(16..18) {
        // `struct linux_dirent64`: inode, offset, record length, type, name.
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        let name = rest.get(19..length).unwrap_or_default();
        if let Ok(name) = CStr::from_bytes_until_nul(name)
            && !matches!(name.to_bytes(), b"." | b"..")
        {
            names.push(name.to_owned());
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    Ok(Some(names))
}
