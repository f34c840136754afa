//! What to run and under which limits: the [`Plan`] a program writes and the [`CheckedPlan`] that
//! goes down to the daemon. Nothing here makes a system call.

pub mod limits;
pub mod network;
pub mod paths;
mod validate;

pub(crate) use validate::writable;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use limits::Limits;
pub use network::{Endpoint, Network};
pub use paths::{Access, Grant};

use crate::error::Result;
use crate::policy::{CheckedPolicy, Policy};

/// One word of a command: text, or a path below the private workspace, whose place is only known
/// when the sandbox exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// `<workspace>/<bytes>`.
    Workspace(Vec<u8>),
}

/// Where the program's standard input comes from.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes, then end of file.
    Bytes(Vec<u8>),
    /// Written by [`Executor::write_stdin`](crate::Executor::write_stdin).
    Piped,
    /// A descriptor of the caller's.
    Fd(Arc<OwnedFd>),
}

/// Where the program's standard output or standard error goes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Sink {
    /// Into events and [`Output`](crate::Output).
    #[default]
    Capture,
    /// `/dev/null`.
    Null,
    /// A descriptor of the caller's. Its bytes are not counted against `limits.output`.
    Fd(Arc<OwnedFd>),
}

/// A command and everything it may do. Build it, then [`Plan::run`] it or give it to an
/// [`Executor`](crate::Executor).
///
/// By default: a clean environment, a private empty workspace as working directory and `HOME`,
/// system programs and libraries readable, nothing else readable or writable, no network,
/// 30 seconds, and [`Limits::default`].
///
/// ```
/// use evalbox::Plan;
///
/// let output = Plan::new(["sh", "-c", "echo hello; cat /etc/shadow"]).run()?;
/// assert_eq!(output.stdout, b"hello\n");
/// assert!(!output.ok());
/// # Ok::<(), evalbox::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a plan does nothing until it is run"]
pub struct Plan {
    pub(crate) argv: Vec<Word>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) collect: Vec<PathBuf>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
    pub(crate) grants: Vec<(PathBuf, Access)>,
    pub(crate) system: bool,
    pub(crate) connect: Vec<String>,
    pub(crate) bind: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Option<Duration>,
    pub(crate) terminal: bool,
    pub(crate) policy: Option<Policy>,
    pub(crate) audit: Option<Arc<OwnedFd>>,
}

impl Plan {
    /// A plan for a command: the program, then its arguments. A program without `/` is looked up
    /// in the plan's `PATH`.
    pub fn new<I, S>(command: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let argv = command.into_iter().map(|word| Word::Text(into_bytes(word.into()))).collect();
        Self {
            argv,
            env: Vec::new(),
            cwd: None,
            files: Vec::new(),
            collect: Vec::new(),
            stdin: Stdin::Null,
            stdout: Sink::Capture,
            stderr: Sink::Capture,
            grants: Vec::new(),
            system: true,
            connect: Vec::new(),
            bind: Vec::new(),
            limits: Limits::default(),
            timeout: Some(Duration::from_secs(30)),
            terminal: false,
            policy: None,
            audit: None,
        }
    }

    /// One more argument.
    pub fn arg(mut self, word: impl Into<OsString>) -> Self {
        self.argv.push(Word::Text(into_bytes(word.into())));
        self
    }

    /// One more argument: the absolute path of a file in the workspace.
    pub fn workspace_arg(mut self, path: impl AsRef<Path>) -> Self {
        self.argv.push(Word::Workspace(bytes(path.as_ref().as_os_str())));
        self
    }

    /// Sets a variable. The environment is otherwise `PATH`, `HOME`, `TMPDIR` and `LANG`.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// The working directory, absolute. It must be granted to be listed. Default: the workspace.
    pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Writes a file into the workspace before the start; the path is relative to it.
    pub fn file(mut self, path: impl Into<PathBuf>, data: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), data.into()));
        self
    }

    /// Brings a file of the workspace back in [`Output::files`](crate::Output::files), if it is
    /// there at the end. At most 64 MiB each.
    pub fn collect(mut self, path: impl Into<PathBuf>) -> Self {
        self.collect.push(path.into());
        self
    }

    /// Standard input. Default: empty.
    pub fn stdin(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(data.into());
        self
    }

    /// Standard input from elsewhere.
    pub fn stdin_from(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Standard output to elsewhere.
    pub fn stdout_to(mut self, sink: Sink) -> Self {
        self.stdout = sink;
        self
    }

    /// Standard error to elsewhere.
    pub fn stderr_to(mut self, sink: Sink) -> Self {
        self.stderr = sink;
        self
    }

    /// Makes the descriptor given as standard input the controlling terminal.
    pub fn terminal(mut self, on: bool) -> Self {
        self.terminal = on;
        self
    }

    /// Grants reading a file, or a directory and all below it. Absolute.
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.grants.push((path.into(), Access::Read));
        self
    }

    /// Grants reading and executing.
    pub fn execute(mut self, path: impl Into<PathBuf>) -> Self {
        self.grants.push((path.into(), Access::Execute));
        self
    }

    /// Grants reading, executing and every change.
    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.grants.push((path.into(), Access::Write));
        self
    }

    /// Whether system programs, libraries and harmless devices are granted. Default: yes.
    pub fn system(mut self, on: bool) -> Self {
        self.system = on;
        self
    }

    /// Grants TCP connections to `address:port` (`127.0.0.1:8080`, `10.0.0.0/8:443`, `*:443`,
    /// `localhost:*`), or a connection to a unix socket, `unix:/path`.
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.connect.push(endpoint.into());
        self
    }

    /// Grants listening on a TCP `address:port`.
    pub fn bind(mut self, endpoint: impl Into<String>) -> Self {
        self.bind.push(endpoint.into());
        self
    }

    /// Replaces all limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Wall time, after which the whole tree is killed. Default: 30 seconds.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// No limit on wall time.
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Has a policy decide, call by call, what the program may do within the grants. What the
    /// policy asks about comes as [`Event::Syscall`](crate::Event::Syscall).
    pub fn supervised(mut self, policy: impl Into<Policy>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Writes every decision to a file, a line of JSON each: when, which process, what it wanted,
    /// what was decided by which rule, and how long that took. Without a policy nothing is decided.
    pub fn audit(mut self, file: impl Into<OwnedFd>) -> Self {
        self.audit = Some(Arc::new(file.into()));
        self
    }

    /// Checks everything that can be checked without touching the machine.
    ///
    /// # Errors
    /// [`Error::Plan`](crate::Error::Plan), which names the field, the value and the limit.
    pub fn validate(&self) -> Result<CheckedPlan> {
        validate::validate(self)
    }
}

/// What is baked into a sandbox before it knows its command, and so what makes two runs alike
/// enough to share a sandbox made in advance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether system programs, libraries and harmless devices are granted.
    pub system: bool,
    /// The plan's own file system grants.
    pub grants: Vec<Grant>,
    /// Network grants.
    pub network: Network,
    /// Limits.
    pub limits: Limits,
    /// Whether the program has a terminal of its own.
    pub terminal: bool,
    /// What decides within the grants.
    pub(crate) policy: Option<CheckedPolicy>,
}

/// A file to write before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Relative path.
    pub path: Vec<u8>,
    /// Content.
    pub data: Vec<u8>,
}

/// How one standard stream is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// `/dev/null`.
    Null,
    /// A pipe to the host.
    Pipe,
    /// A descriptor that travels with the message.
    Passed,
}

/// What a sandbox is told when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The command.
    pub argv: Vec<Word>,
    /// Variables, without those the sandbox adds.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Working directory; the workspace if none.
    pub cwd: Option<Vec<u8>>,
    /// Files to write.
    pub files: Vec<FileSpec>,
    /// Files to bring back.
    pub collect: Vec<Vec<u8>>,
    /// Standard input, output, error.
    pub stdio: [Stream; 3],
    /// Wall time.
    pub timeout: Option<Duration>,
}

/// A plan that holds together. Made by [`Plan::validate`] only.
#[derive(Debug, Clone)]
pub struct CheckedPlan {
    pub(crate) confinement: Arc<Confinement>,
    pub(crate) launch: Launch,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
    pub(crate) audit: Option<Arc<OwnedFd>>,
}

impl CheckedPlan {
    /// What the sandbox is made of.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// What the sandbox starts with.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        &self.launch
    }
}

/// Bytes as text for a message: printable ASCII as it is, everything else escaped.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    const SHOWN: usize = 256;
    let mut text = format!("\"{}", bytes[..bytes.len().min(SHOWN)].escape_ascii());
    text.push_str(if bytes.len() > SHOWN { "…\"" } else { "\"" });
    text
}

pub(crate) fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_encoded_bytes().to_vec()
}

fn into_bytes(text: OsString) -> Vec<u8> {
    text.into_encoded_bytes()
}
