//! What this machine's kernel can do, found by doing it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::error::Machine;
use crate::isolation::abi::{Kernel, NEWEST};
use crate::sys::process::{Side, exit_now, fork_single_threaded};
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

/// Docker's default profile refuses `pidfd_getfd`, and so do security modules (Yama from scope 2
/// on): not to a process that asks itself, so a child is asked, which a guard's target is, too.
fn can_fetch_descriptors(any: BorrowedFd<'_>) -> bool {
    let child = match fork_single_threaded() {
        Ok(Side::Parent(child)) => child,
        Ok(Side::Child) => {
            // It is killed at once, unless its parent is.
            let _ = poll(&mut [], PollTimeout::from(10_000u16));
            exit_now(0)
        }
        Err(_) => return false,
    };
    let fetched = pidfd::open(child).and_then(|pidfd| {
        let fetched = pidfd::get_fd(pidfd.as_fd(), any.as_raw_fd());
        pidfd::kill(pidfd.as_fd()).or_else(|_| kill(Pid::from_raw(child), Signal::SIGKILL))?;
        fetched
    });
    let _ = waitpid(Pid::from_raw(child), None);
    fetched.is_ok()
}
