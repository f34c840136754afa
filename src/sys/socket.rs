//! Calls on sockets with an address as bytes, the way they were copied from a target.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use super::check;

/// `connect(2)`.
pub(crate) fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `len` bytes and checks them itself.
    check(unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), len).into() })?;
    Ok(())
}

/// `bind(2)`.
pub(crate) fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `len` bytes and checks them itself.
    check(unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), len).into() })?;
    Ok(())
}

/// `socket(2)` with numbers as a target gave them.
pub(crate) fn create(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::socket(family, kind, protocol).into() })?;
    // SAFETY: the kernel made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `listen(2)`.
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog).into() })?;
    Ok(())
}

/// `SO_DOMAIN` of `socket(7)`: the address family.
pub(crate) fn family(socket: BorrowedFd<'_>) -> Result<i32, Errno> {
    int_option(socket, libc::SO_DOMAIN)
}

/// `getsockname(2)`, the address as bytes.
pub(crate) fn local_address(socket: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0u8; size_of::<libc::sockaddr_storage>()];
    let mut len = buffer.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes.
    check(unsafe {
        libc::getsockname(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            std::ptr::from_mut(&mut len),
        )
        .into()
    })?;
    buffer.truncate(len as usize);
    Ok(buffer)
}

fn int_option(socket: BorrowedFd<'_>, option: i32) -> Result<i32, Errno> {
    let mut value = 0i32;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the kernel writes one int.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_mut(&mut value).cast(),
            std::ptr::from_mut(&mut len),
        )
        .into()
    })?;
    Ok(value)
}

/// The process that made the other end of a socket pair (`SO_PEERCRED` of `unix(7)`).
pub(crate) fn peer_pid(socket: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut value = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes one `struct ucred`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            std::ptr::from_mut(&mut value).cast(),
            std::ptr::from_mut(&mut len),
        )
        .into()
    })?;
    Ok(value.pid)
}
