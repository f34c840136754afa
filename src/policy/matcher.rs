//! The decision: a checked policy, with its places known, and a call → a verdict.

use super::context::SyscallContext;
use super::operation::{Operation, Operations};
use super::rules::{CheckedPolicy, Outcome};

/// What anchors of patterns stand for in one run. Absolute, without links.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) workspace: Vec<u8>,
    pub(crate) home: Option<Vec<u8>>,
    pub(crate) tmp: Vec<u8>,
}

/// What the guard knows about a call's target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    /// Whether the target (of a rename or link: the new name) exists.
    pub(crate) exists: bool,
    /// Whether it (of a rename or link: the old name) is a directory.
    pub(crate) directory: bool,
}

/// What is decided about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Index of the deciding rule; `None` if the grants decide.
    pub(crate) rule: Option<usize>,
}

/// A policy ready to decide.
#[derive(Debug)]
pub(crate) struct Matcher {
    policy: CheckedPolicy,
}

impl Matcher {
    /// `resolve` follows the links of a path that exists; `None` if there is none.
    pub(crate) fn new(
        policy: CheckedPolicy,
        places: &Places,
        resolve: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let _ = (places, resolve);
        Self { policy }
    }

    /// Decides a call.
    pub(crate) fn decide(&self, context: &SyscallContext, facts: Facts) -> Verdict {
        let _ = (&self.policy, context, facts);
        todo!()
    }

    /// Whether decisions below one of two names can differ, so that moving a directory from one to
    /// the other must be judged entry by entry.
    pub(crate) fn differs_below(&self, from: &[u8], to: &[u8]) -> bool {
        let _ = (from, to);
        todo!()
    }
}

impl CheckedPolicy {
    /// Operations whose calls must be handed to the guard.
    pub(crate) fn trapped(&self) -> Operations {
        todo!()
    }

    /// Places beyond the plan's grants that a rule may let a call reach, with the operations:
    /// literal roots of allow and ask rules.
    pub(crate) fn roots(&self, places: &Places) -> Vec<(Vec<u8>, Operations)> {
        let _ = places;
        todo!()
    }

    /// Whether any rule allows or asks about connecting or binding (TCP, UDP).
    pub(crate) fn network(&self, operation: Operation) -> Vec<super::endpoint::Endpoint> {
        let _ = operation;
        todo!()
    }
}
