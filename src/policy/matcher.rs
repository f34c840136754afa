//! The decision: a checked policy, with its places known, and a call → a verdict. Pure.

use super::context::{Address, OpenAccess, SyscallContext};
use super::endpoint::Endpoint;
use super::operation::{Operation, Operations};
use super::pattern::{Anchor, Bound, Meets};
use super::rules::{CheckedPolicy, CheckedRule, Outcome, Target};
use crate::plan::bytes;

/// What anchors of patterns stand for in one run. Absolute.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) workspace: Vec<u8>,
    pub(crate) home: Option<Vec<u8>>,
    pub(crate) tmp: Vec<u8>,
}

impl Places {
    fn of(&self, anchor: Anchor) -> Option<Vec<u8>> {
        match anchor {
            Anchor::Root => Some(b"/".to_vec()),
            Anchor::Home => self.home.clone(),
            Anchor::Workspace => Some(self.workspace.clone()),
            Anchor::Tmp => Some(self.tmp.clone()),
        }
    }
}

/// What the guard knows about a call's target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether the target (of a rename or link: the new name) exists.
    pub(crate) exists: bool,
    /// Whether it (of a rename or link: the old name) is a directory.
    pub(crate) directory: bool,
    /// Whether a program has more arguments than are shown.
    pub(crate) cut: bool,
}

/// What is decided about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Index of the deciding rule; `None` if the grants decide.
    pub(crate) rule: Option<usize>,
}

impl Verdict {
    fn stricter(self, other: Self) -> Self {
        let says_more = other.outcome == self.outcome && self.rule.is_none();
        if other.outcome > self.outcome || says_more { other } else { self }
    }
}

/// A policy ready to decide.
#[derive(Debug)]
pub(crate) struct Matcher {
    rules: Vec<(CheckedRule, Matched)>,
    /// Where the plan's grants lead, without links.
    grants: Vec<(Vec<u8>, Operations)>,
    /// Operations that rules allow beyond the grants, on some targets only.
    beyond: Operations,
}

/// A rule's target in a run.
#[derive(Debug)]
enum Matched {
    Everything,
    Path {
        pattern: Bound,
        except: Vec<Bound>,
        args: Option<Vec<String>>,
    },
    Endpoint {
        endpoint: Endpoint,
        unix: Option<Bound>,
        except: Vec<(Endpoint, Option<Bound>)>,
    },
    /// Its place does not exist in this run: no home directory.
    Nothing,
}

/// What one operation of a call is about.
#[derive(Debug, Clone, Copy)]
enum Object<'a> {
    Path { path: &'a [u8], directory: bool, argv: &'a [std::ffi::OsString], cut: bool },
    Address(&'a Address),
    Nothing,
}

impl Matcher {
    /// `grants`: where the plan's grants lead. `resolve` follows the links of a path that exists;
    /// `None` if there is none.
    pub(crate) fn new(
        policy: CheckedPolicy,
        places: &Places,
        grants: &[(Vec<u8>, Operations)],
        resolve: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let place = |anchor| places.of(anchor);
        let mut beyond = Operations::NONE;
        let rules = policy.rules.into_iter().map(|rule| {
            let targeted = !matches!(rule.target, Target::Everything);
            if targeted && matches!(rule.outcome, Outcome::Allow | Outcome::Ask) {
                beyond = beyond.and(rule.operations);
            }
            let matched = match &rule.target {
                Target::Everything => Matched::Everything,
                Target::Path { pattern, except, args } => match pattern.bind(place, &resolve) {
                    Some(pattern) => Matched::Path {
                        pattern,
                        except: except.iter().filter_map(|p| p.bind(place, &resolve)).collect(),
                        args: args.clone(),
                    },
                    None => Matched::Nothing,
                },
                Target::Endpoint { endpoint, except } => {
                    let bind = |endpoint: &Endpoint| endpoint.bind(place, &resolve);
                    Matched::Endpoint {
                        unix: bind(endpoint),
                        endpoint: endpoint.clone(),
                        except: except.iter().map(|e| (e.clone(), bind(e))).collect(),
                    }
                }
            };
            (rule, matched)
        });
        let rules = rules.collect();
        Self { rules, grants: grants.to_vec(), beyond }
    }

    /// The rule of a verdict.
    pub(crate) fn rule(&self, index: usize) -> &CheckedRule {
        &self.rules[index].0
    }

    /// Whether any rule is about such calls.
    pub(crate) fn concerns(&self, context: &SyscallContext) -> bool {
        let group = |operation| Operations::of(operation, false);
        let names = Operations::of(Operation::Write, true);
        let operations = match context {
            SyscallContext::Open { .. } => group(Operation::Open),
            SyscallContext::Truncate { .. } => group(Operation::Modify),
            SyscallContext::Delete { .. } => group(Operation::Delete),
            SyscallContext::Rename { .. } | SyscallContext::Link { .. } => names,
            SyscallContext::Symlink { .. }
            | SyscallContext::MakeDir { .. }
            | SyscallContext::MakeNode { .. } => group(Operation::Create),
            SyscallContext::SetMetadata { .. } => group(Operation::Metadata),
            SyscallContext::Exec { .. } => group(Operation::Exec),
            SyscallContext::Connect { .. } | SyscallContext::SendTo { .. } => {
                group(Operation::Connect)
            }
            SyscallContext::Bind { .. } => group(Operation::Bind).with(Operation::Create),
            SyscallContext::Fork => group(Operation::Fork),
            SyscallContext::Signal { .. } => group(Operation::Signal),
        };
        self.rules.iter().any(|(rule, _)| rule.operations.meets(operations))
    }

    /// Decides a call: the strictest over everything that it does.
    pub(crate) fn decide(&self, context: &SyscallContext, facts: Facts) -> Verdict {
        use Operation::{Bind, Connect, Create, Delete, Exec, Fork, Metadata, Modify, Read};
        let is_dir = facts.directory;
        let none: &[std::ffi::OsString] = &[];
        let on = |path: &std::path::Path, list: &[Operation], argv: &[std::ffi::OsString]| {
            let path = bytes(path.as_os_str());
            let object = Object::Path { path: &path, directory: is_dir, argv, cut: facts.cut };
            self.strictest(list, object)
        };
        match context {
            SyscallContext::Open { path, access, create, truncate } => {
                let new = if *create { Create } else { Modify };
                let mut list = match access {
                    OpenAccess::Read => vec![Read],
                    OpenAccess::Write => vec![new],
                    OpenAccess::ReadWrite => vec![Read, new],
                };
                if *truncate {
                    list.push(Modify);
                }
                // Also if it is opened for reading only, it is made.
                if *create {
                    list.push(Create);
                }
                on(path, &list, none)
            }
            SyscallContext::Truncate { path, .. } => on(path, &[Modify], none),
            SyscallContext::Delete { path } => on(path, &[Delete], none),
            SyscallContext::MakeDir { path }
            | SyscallContext::MakeNode { path }
            | SyscallContext::Symlink { path, .. } => on(path, &[Create], none),
            SyscallContext::SetMetadata { path, .. } => on(path, &[Metadata], none),
            SyscallContext::Exec { path, argv, .. } => on(path, &[Exec], argv),
            SyscallContext::Rename { from, to } => {
                let replaced: &[Operation] =
                    if facts.exists { &[Modify, Delete] } else { &[Create] };
                on(from, &[Operation::Rename], none)
                    .stricter(on(to, replaced, none))
                    .stricter(self.carried(from, to, facts))
            }
            SyscallContext::Link { from, to } => {
                on(to, &[Create], none).stricter(self.carried(from, to, facts))
            }
            SyscallContext::Connect { address, .. } | SyscallContext::SendTo { address } => {
                self.strictest(&[Connect], Object::Address(address))
            }
            SyscallContext::Bind { address } => {
                let bound = self.strictest(&[Bind], Object::Address(address));
                match address {
                    Address::Unix(path) => bound.stricter(on(path, &[Create], none)),
                    Address::Inet(_) => bound,
                }
            }
            SyscallContext::Fork => self.strictest(&[Fork], Object::Nothing),
            SyscallContext::Signal { .. } => self.strictest(&[Operation::Signal], Object::Nothing),
        }
    }

    /// Under its new name an object must not be held less strictly than under the old one.
    fn carried(&self, from: &std::path::Path, to: &std::path::Path, facts: Facts) -> Verdict {
        use Operation::{Delete, Metadata, Modify, Read};
        let (from, to) = (bytes(from.as_os_str()), bytes(to.as_os_str()));
        let object =
            |path| Object::Path { path, directory: facts.directory, argv: &[], cut: false };
        let socket = |path: &[u8]| {
            use std::os::unix::ffi::OsStrExt;
            Address::Unix(std::ffi::OsStr::from_bytes(path).into())
        };
        let (old_socket, new_socket) = (socket(&from), socket(&to));
        let mut verdict = Verdict { outcome: Outcome::Allow, rule: None };
        for operation in [Read, Modify, Delete, Metadata, Operation::Exec, Operation::Connect] {
            let (old, new) = if operation == Operation::Connect {
                (Object::Address(&old_socket), Object::Address(&new_socket))
            } else {
                (object(&from), object(&to))
            };
            let (old, new) = (self.strictest(&[operation], old), self.strictest(&[operation], new));
            // Where only grants decide, the kernel compares them itself.
            if old.outcome > new.outcome && old.rule.is_some() {
                verdict = verdict.stricter(old);
            }
        }
        verdict
    }

    fn strictest(&self, operations: &[Operation], object: Object<'_>) -> Verdict {
        let mut verdict = Verdict { outcome: Outcome::Allow, rule: None };
        for operation in operations {
            verdict = verdict.stricter(self.of(*operation, object));
        }
        verdict
    }

    fn of(&self, operation: Operation, object: Object<'_>) -> Verdict {
        let mut strictest: Option<Verdict> = None;
        let mut targeted = false;
        for (index, (rule, matched)) in self.rules.iter().enumerate() {
            if !rule.operations.has(operation) || !matched.matches(rule, object) {
                continue;
            }
            targeted |= !matches!(matched, Matched::Everything)
                && matches!(rule.outcome, Outcome::Allow | Outcome::Ask);
            let found = Verdict { outcome: rule.outcome, rule: Some(index) };
            strictest = Some(strictest.map_or(found, |verdict| verdict.stricter(found)));
        }
        let denied = Verdict { outcome: Outcome::Deny, rule: None };
        let covered = || targeted || self.is_covered(operation, object);
        match strictest {
            // What nothing allows need not be asked about.
            Some(verdict) if verdict.outcome == Outcome::Ask && !covered() => denied,
            Some(verdict) => verdict,
            None if self.beyond.has(operation) && !covered() => denied,
            None => Verdict { outcome: Outcome::Allow, rule: None },
        }
    }

    fn is_covered(&self, operation: Operation, object: Object<'_>) -> bool {
        let Object::Path { path, .. } = object else {
            // The guard compares addresses with the grants itself.
            return true;
        };
        let below = |grant: &[u8]| {
            let rest = if grant == b"/" { Some(path) } else { path.strip_prefix(grant) };
            rest.is_some_and(|rest| rest.is_empty() || grant == b"/" || rest[0] == b'/')
        };
        self.grants.is_empty()
            || self.grants.iter().any(|(grant, allowed)| allowed.has(operation) && below(grant))
    }

    /// Whether decisions below one of two names can differ from those below the other, so that
    /// moving a directory must be judged entry by entry.
    pub(crate) fn differs_below(&self, from: &[u8], to: &[u8]) -> bool {
        self.rules.iter().any(|(rule, matched)| match matched {
            Matched::Path { pattern, except, .. } => {
                let written = rule.outcome != Outcome::Allow;
                // What covers both names whole holds below both alike.
                std::iter::once(pattern).chain(except).any(|bound| {
                    let (old, new) =
                        (bound.meets(from, true, written), bound.meets(to, true, written));
                    old != new || old == Meets::Below
                })
            }
            _ => false,
        })
    }
}

impl Matched {
    fn matches(&self, rule: &CheckedRule, object: Object<'_>) -> bool {
        // A link's name holds for what is strict; an allow goes by where it leads.
        let written = rule.outcome != Outcome::Allow;
        match (self, object) {
            (Self::Everything, _) => true,
            (Self::Path { pattern, except, args }, Object::Path { path, directory, argv, cut }) => {
                pattern.matches(path, directory, written)
                    && !except.iter().any(|bound| bound.matches(path, directory, !written))
                    && args.as_ref().is_none_or(|args| {
                        // Of what isn't shown the worst is taken.
                        if cut { written } else { fit(args, argv.get(1..).unwrap_or_default()) }
                    })
            }
            (Self::Endpoint { endpoint, unix, except }, Object::Address(address)) => {
                endpoint.covers(address, unix.as_ref(), written)
                    && !except.iter().any(|(e, unix)| e.covers(address, unix.as_ref(), !written))
            }
            _ => false,
        }
    }
}

/// Whether arguments are as a rule lists them.
fn fit(wanted: &[String], argv: &[std::ffi::OsString]) -> bool {
    // Which numbers of wanted words may be used up after each argument.
    let mut at = vec![false; wanted.len() + 1];
    at[0] = true;
    let open = |at: &mut Vec<bool>| {
        for (i, word) in wanted.iter().enumerate() {
            if at[i] && word == "..." {
                at[i + 1] = true;
            }
        }
    };
    open(&mut at);
    for arg in argv {
        let arg = bytes(arg);
        let mut next = vec![false; at.len()];
        for (i, word) in wanted.iter().enumerate().filter(|(i, _)| at[*i]) {
            if word == "..." {
                next[i] = true;
            } else if super::pattern::fits_text(word, &arg) {
                next[i + 1] = true;
            }
        }
        open(&mut next);
        at = next;
    }
    at[wanted.len()]
}

impl CheckedPolicy {
    /// Places of a run whose private workspace this is.
    pub(crate) fn places(&self, own: Vec<u8>) -> Places {
        Places {
            workspace: self.workspace.clone().unwrap_or_else(|| own.clone()),
            home: self.home.clone(),
            tmp: own,
        }
    }

    /// Operations whose calls must be handed to the guard.
    pub(crate) fn trapped(&self) -> Operations {
        let mut trapped = Operations::NONE;
        for rule in &self.rules {
            let plain = match &rule.target {
                Target::Path { pattern, except, args } => {
                    pattern.is_tree() && except.is_empty() && args.is_none()
                }
                _ => false,
            };
            // A name is made in, and removed from, the directory above: the kernel's rights there
            // would be rights on its neighbours, too.
            let names = [Operation::Create, Operation::Delete, Operation::Rename];
            let names = names.into_iter().filter(|operation| rule.operations.has(*operation));
            if rule.outcome != Outcome::Allow || !plain {
                trapped = trapped.and(rule.operations);
            } else {
                trapped = names.fold(trapped, Operations::with);
            }
        }
        // Another name would be under other rules.
        let names = Operations::of(Operation::Write, true).with(Operation::Exec);
        let sockets = self.rules.iter().any(|rule| match &rule.target {
            Target::Endpoint { endpoint, .. } => {
                rule.outcome != Outcome::Allow && !endpoint.is_tcp()
            }
            _ => false,
        });
        if trapped.meets(names) || sockets { trapped.with(Operation::Rename) } else { trapped }
    }

    /// Places beyond the plan's grants that rules may let a call reach.
    pub(crate) fn roots(&self, places: &Places) -> Vec<(Vec<u8>, Operations)> {
        let mut roots = Vec::new();
        for rule in &self.rules {
            if let Target::Path { pattern, .. } = &rule.target
                && matches!(rule.outcome, Outcome::Allow | Outcome::Ask)
                && let Some(bound) = pattern.bind(|anchor| places.of(anchor), &|_| None)
            {
                roots.extend(bound.roots().map(|root| (root.to_vec(), rule.operations)));
            }
        }
        roots
    }

    /// Where rules may let connections go to, or sockets be bound, beyond the grants.
    pub(crate) fn network(&self, operation: Operation) -> Vec<Endpoint> {
        let rules = self.rules.iter().filter(|rule| {
            rule.operations.has(operation) && matches!(rule.outcome, Outcome::Allow | Outcome::Ask)
        });
        rules
            .filter_map(|rule| match &rule.target {
                Target::Endpoint { endpoint, .. } if endpoint.is_tcp() => Some(endpoint.clone()),
                Target::Everything => Some(Endpoint::anywhere()),
                _ => None,
            })
            .collect()
    }

    /// Whether internet sockets are of use.
    pub(crate) fn uses_tcp(&self) -> bool {
        !self.network(Operation::Connect).is_empty() || !self.network(Operation::Bind).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, Rule};
    use std::path::Path;

    fn matcher(policy: &Policy) -> Matcher {
        let places = Places {
            workspace: b"/w".to_vec(),
            home: Some(b"/home/u".to_vec()),
            tmp: b"/t".to_vec(),
        };
        let grants = [
            (b"/w".to_vec(), Operations::of(Operation::Write, true)),
            (b"/usr".to_vec(), Operations::of(Operation::Read, true).with(Operation::Exec)),
        ];
        Matcher::new(policy.check().unwrap(), &places, &grants, |_| None)
    }

    fn delete(path: &str) -> SyscallContext {
        SyscallContext::Delete { path: path.into() }
    }

    fn read(path: &str) -> SyscallContext {
        let access = OpenAccess::Read;
        SyscallContext::Open { path: path.into(), access, create: false, truncate: false }
    }

    fn rename(from: &str, to: &str) -> SyscallContext {
        SyscallContext::Rename { from: from.into(), to: to.into() }
    }

    fn outcome(policy: &Policy, call: &SyscallContext) -> Outcome {
        matcher(policy).decide(call, Facts::default()).outcome
    }

    #[test]
    fn the_strictest_wins_in_any_order() {
        let rules = [
            Rule::allow(Operation::Write, "."),
            Rule::ask(Operation::Delete, "."),
            Rule::deny(Operation::Delete, "./d"),
            Rule::kill(Operation::Delete, "./d/x"),
        ];
        for turn in 0..rules.len() {
            let mut turned = rules.to_vec();
            turned.rotate_left(turn);
            let policy = turned.into_iter().fold(Policy::new(), Policy::rule);
            assert_eq!(outcome(&policy, &delete("/w/d/x")), Outcome::Kill);
            assert_eq!(outcome(&policy, &delete("/w/d/y")), Outcome::Deny);
            assert_eq!(outcome(&policy, &delete("/w/e")), Outcome::Ask);
            assert_eq!(outcome(&policy, &delete("/elsewhere")), Outcome::Deny);
            assert_eq!(outcome(&policy, &read("/w/e")), Outcome::Allow);
        }
    }

    #[test]
    fn what_nothing_allows_is_not_asked_about() {
        let policy = Policy::new().ask_about([Operation::Delete]);
        assert_eq!(outcome(&policy, &delete("/w/a")), Outcome::Ask);
        assert_eq!(outcome(&policy, &delete("/etc/x")), Outcome::Deny);
        assert_eq!(outcome(&policy, &read("/etc/x")), Outcome::Allow, "the kernel decides");
        let policy = policy.ask(Operation::Delete, ["/etc/x"]);
        assert_eq!(outcome(&policy, &delete("/etc/x")), Outcome::Ask);
        assert_eq!(outcome(&policy, &delete("/etc/y")), Outcome::Deny);
    }

    #[test]
    fn exceptions_narrow_their_own_rule() {
        let rule = Rule::deny(Operation::Read, "./**/.env*").except("./**/.env.example");
        let policy = Policy::new().rule(rule);
        assert_eq!(outcome(&policy, &read("/w/.env.example")), Outcome::Allow);
        assert_eq!(outcome(&policy, &read("/w/a/.env.local")), Outcome::Deny);
    }

    #[test]
    fn nothing_escapes_its_rule_under_another_name() {
        let policy = Policy::new()
            .deny(Operation::Read, ["./**/.env"])
            .deny(Operation::Write, ["./.git/hooks"]);
        assert_eq!(outcome(&policy, &rename("/w/.env", "/w/x")), Outcome::Deny);
        assert_eq!(outcome(&policy, &rename("/w/x", "/w/.git/hooks/p")), Outcome::Deny);
        assert_eq!(outcome(&policy, &rename("/w/x", "/w/y")), Outcome::Allow);
        let link = SyscallContext::Link { from: "/w/.env".into(), to: "/w/y".into() };
        assert_eq!(outcome(&policy, &link), Outcome::Deny);
        let symlink = SyscallContext::Symlink { path: "/w/l".into(), target: ".env".into() };
        assert_eq!(outcome(&policy, &symlink), Outcome::Allow);
        let matcher = matcher(&policy);
        assert!(matcher.differs_below(b"/w/.git", b"/w/g"));
        let bare = self::matcher(&Policy::new().ask_about([Operation::All]));
        assert!(!bare.differs_below(b"/w/.git", b"/w/g"));
    }

    #[test]
    fn a_name_that_is_replaced_is_deleted() {
        let policy = Policy::new().deny(Operation::Delete, ["./keep"]);
        let matcher = matcher(&policy);
        let call = rename("/w/x", "/w/keep");
        let there = Facts { exists: true, directory: false, cut: false };
        assert_eq!(matcher.decide(&call, there).outcome, Outcome::Deny);
        assert_eq!(matcher.decide(&call, Facts::default()).outcome, Outcome::Allow);
    }

    #[test]
    fn arguments_are_compared_one_by_one() {
        let fits = |wanted: &[&str], argv: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|w| (*w).to_owned()).collect();
            let argv: Vec<_> = argv.iter().map(Into::into).collect();
            fit(&wanted, &argv)
        };
        assert!(fits(&["test"], &["test"]) && !fits(&["test"], &["test", "V=1"]));
        let push = ["...", "push", "...", "--force*", "..."];
        assert!(fits(&push, &["push", "--force-with-lease"]));
        assert!(fits(&push, &["-C", "x", "push", "-f", "--force"]));
        assert!(!fits(&push, &["push", "origin"]));
        assert!(fits(&["..."], &[]) && fits(&["a/*"], &["a/b/c"]));
    }

    #[test]
    fn traps_are_what_the_kernel_cannot_decide_alone() {
        let trapped = |policy: Policy| policy.check().unwrap().trapped();
        let none = trapped(Policy::new().allow(Operation::Read, ["/data", "./x"]));
        assert_eq!(none, Operations::NONE);
        let glob = trapped(Policy::new().allow(Operation::Read, ["/data/*.txt"]));
        assert!(glob.has(Operation::Read) && !glob.has(Operation::Modify));
        let delete = trapped(Policy::new().ask_about([Operation::Delete]));
        assert!(delete.has(Operation::Delete) && delete.has(Operation::Rename));
        assert!(!delete.has(Operation::Read) && !delete.has(Operation::Create));
        let connect = trapped(Policy::new().ask_about([Operation::Connect]));
        assert!(!connect.has(Operation::Rename));
    }

    /// Random calls never panic, and one more strict rule never loosens.
    #[test]
    fn stricter_policies_are_never_looser() {
        let mut state = 7u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let patterns = [".", "./a", "./a/*", "/**/b", "./{a,b}/", "~/x", "./a?", "/w/a/**"];
        let paths = ["/w", "/w/a", "/w/a/b", "/w/ab/c", "/b", "/home/u/x", "/w/b/", "/x"];
        let operations = [Operation::Read, Operation::Write, Operation::Delete, Operation::Open];
        for _ in 0..2_000 {
            let mut policy = Policy::new();
            for _ in 0..next(5) {
                let make = [Rule::allow, Rule::ask, Rule::deny, Rule::kill][next(4)];
                let (operation, pattern) = (operations[next(4)], patterns[next(patterns.len())]);
                policy = policy.rule(make(operation, pattern.to_owned()));
            }
            let operation = operations[next(4)];
            let stricter = policy.clone().deny(operation, [patterns[next(patterns.len())]]);
            let path = |at: usize| Path::new(paths[at]).to_path_buf();
            let call = match next(3) {
                0 => delete(paths[next(paths.len())]),
                1 => read(paths[next(paths.len())]),
                _ => SyscallContext::Rename {
                    from: path(next(paths.len())),
                    to: path(next(paths.len())),
                },
            };
            let facts = Facts { exists: next(2) == 0, directory: next(2) == 0, cut: false };
            let before = matcher(&policy).decide(&call, facts).outcome;
            let after = matcher(&stricter).decide(&call, facts).outcome;
            // A rename may become possible where its old name is no longer the stricter one.
            if !matches!(call, SyscallContext::Rename { .. }) {
                assert!(after >= before, "{policy:?} {call:?}");
            }
        }
    }
}
