//! All unix sockets of this network namespace that a descriptor refers to or is on its way to, with
//! what is queued in them (`sock_diag(7)`).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN`
const SHOW: u32 = 0x04 | 0x10;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
/// `struct nlmsghdr` and `struct unix_diag_msg`, which has the same size.
const HEADER: usize = 16;

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    pub(crate) inode: u64,
    pub(crate) listens: bool,
    /// 0 if there is none, or if it is closed.
    pub(crate) peer: u64,
    /// Bytes to be read; connections to be accepted, if it listens.
    pub(crate) to_read: u64,
    /// Memory, not bytes, that was sent and not yet read; means something else if it listens.
    pub(crate) sent: u64,
}

/// A list that the kernel is giving out.
#[derive(Debug)]
pub(crate) struct UnixSockets {
    socket: OwnedFd,
    buffer: Vec<u8>,
    ended: bool,
}

impl UnixSockets {
    pub(crate) fn ask() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let kind = SockProtocol::NetlinkSockDiag;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, kind)?;
        let mut request = Vec::with_capacity(40);
        request.extend_from_slice(&40u32.to_ne_bytes());
        request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        request.extend_from_slice(&[0; 8]);
        // `struct unix_diag_req`: family, protocol, padding, states, inode, what to show, cookie.
        request.extend_from_slice(&[libc::AF_UNIX as u8, 0, 0, 0]);
        for word in [u32::MAX, 0, SHOW, u32::MAX, u32::MAX] {
            request.extend_from_slice(&word.to_ne_bytes());
        }
        send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
        Ok(Self { socket, buffer: vec![0; 32 * 1024], ended: false })
    }

    /// The next piece. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<UnixSocket>>, Errno> {
        if self.ended {
            return Ok(None);
        }
        let count = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
        let (found, ended) = read(self.buffer.get(..count).unwrap_or_default())?;
        self.ended = ended || count == 0;
        Ok(Some(found))
    }
}

/// What is in a piece, and whether it is the last.
fn read(mut rest: &[u8]) -> Result<(Vec<UnixSocket>, bool), Errno> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
        let length = length as usize;
        let message = rest.get(HEADER..length).ok_or(Errno::EBADMSG)?;
        match kind {
            NLMSG_DONE => return Ok((found, true)),
            NLMSG_ERROR => {
                return Err(Errno::from_raw(
                    word(message, 0).unwrap_or(0).cast_signed().wrapping_neg(),
                ));
            }
            SOCK_DIAG_BY_FAMILY => found.extend(one(message)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok((found, false))
}

fn one(message: &[u8]) -> Option<UnixSocket> {
    const LISTEN: u8 = 10;
    let mut socket = UnixSocket {
        inode: word(message, 4)?.into(),
        listens: *message.get(2)? == LISTEN,
        peer: 0,
        to_read: 0,
        sent: 0,
    };
    let mut rest = message.get(HEADER..)?;
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let length = usize::from(length).max(4);
        let value = rest.get(4..length)?;
        match kind {
            UNIX_DIAG_PEER => socket.peer = word(value, 0)?.into(),
            UNIX_DIAG_RQLEN => {
                socket.to_read = word(value, 0)?.into();
                socket.sent = word(value, 4)?.into();
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(socket)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn all() -> Vec<UnixSocket> {
        let mut asked = UnixSockets::ask().unwrap();
        let mut found = Vec::new();
        while let Some(piece) = asked.next().unwrap() {
            found.extend(piece);
        }
        found
    }

    fn inode(socket: &UnixStream) -> u64 {
        nix::sys::stat::fstat(socket.as_fd()).unwrap().st_ino
    }

    #[test]
    fn what_is_queued_is_known_for_both_ends() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[1; 5_000]).unwrap();
        let (from, to) = (inode(&a), inode(&b));
        let found = all();
        let find = |inode| found.iter().find(|s| s.inode == inode).copied().unwrap();
        assert_eq!((find(from).peer, find(to).peer), (to, from));
        assert!(find(from).sent >= 5_000 && find(from).to_read == 0);
        assert_eq!((find(to).sent, find(to).to_read), (0, 5_000));
        drop(a);
        let found = all();
        let left = found.iter().find(|s| s.inode == to).unwrap();
        assert_eq!((left.peer, left.to_read), (0, 5_000), "its peer is closed");
    }

    #[test]
    fn nonsense_is_no_panic() {
        for length in [0u32, 1, 15, 16, 17, 24, 64, u32::MAX] {
            for kind in [NLMSG_DONE, NLMSG_ERROR, SOCK_DIAG_BY_FAMILY, 9] {
                for tail in [0u8, 1, 4, 0xff] {
                    let mut bytes = length.to_ne_bytes().to_vec();
                    bytes.extend_from_slice(&kind.to_ne_bytes());
                    bytes.extend_from_slice(&[tail; 41]);
                    let _ = read(&bytes);
                }
            }
        }
    }
}
