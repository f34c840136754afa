//! Every error of the crate: one enum per layer, joined in [`Error`].
//!
//! Causes and errnos are kept as values. What happens on the far side of the daemon's socket is
//! described by the same types, so they are serialisable.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What any call of this crate can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan itself is wrong: the message names the field, the value and the limit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The policy is wrong: the message names the rule, the value and what is wrong with it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// This machine, or this installation, can't run what was asked for.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The sandbox could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A running session was used wrongly or lost its other end.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No interpreter or toolchain for the language.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A mistake in a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PlanError {
    /// `Plan::new` was given no words, or an empty first word.
    #[error("command: it is empty; give at least the program to run")]
    EmptyCommand,
    /// A NUL byte, which no kernel string can carry.
    #[error("{field}: {value} has a NUL byte")]
    NulByte {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The value, escaped.
        value: String,
    },
    /// A path that must be absolute is not.
    #[error("{field}: {path} is not an absolute path")]
    NotAbsolute {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The path, escaped.
        path: String,
    },
    /// A path that must stay below its root has `..`, is absolute or empty.
    #[error(
        "{field}: {path} must be a relative path that stays inside the workspace, without '..'"
    )]
    Traversal {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The path, escaped.
        path: String,
    },
    /// A granted path, or the working directory, does not exist.
    #[error("{field}: {path}: {}", crate::error::errno_text(*.errno))]
    Path {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The path, escaped.
        path: String,
        /// What `open(2)` said.
        errno: i32,
    },
    /// A grant that would open the sandbox.
    #[error("{field}: {path} can't be granted: {reason}")]
    Forbidden {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The path, escaped.
        path: String,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// A number outside its limits.
    #[error("{field}: {value} is outside {min}..={max}{unit}")]
    OutOfRange {
        /// The plan's field.
        field: Cow<'static, str>,
        /// The value given.
        value: u64,
        /// The least accepted.
        min: u64,
        /// The most accepted.
        max: u64,
        /// The unit, with a leading blank, or empty.
        unit: Cow<'static, str>,
    },
    /// An environment variable name that is empty or has `=`.
    #[error("env: {name} is not a variable name")]
    EnvName {
        /// The name, escaped.
        name: String,
    },
    /// A file given twice.
    #[error("files: {path} is given twice")]
    DuplicateFile {
        /// The path, escaped.
        path: String,
    },
    /// A network address that can't be used.
    #[error("{field}: {value}: {problem}")]
    Address {
        /// `connect` or `bind`.
        field: Cow<'static, str>,
        /// The address, escaped.
        value: String,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// More bytes or entries than fit.
    #[error("{field}: {size} is more than the limit of {limit}{unit}")]
    TooLarge {
        /// The plan's field.
        field: Cow<'static, str>,
        /// What was given.
        size: u64,
        /// The limit.
        limit: u64,
        /// The unit, with a leading blank.
        unit: Cow<'static, str>,
    },
}

/// A mistake in a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{rule}: {value}: {problem}")]
#[non_exhaustive]
pub struct PolicyError {
    /// Which rule: its name, or its place such as `deny read`.
    pub rule: String,
    /// The value, escaped.
    pub value: String,
    /// What is wrong with it, and the right spelling where there is one.
    pub problem: String,
}

/// Why this machine or installation can't run the plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// No `evalbox-daemon` was found.
    #[error(
        "the evalbox-daemon executable was not found; looked at {}; install it with `cargo install evalbox` or set EVALBOX_DAEMON",
        crate::error::join_paths(.looked)
    )]
    NoDaemon {
        /// The places looked at, in order.
        looked: Vec<PathBuf>,
    },
    /// The daemon found is not of this version.
    #[error("{} speaks evalbox protocol {found:?}, this library speaks {wanted:?}; reinstall so that both are of one version", .path.display())]
    DaemonVersion {
        /// The executable.
        path: PathBuf,
        /// What it said.
        found: String,
        /// What this library is.
        wanted: String,
    },
    /// The daemon could not be started.
    #[error("{} could not be started", .path.display())]
    DaemonStart {
        /// The executable.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon started and said that it can't work here.
    #[error("{0}")]
    Machine(#[from] Machine),
    /// A resource of the host process is used up.
    #[error("{what} ({hint})")]
    Resources {
        /// What could not be had.
        what: &'static str,
        /// What to do.
        hint: &'static str,
        /// Why.
        source: io::Error,
    },
    /// This operating system has no evalbox backend in this build.
    #[error(
        "evalbox needs Linux; on this system it runs inside a virtual machine, which this build does not have"
    )]
    Platform,
}

/// What the daemon finds missing in the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Machine {
    /// No Landlock.
    #[error("this kernel has no Landlock ({}): evalbox needs Linux 5.13 or newer with Landlock enabled (boot with lsm=landlock,…); a kernel without it, or gVisor, can't hold a sandbox", crate::error::errno_text(*.errno))]
    NoLandlock {
        /// What `landlock_create_ruleset(2)` said.
        errno: i32,
    },
    /// No `SECCOMP_RET_USER_NOTIF`.
    #[error("this kernel has no seccomp user notification ({}): evalbox needs Linux 5.9 or newer with CONFIG_SECCOMP_FILTER", crate::error::errno_text(*.errno))]
    NoUserNotification {
        /// What `seccomp(2)` said.
        errno: i32,
    },
    /// No `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
    #[error(
        "supervision needs Linux 5.19 or newer (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV); plans without a policy run here"
    )]
    NoSupervision,
    /// `EBUSY`: a listener is installed already.
    #[error(
        "this process already runs under a seccomp listener, and the kernel allows one: evalbox can't run inside a supervised sandbox"
    )]
    NestedListener,
    /// Capabilities could not be given up.
    #[error("the daemon could not give up its capabilities: {}", crate::error::errno_text(*.errno))]
    Capabilities {
        /// What `capset(2)` said.
        errno: i32,
    },
    /// The directory for workspaces could not be made.
    #[error("workspace: {path}: {}", crate::error::errno_text(*.errno))]
    Workspace {
        /// The directory.
        path: String,
        /// Why.
        errno: i32,
    },
    /// Something else failed at start.
    #[error("{what}: {}", crate::error::errno_text(*.errno))]
    Start {
        /// The call.
        what: Cow<'static, str>,
        /// Why.
        errno: i32,
    },
}

/// Why a sandbox did not start. Nothing of the program has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LaunchError {
    /// A mistake in the plan that only the machine can see.
    #[error(transparent)]
    Plan(PlanError),
    /// The machine lacks a layer.
    #[error(transparent)]
    Machine(Machine),
    /// The command is in no directory of the plan's PATH.
    #[error("command: {command} was not found in PATH ({path})")]
    CommandNotFound {
        /// The word looked up.
        command: String,
        /// The plan's PATH.
        path: String,
    },
    /// The command exists and may not be run.
    #[error("command: {path} can't be executed: {reason}")]
    NotExecutable {
        /// The file.
        path: String,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// `execve(2)` failed for another reason.
    #[error("command: {path}: {}", crate::error::errno_text(*.errno))]
    Exec {
        /// The file.
        path: String,
        /// What `execve(2)` said.
        errno: i32,
    },
    /// A layer of the sandbox could not be applied. Fail closed.
    #[error("the sandbox layer '{layer}' could not be applied: {}", crate::error::errno_text(*.errno))]
    Layer {
        /// The layer.
        layer: Cow<'static, str>,
        /// Why.
        errno: i32,
    },
    /// A file of the plan could not be written into the workspace.
    #[error("files: {path}: {}", crate::error::errno_text(*.errno))]
    File {
        /// The path below the workspace.
        path: String,
        /// Why.
        errno: i32,
    },
    /// A process, descriptor or memory limit of the host was reached.
    #[error("{what}: {} (a limit of the host: check ulimit -u, pids.max, ulimit -n and free memory)", crate::error::errno_text(*.errno))]
    Resources {
        /// The call.
        what: Cow<'static, str>,
        /// Why.
        errno: i32,
    },
}

/// Wrong use of a running session, or its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No such sandbox in this executor.
    #[error("sandbox {0} is not running in this executor")]
    UnknownSandbox(u64),
    /// The process was forked after the executor was made.
    #[error("this executor belongs to process {owner}; a forked child must make its own")]
    UseAfterFork {
        /// The process that made it.
        owner: u32,
    },
    /// The daemon or the guard went away while a run was going on. The run was killed.
    #[error("the sandbox's guard process ended before the run did; the run was killed")]
    GuardDied,
    /// The sandbox's standard input is closed.
    #[error("the sandbox's standard input is closed")]
    StdinClosed,
    /// A system call of the host side failed.
    #[error("{call}")]
    Io {
        /// The call.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The other end sent something that is not the protocol.
    #[error("the guard sent a message that can't be read")]
    Protocol(#[source] postcard::Error),
}

/// No usable interpreter or toolchain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// None was found.
    #[error("no {language} interpreter was found: looked at {}; {remedy}", crate::error::join_paths(.looked))]
    NotFound {
        /// The language.
        language: &'static str,
        /// The places looked at.
        looked: Vec<PathBuf>,
        /// What to install.
        remedy: &'static str,
    },
    /// One was found and did not answer as an interpreter does.
    #[error("{} does not answer as a {language} interpreter: {problem}", .path.display())]
    Broken {
        /// The language.
        language: &'static str,
        /// The executable.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// A language evalbox does not know.
    #[error("language: {0:?} is not known; known are {known}", known = crate::runtime::NAMES.join(", "))]
    UnknownLanguage(String),
}

/// The C library's text for an errno, with its name: `EACCES: Permission denied`.
#[must_use]
pub fn errno_text(errno: i32) -> String {
    let errno = nix::errno::Errno::from_raw(errno);
    format!("{errno:?}: {}", errno.desc())
}

/// An error and its causes, on one line if none of them has more.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Transparent layers say what they hold.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn join_paths(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}
