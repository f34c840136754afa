//! Rules as users write them, and as they are checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::operation::{Operation, Operations};
use super::pattern::Pattern;
use crate::error::PolicyError;

/// What a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Allow,
    Ask,
    Deny,
    Kill,
}

/// One rule: what is decided about which operation on which targets.
///
/// ```
/// use evalbox::policy::{Operation, Policy, Rule};
///
/// let policy = Policy::new()
///     .ask_about([Operation::Delete])
///     .rule(Rule::deny(Operation::Read, "./**/.env*").except("./**/.env.example").reason("secrets"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use = "a rule does nothing until it is in a policy"]
pub struct Rule {
    pub(crate) outcome: Outcome,
    pub(crate) operation: Operation,
    /// `None`: every target.
    pub(crate) target: Option<String>,
    /// Arguments, for `exec`. `None`: any.
    pub(crate) args: Option<Vec<String>>,
    pub(crate) except: Vec<String>,
    pub(crate) errno: Option<i32>,
    pub(crate) reason: Option<String>,
    pub(crate) name: Option<String>,
}

/// What a supervised run may do, beside its plan's grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[must_use = "a policy does nothing until a plan is supervised by it"]
pub struct Policy {
    pub(crate) rules: Vec<Rule>,
    pub(crate) ask_timeout: Option<Duration>,
}

/// A policy that holds together. Made by [`Policy::check`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct CheckedPolicy {
    pub(crate) rules: Vec<CheckedRule>,
    /// How long a question may stay open before it is denied.
    pub(crate) ask_timeout: Option<Duration>,
    /// Whether every decision is told to the host.
    pub(crate) audit: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct CheckedRule {
    pub(crate) outcome: Outcome,
    pub(crate) operations: Operations,
    pub(crate) target: Target,
    pub(crate) errno: i32,
    pub(crate) reason: Option<String>,
    /// For messages and the audit log.
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Target {
    /// Whatever the plan's grants cover.
    Everything,
    Path { pattern: Pattern, except: Vec<Pattern>, args: Option<Vec<String>> },
    Endpoint { endpoint: Endpoint, except: Vec<Endpoint> },
}

impl Policy {
    /// Checks every rule.
    pub(crate) fn check(&self) -> Result<CheckedPolicy, PolicyError> {
        todo!()
    }
}

impl Policy {
    /// No rules: the plan's grants decide everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks about an operation wherever the grants allow it.
    pub fn ask_about(self, operations: impl IntoIterator<Item = Operation>) -> Self {
        let _ = operations;
        self
    }
}

impl Rule {
    /// Denies.
    pub fn deny(operation: Operation, target: impl Into<String>) -> Self {
        let _ = (operation, target);
        todo!()
    }
}
