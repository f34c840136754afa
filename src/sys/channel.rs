//! A message socket between processes of evalbox: `AF_UNIX`/`SOCK_SEQPACKET` with descriptors.
//! A message that is too large for the socket's buffer travels in a memfd.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// The most that one packet carries. The default send buffer holds three of them.
pub(crate) const MAX_INLINE: usize = 64 * 1024 + 16;
/// First byte of a packet whose message is in the memfd that travels with it.
const SPILLED: u8 = 0xff;
const MAX_SPILLED: u64 = 4 << 30;
const MAX_FDS: usize = 8;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// A buffer that messages are received into, kept so that it need not be cleared each time.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    len: usize,
    /// A message that came in a memfd.
    spilled: Vec<u8>,
    /// Descriptors that came with messages and were not taken yet.
    pub(crate) fds: Vec<OwnedFd>,
}

impl Inbox {
    /// The last message.
    pub(crate) fn message(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.bytes[..self.len] } else { &self.spilled }
    }
}

/// What [`Channel::receive`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Message,
    Nothing,
    Closed,
}

impl Channel {
    pub(crate) fn pair() -> Result<(Self, Self), Errno> {
        let (a, b) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(a), Self(b)))
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one message. `wait` decides between waiting for room and EAGAIN. Never SIGPIPE.
    pub(crate) fn send(
        &self,
        message: &[u8],
        fds: &[BorrowedFd<'_>],
        wait: bool,
    ) -> Result<(), Errno> {
        if message.len() <= MAX_INLINE {
            match self.send_packet(message, fds, wait) {
                // The machine's socket buffers are smaller than usual (net.core.wmem_default).
                Err(Errno::EMSGSIZE) => {}
                other => return other,
            }
        }
        let memfd = memfd_create("evalbox-message", MFdFlags::MFD_CLOEXEC)?;
        let mut file = File::from(memfd);
        file.write_all(message).map_err(errno)?;
        let mut all = fds.to_vec();
        all.push(file.as_fd());
        self.send_packet(&[SPILLED], &all, wait)
    }

    fn send_packet(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], wait: bool) -> Result<(), Errno> {
        let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        let mut flags = MsgFlags::MSG_NOSIGNAL;
        if !wait {
            flags |= MsgFlags::MSG_DONTWAIT;
        }
        loop {
            match sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Receives one message. Never waits.
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> Result<Received, Errno> {
        if inbox.bytes.len() < MAX_INLINE {
            // Only as large as needed: most messages are small, and a guard receives one.
            let Some(wanted) = self.next_length()? else { return Ok(Received::Nothing) };
            if inbox.bytes.len() < wanted.max(1) {
                inbox.bytes.resize(wanted.max(1), 0);
            }
        }
        inbox.spilled = Vec::new();
        inbox.len = 0;
        let mut control = nix::cmsg_space!([std::os::fd::RawFd; MAX_FDS]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let length = {
            let mut parts = [IoSliceMut::new(&mut inbox.bytes)];
            let socket = self.0.as_raw_fd();
            let received = match recvmsg::<()>(socket, &mut parts, Some(&mut control), flags) {
                Ok(received) => received,
                // ECONNRESET is told once, when the other end has gone and left something of ours
                // unread. What it said before that is still to be read, and after it the end.
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNRESET) => {
                    return Ok(Received::Nothing);
                }
                Err(other) => return Err(other),
            };
            for part in received.cmsgs()? {
                if let ControlMessageOwned::ScmRights(numbers) = part {
                    // SAFETY: the kernel made these descriptors for us with this message.
                    inbox
                        .fds
                        .extend(numbers.into_iter().map(|n| unsafe { OwnedFd::from_raw_fd(n) }));
                }
            }
            // A part of a message is none.
            if received.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
                return Err(Errno::EMSGSIZE);
            }
            received.bytes
        };
        inbox.len = length;
        if length == 0 {
            return Ok(Received::Closed);
        }
        if inbox.message() == [SPILLED] {
            let mut file = File::from(inbox.fds.pop().ok_or(Errno::EPROTO)?);
            if file.metadata().map_err(errno)?.len() > MAX_SPILLED {
                return Err(Errno::EMSGSIZE);
            }
            file.rewind().map_err(errno)?;
            file.read_to_end(&mut inbox.spilled).map_err(errno)?;
        }
        Ok(Received::Message)
    }

    /// The length of the next packet, 0 at the end. `None` if there is nothing yet.
    fn next_length(&self) -> Result<Option<usize>, Errno> {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        loop {
            match nix::sys::socket::recv(self.0.as_raw_fd(), &mut [], flags) {
                Ok(length) => return Ok(Some(length)),
                Err(Errno::EAGAIN) => return Ok(None),
                // Told once; the packets are behind it.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard_whatever_they_crossed() {
        let (ours, theirs) = Channel::pair().unwrap();
        ours.send(b"unread", &[], true).unwrap();
        theirs.send(b"last words", &[], true).unwrap();
        drop(theirs);
        let mut inbox = Inbox::default();
        let mut heard = Vec::new();
        loop {
            match ours.receive(&mut inbox).unwrap() {
                Received::Message => heard.push(inbox.message().to_vec()),
                Received::Nothing => {}
                Received::Closed => break,
            }
        }
        assert_eq!(heard, [b"last words"]);
    }

    #[test]
    fn messages_arrive_whole_whatever_the_size_and_the_buffer() {
        use nix::sys::socket::{setsockopt, sockopt};
        let (ours, theirs) = Channel::pair().unwrap();
        let mut inbox = Inbox::default();
        for (buffer, size) in [(212_992, 1), (212_992, 64 << 10), (212_992, 1 << 20), (1, 64 << 10)]
        {
            setsockopt(&ours, sockopt::SndBuf, &buffer).unwrap();
            let message: Vec<u8> = (0..size).map(|at| at as u8).collect();
            ours.send(&message, &[], false).unwrap();
            assert_eq!(theirs.receive(&mut inbox), Ok(Received::Message));
            assert!(inbox.message() == message, "{size} bytes through {buffer}");
        }
    }
}
