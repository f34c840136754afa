//! What a supervised run may do: [`Policy`], a list of rules about operations; the
//! [`SyscallContext`] that a call turns into; and [`Decision`]s. Pure: nothing here makes a system
//! call.
//!
//! Of all rules that match a call the strictest wins: kill over deny over ask over allow. If none
//! matches, the plan's grants decide. Order and specificity never matter.

mod context;
mod decision;
mod endpoint;
mod matcher;
mod operation;
mod pattern;
mod rules;

pub use context::{Address, MetadataChange, OpenAccess, SyscallContext};
pub use decision::{Answer, Decision, Remember};
pub use operation::Operation;
pub use rules::{Policy, Rule};

pub(crate) use matcher::{Facts, Matcher, Places, Verdict};
pub(crate) use operation::Operations;
pub(crate) use rules::{CheckedPolicy, Outcome};
