//! A seccomp user-notification listener (`seccomp_unotify(2)`).

use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::check;

const fn ioctl(direction: u64, number: u64, size: usize) -> u64 {
    (direction << 30) | ((size as u64) << 16) | ((b'!' as u64) << 8) | number
}

const RECV: u64 = ioctl(3, 0, size_of::<libc::seccomp_notif>());
const SEND: u64 = ioctl(3, 1, size_of::<libc::seccomp_notif_resp>());
const ID_VALID: u64 = ioctl(1, 2, 8);
const ADDFD: u64 = ioctl(1, 3, size_of::<AddFd>());
const SET_FLAGS: u64 = ioctl(1, 4, 8);
const FLAG_CONTINUE: u32 = 1;
const ADDFD_FLAG_SEND: u32 = 2;
const FD_SYNC_WAKE_UP: u64 = 1;

/// `struct seccomp_notif_addfd`.
#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    srcfd: u32,
    newfd: u32,
    newfd_flags: u32,
}

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notification {
    /// The kernel's cookie.
    pub(crate) id: u64,
    /// Thread id of the caller, in our pid namespace.
    pub(crate) tid: i32,
    /// System call number.
    pub(crate) nr: u32,
    /// Registers.
    pub(crate) args: [u64; 6],
}

/// Shown by whoever continues a call, so that a continue which races can't be written by mistake.
///
/// The kernel reads pointer arguments again after a continue, and another thread may have changed
/// them; so only these cases exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContinueProof {
    /// What was decided on stands in registers, which no other thread can change.
    RegistersOnly,
    /// Nothing was decided: the kernel may do whatever the arguments say by then.
    NothingDecided,
    /// The new program is looked at before it runs.
    VerifiedAfterExec,
}

/// The supervisor's end of a filter.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl Listener {
    /// Takes over a listener that appeared in our descriptor table under this number.
    pub(crate) fn adopt(fd: RawFd) -> Self {
        // SAFETY: the child that shares our table reported this number as its new listener, and
        // nothing else owns it.
        let listener = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // Wakes the answered task on the answerer's CPU, where the kernel can (6.6); only speed.
        // SAFETY: takes a flag word by value.
        let _ = unsafe { libc::ioctl(listener.0.as_raw_fd(), SET_FLAGS as _, FD_SYNC_WAKE_UP) };
        listener
    }

    /// The next call. `ENOENT` if its task died or was interrupted meanwhile.
    pub(crate) fn receive(&self) -> Result<Notification, Errno> {
        // SAFETY: all-zero is a valid value, and the one the kernel demands.
        let mut raw: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: `raw` is a `struct seccomp_notif` to fill.
        check(unsafe {
            libc::ioctl(self.0.as_raw_fd(), RECV as _, std::ptr::from_mut(&mut raw)).into()
        })?;
        Ok(Notification {
            id: raw.id,
            tid: raw.pid as i32,
            nr: raw.data.nr as u32,
            args: raw.data.args,
        })
    }

    /// Whether the call still waits, so that handles taken through the caller's pid are its own.
    pub(crate) fn still_waiting(&self, id: u64) -> bool {
        // SAFETY: reads one u64.
        let answer =
            unsafe { libc::ioctl(self.0.as_raw_fd(), ID_VALID as _, std::ptr::from_ref(&id)) };
        answer == 0
    }

    /// Ends the call with a value.
    pub(crate) fn value(&self, id: u64, value: i64) -> Result<(), Errno> {
        self.send(id, value, 0, 0)
    }

    /// Ends the call with an errno.
    pub(crate) fn errno(&self, id: u64, errno: Errno) -> Result<(), Errno> {
        self.send(id, 0, -(errno as i32), 0)
    }

    /// Lets the kernel perform the call.
    pub(crate) fn proceed(&self, id: u64, _proof: ContinueProof) -> Result<(), Errno> {
        self.send(id, 0, 0, FLAG_CONTINUE)
    }

    /// Has the caller run a signal handler that is pending, and make the call again afterwards,
    /// as if nothing had been, whatever its `SA_RESTART`: -ERESTARTNOINTR. Only where a handler is pending, or the program would
    /// see that number.
    pub(crate) fn restart(&self, id: u64) -> Result<(), Errno> {
        const ERESTARTNOINTR: i32 = 513;
        self.send(id, 0, -ERESTARTNOINTR, 0)
    }

    /// Ends the call with a new descriptor in the caller: our `fd`, duplicated.
    pub(crate) fn give_fd(&self, id: u64, fd: BorrowedFd<'_>, cloexec: bool) -> Result<(), Errno> {
        let request = AddFd {
            id,
            flags: ADDFD_FLAG_SEND,
            srcfd: fd.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: `request` is a `struct seccomp_notif_addfd`.
        check(unsafe {
            libc::ioctl(self.0.as_raw_fd(), ADDFD as _, std::ptr::from_ref(&request)).into()
        })?;
        Ok(())
    }

    fn send(&self, id: u64, val: i64, error: i32, flags: u32) -> Result<(), Errno> {
        let answer = libc::seccomp_notif_resp { id, val, error, flags };
        // SAFETY: `answer` is a `struct seccomp_notif_resp`.
        check(unsafe {
            libc::ioctl(self.0.as_raw_fd(), SEND as _, std::ptr::from_ref(&answer)).into()
        })?;
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
