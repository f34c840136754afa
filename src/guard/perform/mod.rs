//! Calls performed by the guard with its own copy of the arguments, under the sandbox's rules. First
//! what a call is about is looked up and pinned, then it is judged, then it is performed on what was
//! pinned.

pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod net;
pub(crate) mod open;
pub(crate) mod signals;

use nix::errno::Errno;

use super::context::{Context, Refusal};
use super::decode::Call;
use super::resolve::View;
use super::subject::Subject;
use crate::policy::{Facts, SyscallContext};
use crate::sys::notify::Notification;

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

/// A call with everything it names pinned.
#[derive(Debug)]
pub(crate) enum Ready {
    Names(names::Ready),
    Open(open::Ready),
    Truncate(files::Ready),
    Metadata(metadata::Ready),
    Connect(net::Connect),
    Bind(net::Bind),
    Listen(net::Listen),
    Exec(exec::Ready),
    /// There is nothing to pin: all that counts is in registers, or of no concern to a policy.
    Other(Call),
}

impl Ready {
    pub(crate) fn look(
        context: &Context,
        call: &Notification,
        view: View<'_>,
        decoded: &Call,
    ) -> Result<Self, Refusal> {
        Ok(match decoded {
            Call::Names(names) => Self::Names(names::Ready::look(view, names)?),
            Call::Open { target, flags, mode } if context.judges => {
                Self::Open(open::Ready::look(view, target, *flags, *mode)?)
            }
            Call::Truncate { target, length } => {
                Self::Truncate(files::Ready::look(view, target, *length)?)
            }
            Call::Metadata { target, change } => {
                Self::Metadata(metadata::Ready::look(view, target, change)?)
            }
            Call::Connect { fd, address } => {
                Self::Connect(net::Connect::look(context, call, view, *fd, address)?)
            }
            Call::Bind { fd, address } => {
                Self::Bind(net::Bind::look(context, call, view, *fd, address)?)
            }
            Call::Listen { fd, backlog } => {
                Self::Listen(net::Listen::look(context, call, *fd, *backlog)?)
            }
            Call::Exec { target, argv } => {
                Self::Exec(exec::Ready::look(context, view, target, argv)?)
            }
            other => Self::Other(other.clone()),
        })
    }

    /// What a policy judges. `None`: nothing it could have an opinion on.
    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let plain = |context| Subject { context, facts: Facts::default(), objects: Vec::new() };
        match self {
            Self::Names(ready) => ready.subject(),
            Self::Open(ready) => ready.subject(),
            Self::Truncate(ready) => ready.subject().map(Some),
            Self::Metadata(ready) => ready.subject().map(Some),
            Self::Connect(ready) => ready.subject(),
            Self::Bind(ready) => ready.subject(),
            Self::Listen(ready) => ready.subject(),
            Self::Exec(ready) => ready.subject(),
            Self::Other(Call::Spawn { thread: false }) => Ok(Some(plain(SyscallContext::Fork))),
            Self::Other(Call::SignalProcess { pid, signal }) => {
                Ok(Some(plain(SyscallContext::Signal { pid: *pid, signal: *signal })))
            }
            Self::Other(Call::SignalThread { tid, signal, .. }) => {
                Ok(Some(plain(SyscallContext::Signal { pid: *tid, signal: *signal })))
            }
            Self::Other(_) => Ok(None),
        }
    }
}
