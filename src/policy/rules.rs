//! Rules as users write them, and as they are checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::operation::{Operation, Operations};
use super::pattern::Pattern;
use crate::error::PolicyError;
use crate::plan::escape;

/// Rules of one policy.
const RULES: usize = 1_000;
/// A longer time is a mistake in units.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(366 * 86_400);
/// What a call that is denied may be told: the errors that programs expect of such calls.
const ERRNOS: [(i32, &str); 6] = [
    (13, "EACCES"),
    (1, "EPERM"),
    (2, "ENOENT"),
    (30, "EROFS"),
    (111, "ECONNREFUSED"),
    (101, "ENETUNREACH"),
];
const EACCES: i32 = 13;

/// What a rule decides. The strictest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Allow,
    Ask,
    Deny,
    Kill,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Kill => "kill",
        }
    }
}

/// One rule: what is decided about an operation on a target.
///
/// A target of files is a pattern: `/data` and `./src` match with all that is below; `*` and `?`
/// stay within a component, `**` stands for any number of them; `~` is the home directory. What
/// doesn't begin with `/` or `~` lies below the directory that the program starts in. A target of
/// `connect` and `bind` is `host:port` (`10.0.0.0/8:443`, `loopback:8000-8010`, `public:*`) or
/// `unix:/path`.
///
/// ```
/// use evalbox::{Operation, Policy, Rule};
///
/// let policy = Policy::new()
///     .ask_about([Operation::Delete])
///     .rule(Rule::deny(Operation::Read, "./**/.env*").except("./**/.env.example"));
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

impl Rule {
    fn new(outcome: Outcome, operation: Operation, target: Option<String>) -> Self {
        Self {
            outcome,
            operation,
            target,
            args: None,
            except: Vec::new(),
            errno: None,
            reason: None,
            name: None,
        }
    }

    /// Allows, beyond the plan's grants.
    pub fn allow(operation: Operation, target: impl Into<String>) -> Self {
        Self::new(Outcome::Allow, operation, Some(target.into()))
    }

    /// Asks the host.
    pub fn ask(operation: Operation, target: impl Into<String>) -> Self {
        Self::new(Outcome::Ask, operation, Some(target.into()))
    }

    /// Denies, also what is granted.
    pub fn deny(operation: Operation, target: impl Into<String>) -> Self {
        Self::new(Outcome::Deny, operation, Some(target.into()))
    }

    /// Kills the whole tree.
    pub fn kill(operation: Operation, target: impl Into<String>) -> Self {
        Self::new(Outcome::Kill, operation, Some(target.into()))
    }

    /// Only with exactly these arguments after the program's name. `"..."` stands for any number of
    /// them; `*` and `?` within one match any characters. For [`Operation::Exec`].
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = Some(args.into_iter().map(Into::into).collect());
        self
    }

    /// Not what this matches. Narrows this rule only.
    pub fn except(mut self, target: impl Into<String>) -> Self {
        self.except.push(target.into());
        self
    }

    /// What the program is told, instead of `EACCES`. For deny rules; one of `EACCES`, `EPERM`,
    /// `ENOENT`, `EROFS`, `ECONNREFUSED` and `ENETUNREACH`.
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = Some(errno);
        self
    }

    /// Why, for people.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// A name for messages and the audit log.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// What a supervised run may do, beside its plan's grants: a list of [`Rule`]s.
///
/// Of all rules that match a call the strictest wins: kill over deny over ask over allow. If none
/// matches, the grants decide. The order of rules never matters.
///
/// ```
/// use evalbox::{Operation, Plan, Policy};
///
/// let policy = Policy::new()
///     .ask_about([Operation::Delete, Operation::Exec])
///     .deny(Operation::Write, ["./.git/hooks"]);
/// let plan = Plan::new(["make"]).write("/home/me/project").cwd("/home/me/project");
/// assert!(plan.supervised(policy).validate().is_ok());
/// ```
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
    /// What `~` is.
    pub(crate) home: Option<Vec<u8>>,
    /// What relative patterns start from. `None`: the run's private workspace.
    pub(crate) workspace: Option<Vec<u8>>,
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
    /// Whatever the grants cover.
    Everything,
    Path {
        pattern: Pattern,
        except: Vec<Pattern>,
        args: Option<Vec<String>>,
    },
    Endpoint {
        endpoint: Endpoint,
        except: Vec<Endpoint>,
    },
}

impl Policy {
    /// No rules: the plan's grants decide everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Asks about operations wherever the grants, or other rules, allow them.
    pub fn ask_about(self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.everywhere(Outcome::Ask, operations)
    }

    /// Denies operations everywhere.
    pub fn deny_all(self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.everywhere(Outcome::Deny, operations)
    }

    /// Kills the tree at the first of these operations.
    pub fn kill_all(self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.everywhere(Outcome::Kill, operations)
    }

    fn everywhere(
        mut self,
        outcome: Outcome,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Self {
        self.rules.extend(operations.into_iter().map(|op| Rule::new(outcome, op, None)));
        self
    }

    /// Allows an operation on targets, beyond the plan's grants.
    pub fn allow<S: Into<String>>(
        self,
        operation: Operation,
        targets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.on(Rule::allow, operation, targets)
    }

    /// Asks about an operation on targets.
    pub fn ask<S: Into<String>>(
        self,
        operation: Operation,
        targets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.on(Rule::ask, operation, targets)
    }

    /// Denies an operation on targets.
    pub fn deny<S: Into<String>>(
        self,
        operation: Operation,
        targets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.on(Rule::deny, operation, targets)
    }

    /// Kills the tree if an operation is tried on targets.
    pub fn kill<S: Into<String>>(
        self,
        operation: Operation,
        targets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.on(Rule::kill, operation, targets)
    }

    fn on<S: Into<String>>(
        mut self,
        make: fn(Operation, String) -> Rule,
        operation: Operation,
        targets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.rules.extend(targets.into_iter().map(|target| make(operation, target.into())));
        self
    }

    /// The rules of both. The shorter time for answers holds.
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.ask_timeout = self.ask_timeout.into_iter().chain(other.ask_timeout).min();
        self
    }

    /// How long a question may stay open before it is denied. Default: for ever.
    pub fn ask_timeout(mut self, time: Duration) -> Self {
        self.ask_timeout = Some(time);
        self
    }

    /// Checks every rule.
    pub(crate) fn check(&self) -> Result<CheckedPolicy, PolicyError> {
        let wrong = |rule: &str, value: String, problem: String| PolicyError {
            rule: rule.to_owned(),
            value,
            problem,
        };
        if self.rules.len() > RULES {
            let count = self.rules.len().to_string();
            return Err(wrong("rules", count, format!("more than the limit of {RULES}")));
        }
        if let Some(time) = self.ask_timeout
            && !(Duration::from_millis(1)..=LONGEST_TIMEOUT).contains(&time)
        {
            let problem = "outside 1 ms to 366 days".to_owned();
            return Err(wrong("ask_timeout", format!("{time:?}"), problem));
        }
        let mut rules = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.iter().enumerate() {
            let place = format!("{} {}[{index}]", rule.outcome.name(), rule.operation.name());
            let name = rule.name.clone().unwrap_or(place);
            let checked = rule
                .check(&name)
                .map_err(|(value, problem)| wrong(&name, escape(value.as_bytes()), problem))?;
            rules.push(checked);
        }
        let ask_timeout = self.ask_timeout;
        Ok(CheckedPolicy { rules, ask_timeout, ..CheckedPolicy::default() })
    }
}

impl Rule {
    /// The error is the value and what is wrong with it.
    fn check(&self, name: &str) -> Result<CheckedRule, (String, String)> {
        let operations = Operations::of(self.operation, self.outcome == Outcome::Allow);
        let network = Operations::of(Operation::Network, false);
        let bare = Operations::of(Operation::Fork, false).with(Operation::Signal);
        let is_exec = operations == Operations::of(Operation::Exec, false);
        let endpoints = operations.iter().all(|op| network.has(op));
        let files = !operations.meets(network.and(bare));
        let value = self.target.clone().unwrap_or_default();
        let wrong = |problem: &str| (value.clone(), problem.to_owned());
        if let Some(errno) = self.errno {
            if self.outcome != Outcome::Deny {
                return Err((errno.to_string(), "errno is for deny rules".into()));
            }
            if !ERRNOS.iter().any(|(known, _)| *known == errno) {
                let names: Vec<_> = ERRNOS.iter().map(|(_, name)| *name).collect();
                return Err((errno.to_string(), format!("errno is one of {}", names.join(", "))));
            }
        }
        if self.args.is_some() && (!is_exec || self.target.is_none()) {
            return Err(wrong("arguments are for exec rules with a program"));
        }
        if !self.except.is_empty() && self.target.is_none() {
            return Err(wrong("except narrows a target, and there is none"));
        }
        let target = match &self.target {
            None => Target::Everything,
            Some(text) if endpoints => {
                let except = self
                    .except
                    .iter()
                    .map(|text| Endpoint::parse(text).map_err(|problem| (text.clone(), problem)));
                Target::Endpoint {
                    endpoint: Endpoint::parse(text).map_err(|problem| (text.clone(), problem))?,
                    except: except.collect::<Result<_, _>>()?,
                }
            }
            Some(text) if files => {
                if is_exec && !text.contains('/') {
                    let problem = format!(
                        "a program is named by its path; write it absolute, or /**/{text} for any file of that name"
                    );
                    return Err((text.clone(), problem));
                }
                if ["tcp:", "udp:", "unix:"].iter().any(|kind| text.starts_with(kind)) {
                    return Err(wrong("it is an address; this operation takes paths"));
                }
                let parse =
                    |text: &String| Pattern::parse(text).map_err(|problem| (text.clone(), problem));
                Target::Path {
                    pattern: parse(text)?,
                    except: self.except.iter().map(parse).collect::<Result<_, _>>()?,
                    args: self.args.clone(),
                }
            }
            Some(_) => {
                return Err(wrong(
                    "this operation takes no target, or its members take different ones; name them one by one",
                ));
            }
        };
        Ok(CheckedRule {
            outcome: self.outcome,
            operations,
            target,
            errno: self.errno.unwrap_or(EACCES),
            reason: self.reason.clone(),
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_their_rule() {
        let second = Duration::from_secs(1);
        let cases = [
            (Policy::new().deny(Operation::Read, ["**/x"]), "deny read[0]: \"**/x\": say where"),
            (Policy::new().allow(Operation::Connect, ["x"]), "allow connect[0]"),
            (Policy::new().ask(Operation::Fork, ["x"]), "ask fork[0]"),
            (Policy::new().ask(Operation::All, ["/x"]), "ask all[0]"),
            (Policy::new().ask(Operation::Exec, ["git"]), "/**/git"),
            (Policy::new().rule(Rule::ask(Operation::Read, "/x").errno(1)), "errno is for deny"),
            (Policy::new().rule(Rule::deny(Operation::Read, "/x").errno(5)), "errno is one of"),
            (Policy::new().rule(Rule::deny(Operation::Read, "/x").args(["a"])), "arguments"),
            (Policy::new().rule(Rule::deny(Operation::Read, "/x").except("*")), "say where"),
            (Policy::new().rule(Rule::kill(Operation::Bind, ":").named("mine")), "mine: "),
            (Policy::new().ask_timeout(Duration::ZERO), "ask_timeout"),
            (Policy::new().ask_timeout(second * u32::MAX), "ask_timeout"),
        ];
        for (policy, wanted) in cases {
            let error = policy.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error:?} must say {wanted:?}");
        }
        let many = (0..1_001).fold(Policy::new(), |policy, _| policy.deny_all([Operation::Fork]));
        assert!(many.check().unwrap_err().to_string().contains("1000"));
    }

    #[test]
    fn rules_come_out_as_written() {
        let checked = Policy::new()
            .ask_about([Operation::Delete])
            .rule(Rule::deny(Operation::Connect, "public:*").errno(111).reason("offline"))
            .check()
            .unwrap();
        assert_eq!(checked.rules[0].target, Target::Everything);
        assert_eq!(checked.rules[0].name, "ask delete[0]");
        assert_eq!((checked.rules[1].errno, checked.rules[1].outcome), (111, Outcome::Deny));
    }
}
