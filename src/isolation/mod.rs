//! The layers of a sandbox: what each is made of. [`spawn`](crate) applies them.

pub(crate) mod abi;
pub mod filter;
pub(crate) mod landlock;
pub(crate) mod limits;
pub mod syscalls;
