//! The Linux calls that no library wraps, and the only `unsafe` of the crate outside the
//! hypervisor backends. One file per kernel noun; every function returns `Result<_, Errno>`.

pub(crate) mod caps;
pub(crate) mod channel;
pub(crate) mod child;
pub(crate) mod diag;
pub(crate) mod entry;
pub(crate) mod fd;
pub(crate) mod landlock;
pub(crate) mod memory;
pub(crate) mod metadata;
pub(crate) mod notify;
pub(crate) mod openat2;
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod ptrace;
mod raw;
pub(crate) mod seccomp;
pub(crate) mod shared;
pub(crate) mod socket;
#[cfg(feature = "cli")]
pub(crate) mod terminal;

use nix::errno::Errno;

/// Turns the C library's -1 into an [`Errno`].
fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}
