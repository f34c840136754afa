//! What this machine's kernel can do, found by doing it.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::unistd::getpid;

use crate::error::Machine;
use crate::isolation::abi::{Kernel, NEWEST};
use crate::sys::{landlock, pidfd, seccomp};

/// Fails if a sandbox can't be held here at all.
pub(crate) fn kernel(any: BorrowedFd<'_>) -> Result<Kernel, Machine> {
    let landlock = landlock::abi().map_err(|errno| Machine::NoLandlock { errno: errno as i32 })?;
    if landlock == 0 {
        return Err(Machine::NoLandlock { errno: Errno::EOPNOTSUPP as i32 });
    }
    seccomp::user_notification()
        .map_err(|errno| Machine::NoUserNotification { errno: errno as i32 })?;
    Ok(Kernel {
        landlock: landlock.min(NEWEST),
        wait_killable: seccomp::wait_killable(),
        pidfd_getfd: can_fetch_descriptors(any),
    })
}

/// Docker's default profile refuses `pidfd_getfd`.
fn can_fetch_descriptors(any: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsFd;
    pidfd::open(getpid().as_raw())
        .and_then(|own| pidfd::get_fd(own.as_fd(), any.as_raw_fd()))
        .is_ok()
}
