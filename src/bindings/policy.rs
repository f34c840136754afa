//! `Policy`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::convert::Seconds;
use super::errors;
use crate::error::{Error, PolicyError};
use crate::policy::{Operation, Rule};

/// What a supervised run may do, beside its plan's grants. A policy is never changed: its methods
/// return new ones.
///
/// Of all rules that match a call the strictest wins: kill over deny over ask over allow. If none
/// matches, the plan's grants decide. The order of rules never matters.
///
/// Operations: read, modify, create, delete, rename, metadata, exec, connect, bind, fork, signal;
/// groups of them: write (all that changes files), open, network, all.
///
/// ask, deny, kill: operations that are asked about, denied, or end the run, wherever they happen.
/// ask_timeout: seconds after which an unanswered question is denied. Default: never.
/// The other keywords are operations that are allowed on targets beyond the plan's grants.
///
/// Targets: one pattern or several. `/data` and `./src` match with all that is below; `*` and `?` stay
/// within a component, `**` stands for any number of them; `~` is the home directory; relative ones
/// start from the directory the program starts in. For connect and bind `host:port`, such as
/// `10.0.0.0/8:443`, `loopback:*`, `public:80,443`, or `unix:/path`. For exec a path pattern, or a
/// list of one and the arguments, in which "..." stands for any number.
///
/// Raises PolicyError, which names the rule, the value and what is wrong with it.
#[pyclass(frozen, eq, hash, module = "evalbox")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Policy(pub(super) crate::Policy);

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (*, ask = None, deny = None, kill = None, ask_timeout = None, **allow))]
    fn new(
        py: Python<'_>,
        ask: Option<Names>,
        deny: Option<Names>,
        kill: Option<Names>,
        ask_timeout: Option<Seconds>,
        allow: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let names = |names: Option<Names>| names.map_or_else(Vec::new, |names| names.0);
        let mut policy =
            crate::Policy::new().ask_about(names(ask)).deny_all(names(deny)).kill_all(names(kill));
        if let Some(time) = ask_timeout {
            policy = policy.ask_timeout(time.0);
        }
        Self(policy).add(py, Rule::allow, &PyTuple::empty(py), allow, &Words::default())
    }

    /// Allows operations on targets, beyond the plan's grants: allow(read="/data").
    #[pyo3(signature = (*, unless = None, name = None, **targets))]
    fn allow(
        &self,
        py: Python<'_>,
        unless: Option<Patterns>,
        name: Option<String>,
        targets: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let words = Words { unless, name, ..Words::default() };
        self.add(py, Rule::allow, &PyTuple::empty(py), targets, &words)
    }

    /// Asks: ask("delete", exec="/usr/bin/git"). Names alone mean wherever the grants allow it.
    #[pyo3(signature = (*operations, unless = None, reason = None, name = None, **targets))]
    fn ask(
        &self,
        py: Python<'_>,
        operations: &Bound<'_, PyTuple>,
        unless: Option<Patterns>,
        reason: Option<String>,
        name: Option<String>,
        targets: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let words = Words { unless, reason, name, errno: None };
        self.add(py, Rule::ask, operations, targets, &words)
    }

    /// Denies, also what is granted: deny(read="./**/.env*", unless="./**/.env.example").
    ///
    /// errno: what the program is told instead of EACCES: EPERM, ENOENT, EROFS, ECONNREFUSED or
    ///     ENETUNREACH of the module errno.
    #[pyo3(
        signature = (*operations, unless = None, reason = None, name = None, errno = None, **targets)
    )]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn deny(
        &self,
        py: Python<'_>,
        operations: &Bound<'_, PyTuple>,
        unless: Option<Patterns>,
        reason: Option<String>,
        name: Option<String>,
        errno: Option<i32>,
        targets: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let words = Words { unless, reason, name, errno };
        self.add(py, Rule::deny, operations, targets, &words)
    }

    /// Ends the run at the first try.
    #[pyo3(signature = (*operations, unless = None, reason = None, name = None, **targets))]
    fn kill(
        &self,
        py: Python<'_>,
        operations: &Bound<'_, PyTuple>,
        unless: Option<Patterns>,
        reason: Option<String>,
        name: Option<String>,
        targets: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let words = Words { unless, reason, name, errno: None };
        self.add(py, Rule::kill, operations, targets, &words)
    }

    fn __repr__(&self) -> String {
        format!("<evalbox.Policy with {} rules>", self.0.rules.len())
    }
}

/// What may be said of a rule.
#[derive(Debug, Default)]
struct Words {
    unless: Option<Patterns>,
    reason: Option<String>,
    name: Option<String>,
    errno: Option<i32>,
}

impl Words {
    fn put(&self, mut rule: Rule) -> Rule {
        for pattern in self.unless.iter().flat_map(|unless| &unless.0) {
            rule = rule.except(pattern);
        }
        if let Some(reason) = &self.reason {
            rule = rule.reason(reason);
        }
        if let Some(name) = &self.name {
            rule = rule.named(name);
        }
        match self.errno {
            Some(errno) => rule.errno(errno),
            None => rule,
        }
    }
}

impl Policy {
    fn add(
        &self,
        py: Python<'_>,
        make: fn(Operation, String) -> Rule,
        operations: &Bound<'_, PyTuple>,
        targets: Option<&Bound<'_, PyDict>>,
        words: &Words,
    ) -> PyResult<Self> {
        let mut policy = self.0.clone();
        for name in operations {
            let mut rule = make(operation(&name)?, String::new());
            rule.target = None;
            policy = policy.rule(words.put(rule));
        }
        for (name, value) in targets.into_iter().flatten() {
            let operation = operation(&name)?;
            for (target, args) in wanted(&value)? {
                let rule = words.put(make(operation, target));
                policy = policy.rule(match args {
                    Some(args) => rule.args(args),
                    None => rule,
                });
            }
        }
        policy.check().map_err(|error| raise(py, error))?;
        Ok(Self(policy))
    }
}

fn raise(py: Python<'_>, error: PolicyError) -> PyErr {
    errors::raise(py, &Error::Policy(error))
}

/// Targets: text, or texts; and for programs lists with arguments.
fn wanted(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<Vec<String>>)>> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(vec![(text, None)]);
    }
    let one = |item: Bound<'_, PyAny>| {
        if let Ok(text) = item.extract::<String>() {
            return Ok((text, None));
        }
        let mut words: Vec<String> = item.extract()?;
        if words.is_empty() {
            return Err(PyTypeError::new_err("a list of a program and its arguments is empty"));
        }
        let program = words.remove(0);
        Ok((program, Some(words)))
    };
    value.try_iter()?.map(|item| one(item?)).collect()
}

fn operation(name: &Bound<'_, PyAny>) -> PyResult<Operation> {
    let text = name.cast::<PyString>()?.to_str()?;
    Operation::by_name(text).ok_or_else(|| {
        let known: Vec<_> = Operation::names().collect();
        let problem = format!("it is no operation; there are {}", known.join(", "));
        let error = PolicyError { rule: "operation".into(), value: format!("{text:?}"), problem };
        raise(name.py(), error)
    })
}

/// Names of operations: one, or several.
#[derive(Debug)]
pub(super) struct Names(pub(super) Vec<Operation>);

impl<'a, 'py> FromPyObject<'a, 'py> for Names {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyString>() {
            return Ok(Self(vec![operation(&value)?]));
        }
        let list = value.try_iter()?.map(|name| operation(&name?));
        Ok(Self(list.collect::<PyResult<_>>()?))
    }
}

/// One pattern, or several.
#[derive(Debug)]
struct Patterns(Vec<String>);

impl<'a, 'py> FromPyObject<'a, 'py> for Patterns {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self(vec![text]));
        }
        Ok(Self(value.extract()?))
    }
}
