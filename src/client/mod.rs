//! The host's end: where the daemon's executable is, and the one daemon of this process.

mod find;
mod local;

pub use find::set_packaged_daemon;
pub(crate) use local::{Daemon, current, no_descriptors};
