//! What a run leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::wire::{Refused, Status, Usage};

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// Standard output, up to `limits.output`.
    pub stdout: Vec<u8>,
    /// Standard error, up to `limits.output`.
    pub stderr: Vec<u8>,
    /// Whether output was lost because `limits.output` was reached.
    pub truncated: bool,
    /// Files asked for with [`Plan::collect`](crate::Plan::collect) that were there at the end.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Calls that the sandbox refused, each with the grant that would allow it. At most 256 kinds.
    pub refused: Vec<Refused>,
    /// Kinds of refused calls beyond those.
    pub refused_beyond: u32,
    /// What was used.
    pub usage: Usage,
    /// Python: `repr()` of the value of the last expression, if it is not `None`.
    pub value: Option<String>,
    /// Python: the exception that ended the program.
    pub error: Option<Exception>,
}

/// An exception of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exception {
    /// The class, with its module unless that is `builtins` or `__main__`.
    pub kind: String,
    /// `str()` of the exception.
    pub message: String,
    /// The traceback as Python prints it.
    pub traceback: String,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            status: Status::Killed,
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
            files: BTreeMap::new(),
            refused: Vec::new(),
            refused_beyond: 0,
            usage: Usage::default(),
            value: None,
            error: None,
        }
    }

    /// Whether the program ended by itself with exit code 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == Status::Exited(0)
    }

    /// The exit code, if the program ended by itself.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self.status {
            Status::Exited(code) => Some(code),
            _ => None,
        }
    }

    /// The signal that ended the program, `SIGKILL` (9) if a limit did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.status {
            Status::Exited(_) => None,
            Status::Signaled(signal) => Some(signal),
            _ => Some(9),
        }
    }

    /// Standard output as text; bytes that are not UTF-8 become `U+FFFD`.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; bytes that are not UTF-8 become `U+FFFD`.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}
