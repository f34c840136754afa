//! Answers.

use serde::{Deserialize, Serialize};

/// What becomes of a call that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// It is performed.
    Allow,
    /// It fails, with `EACCES` unless another errno is given.
    Deny,
    /// The whole tree is killed.
    Kill,
}

impl Decision {
    /// Denies with another errno. Without effect on [`Decision::Allow`] and [`Decision::Kill`].
    #[must_use]
    pub fn errno(self, errno: i32) -> Answer {
        Answer::from(self).errno(errno)
    }

    /// Says why, in the list of refused calls and in the audit log.
    #[must_use]
    pub fn reason(self, reason: impl Into<String>) -> Answer {
        Answer::from(self).reason(reason)
    }

    /// How long the answer holds.
    #[must_use]
    pub fn remember(self, remember: Remember) -> Answer {
        Answer::from(self).remember(remember)
    }
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Remember {
    /// For this call.
    #[default]
    Once,
    /// For the same operation on the same target, to the end of the run.
    Run,
}

/// A [`Decision`] with everything that may be said with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    pub(crate) decision: Decision,
    pub(crate) errno: Option<i32>,
    pub(crate) reason: Option<String>,
    pub(crate) remember: Remember,
}

impl Answer {
    /// As [`Decision::errno`].
    #[must_use]
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = Some(errno);
        self
    }

    /// As [`Decision::reason`].
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// As [`Decision::remember`].
    #[must_use]
    pub fn remember(mut self, remember: Remember) -> Self {
        self.remember = remember;
        self
    }
}

impl From<Decision> for Answer {
    fn from(decision: Decision) -> Self {
        Self { decision, errno: None, reason: None, remember: Remember::Once }
    }
}
