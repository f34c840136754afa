//! Calls performed by the guard with its own copy of the arguments, under the sandbox's rules.

pub(crate) mod files;
pub(crate) mod metadata;
pub(crate) mod net;
pub(crate) mod signals;

/// What a performed call answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This value.
    Value(i64),
    /// A new descriptor.
    Descriptor { fd: std::os::fd::OwnedFd, cloexec: bool },
    /// The kernel may do it: see [`ContinueProof`](crate::sys::notify::ContinueProof).
    Proceed(crate::sys::notify::ContinueProof),
    /// A lane will answer.
    Later,
}
