//! The structured messages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Machine;
use crate::plan::Confinement;
use crate::policy::SyscallContext;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// The program ended with this exit code.
    Exited(i32),
    /// A signal ended the program.
    Signaled(i32),
    /// `timeout` passed.
    TimedOut,
    /// `limits.cpu` was used up.
    CpuLimit,
    /// `limits.memory` was exceeded by the tree.
    OutOfMemory,
    /// `limits.output` was exceeded.
    OutputLimit,
    /// `limits.workspace` was exceeded.
    WorkspaceLimit,
    /// [`Executor::kill`](crate::Executor::kill).
    Killed,
}

impl Status {
    /// The name that the command line and Python use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Signaled(_) => "signaled",
            Self::TimedOut => "timed_out",
            Self::CpuLimit => "cpu_limit",
            Self::OutOfMemory => "out_of_memory",
            Self::OutputLimit => "output_limit",
            Self::WorkspaceLimit => "workspace_limit",
            Self::Killed => "killed",
        }
    }
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// From the start of the program to the end of its last process.
    pub wall: Duration,
    /// CPU time in user mode, of all processes that were waited for.
    pub user: Duration,
    /// CPU time in the kernel, of all processes that were waited for.
    pub system: Duration,
    /// The most memory seen, in bytes: of the tree where it was sampled (runs of 10 ms and more),
    /// else the largest resident set of one process.
    pub peak_memory: u64,
    /// Processes and threads started.
    pub tasks: u32,
}

/// A call that the sandbox refused, with how often. Calls that the kernel refuses by itself (a
/// path outside every grant) are not seen here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refused {
    /// The system call.
    pub syscall: String,
    /// What it was about: a path, an address, a number. Empty if there is nothing to say.
    pub target: String,
    /// The errno that the program saw.
    pub errno: i32,
    /// The grant that would allow it, as it is written in a plan, if there is one.
    pub grant: Option<String>,
    /// How many times.
    pub count: u32,
}

/// What a guard says at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) status: Status,
    pub(crate) usage: Usage,
    pub(crate) refused: Vec<Refused>,
    /// Kinds of refused calls beyond the bound of the list.
    pub(crate) refused_beyond: u32,
}

/// A call that waits for the host's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Counts within a sandbox.
    pub(crate) id: u64,
    /// The process that asks.
    pub(crate) pid: i32,
    /// The call's own name.
    pub(crate) syscall: String,
    /// Whether it is about a directory.
    pub(crate) directory: bool,
    pub(crate) context: SyscallContext,
}

/// A decision, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// Since 1970.
    pub(crate) time: Duration,
    pub(crate) pid: i32,
    pub(crate) syscall: String,
    pub(crate) context: SyscallContext,
    /// `allow`, `deny` or `kill`.
    pub(crate) decision: String,
    /// Whether the host was asked.
    pub(crate) asked: bool,
    /// The rule that decided or asked. `None`: the plan's grants.
    pub(crate) rule: Option<String>,
    pub(crate) reason: Option<String>,
    /// From the call to its decision.
    pub(crate) latency: Duration,
}

/// The daemon's first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Both ends must be of one build.
    pub(crate) version: String,
    pub(crate) hello: Result<Hello, Machine>,
}

/// What the daemon found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) pid: i32,
    pub(crate) landlock_abi: u32,
    pub(crate) wait_killable: bool,
    pub(crate) pidfd_getfd: bool,
    pub(crate) signal_scope: bool,
    /// Where workspaces are, for whoever must clean up after a killed daemon.
    pub(crate) base: Vec<u8>,
}

/// Host → daemon. With `Arm` travels the guard's end of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToDaemon {
    /// Make a sandbox and have it wait for its launch on the channel.
    Arm(Box<Confinement>),
    /// Pretend that the kernel's Landlock is of this ABI from now on. For tests.
    MaskLandlock(u32),
    /// Continue judged calls instead of performing them, which loses races. For tests that must be
    /// seen to fail; ignored by daemons that are built for use.
    ContinueRacily,
}

/// Which limit of the tree the meter watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limit {
    Memory,
    Cpu,
    Workspace,
}

/// Guard → daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToMeter {
    /// Measure this guard's tree from now on.
    Watch { memory: Option<u64>, cpu: Option<Duration>, workspace: Option<u64> },
    /// Kill this guard's tree, which the guard can't find all of where signals aren't scoped.
    Kill,
}

/// Daemon → guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromMeter {
    /// A new highest memory use of the tree, in bytes.
    Peak(u64),
    /// A limit is exceeded.
    Over(Limit),
}
