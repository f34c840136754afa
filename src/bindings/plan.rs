//! `Plan`.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::{
    Data, Endpoints, Input, Keywords, Paths, Places, Seconds, Supervise, Text, Words, anchored,
    append, apply,
};
use super::limits::Limits;
use super::output::Output;
use super::policy::Names;
use super::wait;
use crate::plan::{Word, escape};
use crate::runtime::Runtime;

/// A command and everything it may do. A plan is never changed: its methods return new ones.
///
/// By default: a clean environment, a private empty workspace as working directory and HOME, system
/// programs and libraries readable, nothing else readable or writable, no network, 30 seconds, and
/// the default Limits. A plan is checked when it is run.
///
/// command: the program, then its arguments. A program without "/" is looked up in the plan's PATH.
/// read, write, execute: one path or several to grant, each with all below it. Absolute, or "." and
///     what begins with "./" for the directory this process is in now.
/// connect, bind: "address:port" or several, such as "127.0.0.1:8080", "10.0.0.0/8:443", "*:443",
///     or "unix:/path".
/// env: variables to set.
/// cwd: the working directory, absolute or "./…". Default: the workspace.
/// files: what to write into the workspace before the start, by relative path.
/// collect: paths of the workspace to bring back in Output.files.
/// stdin: standard input, text being written as UTF-8, or PIPE. Default: empty.
/// timeout: seconds of wall time, after which the whole tree is killed, or None.
/// limits: what it may use.
/// supervise, ask: as Plan.supervised takes them; supervise is a Policy or a callback.
/// audit: a file to write every decision to.
///
/// Raises TypeError for an argument of a wrong type.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) plan: crate::Plan,
    /// What takes the runtime's own out of the output.
    pub(super) runtime: Option<&'static dyn Runtime>,
    /// What answers questions.
    pub(super) decide: Option<Arc<Py<PyAny>>>,
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(
        signature = (command, **keywords),
        text_signature = "(command, *, read=(), write=(), execute=(), connect=(), bind=(), env=None, cwd=None, files=None, collect=(), stdin=None, timeout=30.0, limits=None, supervise=None, ask=None, audit=None)"
    )]
    fn new(command: Words, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let keywords = Keywords::read("Plan", keywords, &[])?;
        let mut keywords = keywords;
        let decide = keywords.decide.take();
        Ok(Self { plan: apply!(crate::Plan::new(command.0), keywords), runtime: None, decide })
    }

    /// One more argument.
    #[pyo3(signature = (word, /))]
    fn arg(&self, word: Text) -> Self {
        self.with(|plan| plan.arg(word.0))
    }

    /// Grants reading a file, or a directory and all below it. Absolute or "./…"; one path or several.
    #[pyo3(signature = (path, /))]
    fn read(&self, path: Places) -> Self {
        self.with_each(path.0, crate::Plan::read)
    }

    /// Grants reading, executing and every change. Absolute or "./…"; one path or several.
    #[pyo3(signature = (path, /))]
    fn write(&self, path: Places) -> Self {
        self.with_each(path.0, crate::Plan::write)
    }

    /// Grants reading and executing. Absolute or "./…"; one path or several.
    #[pyo3(signature = (path, /))]
    fn execute(&self, path: Places) -> Self {
        self.with_each(path.0, crate::Plan::execute)
    }

    /// Grants TCP connections to "address:port", or a connection to "unix:/path"; one or several.
    #[pyo3(signature = (endpoint, /))]
    fn connect(&self, endpoint: Endpoints) -> Self {
        self.with_each(endpoint.0, crate::Plan::connect)
    }

    /// Grants listening on a TCP "address:port"; one or several.
    #[pyo3(signature = (endpoint, /))]
    fn bind(&self, endpoint: Endpoints) -> Self {
        self.with_each(endpoint.0, crate::Plan::bind)
    }

    /// Sets variables: env("NAME", "value") or env(NAME="value", …).
    #[pyo3(signature = (name = None, value = None, /, **variables))]
    fn env(
        &self,
        name: Option<Text>,
        value: Option<Text>,
        variables: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut plan = self.plan.clone();
        match (name, value) {
            (Some(name), Some(value)) => plan = plan.env(name.0, value.0),
            (None, None) => {}
            _ => return Err(PyTypeError::new_err("env() takes a name and a value")),
        }
        for (name, value) in variables.into_iter().flatten() {
            plan = plan.env(name.extract::<Text>()?.0, value.extract::<Text>()?.0);
        }
        Ok(self.with(|_| plan))
    }

    /// The working directory, absolute or "./…". It must be granted to be listed.
    #[pyo3(signature = (path, /))]
    fn cwd(&self, path: Text) -> PyResult<Self> {
        let path = anchored(path.0)?;
        Ok(self.with(|plan| plan.cwd(path)))
    }

    /// Writes a file into the workspace before the start. The path is relative to the workspace;
    /// text is written as UTF-8.
    #[pyo3(signature = (path, data, /))]
    fn file(&self, path: Text, data: Data) -> Self {
        self.with(|plan| plan.file(path.0, data.0))
    }

    /// Brings files of the workspace back in Output.files, if they are there at the end. At most
    /// 64 MiB each; one relative path or several.
    #[pyo3(signature = (path, /))]
    fn collect(&self, path: Paths) -> Self {
        self.with_each(path.0, crate::Plan::collect)
    }

    /// Standard input: bytes, text that is written as UTF-8, or PIPE for Session.write_stdin.
    #[pyo3(signature = (data, /))]
    fn stdin(&self, data: Input) -> Self {
        self.with(|plan| plan.stdin_from(data.0))
    }

    /// Seconds of wall time, after which the whole tree is killed; None for no limit.
    #[pyo3(signature = (seconds, /))]
    fn timeout(&self, seconds: Option<Seconds>) -> Self {
        self.with(|plan| match seconds {
            Some(time) => plan.timeout(time.0),
            None => plan.no_timeout(),
        })
    }

    /// Replaces all limits.
    #[pyo3(signature = (limits, /))]
    fn limits(&self, limits: &Limits) -> Self {
        self.with(|plan| plan.limits(limits.0.clone()))
    }

    /// Has a policy decide, call by call, what the program may do within the grants.
    ///
    /// policy: a Policy.
    /// decide: answers what the policy asks about, in run() and arun(): a function that takes a
    ///     context (evalbox.Delete, evalbox.Exec, …) and returns evalbox.ALLOW, DENY or KILL. For
    ///     arun() it may be async. Without one, a Session yields Syscall events. Its exceptions deny
    ///     the call, end the run, and come out of run().
    /// ask: operations to ask about, beside the policy's. With neither a policy nor ask, everything
    ///     is asked about that changes files, executes programs or uses the network.
    ///
    /// policy and decide may be given in either place. On a plan that has a policy already, rules are
    /// added to it.
    #[pyo3(signature = (policy = None, decide = None, *, ask = None))]
    fn supervised(
        &self,
        policy: Option<&Bound<'_, PyAny>>,
        decide: Option<&Bound<'_, PyAny>>,
        ask: Option<Names>,
    ) -> PyResult<Self> {
        let mut supervise = Supervise::default();
        for part in [policy, decide].into_iter().flatten() {
            supervise.take(part)?;
        }
        if let Some(Names(ask)) = ask {
            supervise.ask = Some(ask);
        }
        let before = self.plan.policy.clone();
        let (policy, decide) = supervise.finish(before.is_none());
        let mut plan = self.with(|plan| match (before, policy) {
            // Rules are added to those that are there: nothing is lost.
            (Some(before), Some(policy)) => plan.supervised(before.and(policy)),
            (None, Some(policy)) => plan.supervised(policy),
            (_, None) => plan,
        });
        plan.decide = decide.or_else(|| self.decide.clone());
        Ok(plan)
    }

    /// Writes every decision to a file, a line of JSON each, behind what is in it.
    ///
    /// Raises OSError if it can't be opened.
    #[pyo3(signature = (path, /))]
    fn audit(&self, path: Text) -> PyResult<Self> {
        let file = append(&path)?;
        Ok(self.with(|plan| plan.audit(file)))
    }

    /// Runs the plan to its end, as a coroutine: other tasks of the event loop run meanwhile, and
    /// cancelling it kills the run. Takes and raises what run() does.
    #[pyo3(signature = (*, check = false))]
    fn arun<'py>(slf: Bound<'py, Self>, check: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        wait::no_pipe(py, &slf.get().plan)?;
        let words = PyDict::new(py);
        words.set_item("check", check)?;
        py.import("evalbox.aio")?.call_method("run", (slf,), Some(&words))
    }

    /// The plan without its callback, and the callback.
    fn _parts(&self, py: Python<'_>) -> (Self, Option<Py<PyAny>>) {
        let mut plan = self.with(|plan| plan);
        let decide = plan.decide.take().map(|decide| decide.clone_ref(py));
        (plan, decide)
    }

    /// Runs the plan to its end. Other threads run meanwhile, and a signal handler that raises
    /// (Ctrl-C) kills the run first.
    ///
    /// check: whether a run that is not `ok` raises, as Output.check does.
    ///
    /// Raises PlanError for a mistake in the plan, Unavailable for a machine that can't hold a
    /// sandbox, LaunchError for a command that can't be started.
    #[pyo3(signature = (*, check = false))]
    fn run<'py>(&self, py: Python<'py>, check: bool) -> PyResult<Bound<'py, Output>> {
        self.run_now(py, check)
    }

    fn __repr__(&self) -> String {
        let words: Vec<_> = self.plan.argv.iter().map(word).collect();
        format!("Plan([{}])", words.join(", "))
    }
}

impl Plan {
    pub(super) fn run_now<'py>(
        &self,
        py: Python<'py>,
        check: bool,
    ) -> PyResult<Bound<'py, Output>> {
        let output = Output::new(wait::run(py, &self.plan, self.decide.as_deref())?, self.runtime);
        let output = Bound::new(py, output)?;
        if check {
            output.get().check_now(&output)?;
        }
        Ok(output)
    }

    fn with(&self, change: impl FnOnce(crate::Plan) -> crate::Plan) -> Self {
        Self { plan: change(self.plan.clone()), runtime: self.runtime, decide: self.decide.clone() }
    }

    fn with_each<T>(&self, items: Vec<T>, change: impl Fn(crate::Plan, T) -> crate::Plan) -> Self {
        self.with(|plan| items.into_iter().fold(plan, change))
    }
}

/// A word as it is shown. Never more than its beginning.
fn word(word: &Word) -> String {
    match word {
        Word::Text(text) => escape(text),
        Word::Workspace(path) => format!("<workspace>/{}", escape(path)),
    }
}
