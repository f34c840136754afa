//! What is judged: a call as a policy sees it, and the objects it stands for.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::stat::fstat;

use crate::policy::{Facts, SyscallContext};

/// A file's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object {
    device: u64,
    inode: u64,
}

impl Object {
    pub(crate) fn of(handle: impl AsFd) -> Result<Self, Errno> {
        let stat = fstat(handle)?;
        // Their types differ between architectures.
        #[allow(clippy::unnecessary_cast)]
        Ok(Self { device: stat.st_dev as u64, inode: stat.st_ino as u64 })
    }
}

/// A call to be judged. An answer holds for exactly this: if a path leads elsewhere by then, or to
/// something else, it is another call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) context: SyscallContext,
    pub(crate) facts: Facts,
    pub(crate) objects: Vec<Object>,
}
