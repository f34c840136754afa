//! Changes to a file's metadata through a pinned handle (`O_PATH`), never through a name.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::check;

/// The name under which the kernel reaches exactly the object of a handle.
pub(crate) fn handle_name(handle: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", handle.as_raw_fd())).unwrap_or_default()
}

/// `chmod(2)`.
pub(crate) fn set_mode(handle: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let name = handle_name(handle);
    // SAFETY: a C string and a number.
    check(unsafe { libc::chmod(name.as_ptr(), mode).into() })?;
    Ok(())
}

/// `fchownat(2)` with `AT_EMPTY_PATH`: works on symbolic links too.
pub(crate) fn set_owner(handle: BorrowedFd<'_>, user: u32, group: u32) -> Result<(), Errno> {
    // SAFETY: an empty C string and numbers.
    check(unsafe {
        libc::fchownat(handle.as_raw_fd(), c"".as_ptr(), user, group, libc::AT_EMPTY_PATH).into()
    })?;
    Ok(())
}

/// `utimensat(2)`. `None` is now.
pub(crate) fn set_times(
    handle: BorrowedFd<'_>,
    times: Option<[libc::timespec; 2]>,
) -> Result<(), Errno> {
    let pointer = times.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
    // SAFETY: an empty C string and null or two timespecs.
    let answer = check(unsafe {
        libc::utimensat(handle.as_raw_fd(), c"".as_ptr(), pointer, libc::AT_EMPTY_PATH).into()
    });
    match answer {
        // AT_EMPTY_PATH came with Linux 5.8; a handle's name does the same except for symlinks.
        Err(Errno::EINVAL) => {
            let name = handle_name(handle);
            // SAFETY: a C string and null or two timespecs.
            check(unsafe { libc::utimensat(libc::AT_FDCWD, name.as_ptr(), pointer, 0).into() })?;
            Ok(())
        }
        other => other.map(drop),
    }
}

/// `setxattr(2)`.
pub(crate) fn set_xattr(
    handle: BorrowedFd<'_>,
    name: &CStr,
    value: &[u8],
    flags: i32,
) -> Result<(), Errno> {
    let path = handle_name(handle);
    // SAFETY: two C strings and a slice.
    check(unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags)
            .into()
    })?;
    Ok(())
}

/// `removexattr(2)`.
pub(crate) fn remove_xattr(handle: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let path = handle_name(handle);
    // SAFETY: two C strings.
    check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()).into() })?;
    Ok(())
}

/// Whether a directory has any extended attribute, an access control list say (`flistxattr(2)`).
pub(crate) fn has_xattrs(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: with size 0 nothing is written.
    match check(unsafe { libc::flistxattr(dir.as_raw_fd(), std::ptr::null_mut(), 0) } as i64) {
        Ok(size) => Ok(size > 0),
        Err(Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}
