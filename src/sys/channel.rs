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
            return self.send_packet(message, fds, wait);
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

    /// Receives one message into `message` and its descriptors into `fds`. EINTR is returned, so
    /// that a caller may look at its signals.
    pub(crate) fn receive(
        &self,
        message: &mut Vec<u8>,
        fds: &mut Vec<OwnedFd>,
        wait: bool,
    ) -> Result<Received, Errno> {
        message.resize(MAX_INLINE, 0);
        let mut control = nix::cmsg_space!([std::os::fd::RawFd; MAX_FDS]);
        let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
        if !wait {
            flags |= MsgFlags::MSG_DONTWAIT;
        }
        let length = {
            let mut parts = [IoSliceMut::new(message)];
            let socket = self.0.as_raw_fd();
            let received = match recvmsg::<()>(socket, &mut parts, Some(&mut control), flags) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => {
                    message.clear();
                    return Ok(Received::Nothing);
                }
                Err(Errno::ECONNRESET) => {
                    message.clear();
                    return Ok(Received::Closed);
                }
                Err(other) => return Err(other),
            };
            for part in received.cmsgs()? {
                if let ControlMessageOwned::ScmRights(numbers) = part {
                    // SAFETY: the kernel made these descriptors for us with this message.
                    fds.extend(numbers.into_iter().map(|n| unsafe { OwnedFd::from_raw_fd(n) }));
                }
            }
            received.bytes
        };
        message.truncate(length);
        if length == 0 {
            return Ok(Received::Closed);
        }
        if message.as_slice() == [SPILLED] {
            let mut file = File::from(fds.pop().ok_or(Errno::EPROTO)?);
            if file.metadata().map_err(errno)?.len() > MAX_SPILLED {
                return Err(Errno::EMSGSIZE);
            }
            file.rewind().map_err(errno)?;
            message.clear();
            file.read_to_end(message).map_err(errno)?;
        }
        Ok(Received::Message)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
