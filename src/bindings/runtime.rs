//! Languages.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::{Data, Keywords, apply};
use super::errors;
use super::output::Output;
use super::plan::Plan;
use crate::Config;
use crate::runtime::{self, by_name};

/// What these functions take beside the words of `Plan`.
const MORE: &[&str] = &["args", "venv", "interpreter"];
const MORE_TO_RUN: &[&str] = &["args", "venv", "interpreter", "check"];

/// A language: what turns code into a Plan.
///
/// name: "python" or "shell".
///
/// Raises PlanError for a language evalbox doesn't know.
#[pyclass(frozen, eq, hash, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Runtime(&'static dyn runtime::Runtime);

#[pymethods]
impl Runtime {
    #[new]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        by_name(name).map(Self).map_err(|error| errors::raise(py, &error))
    }

    /// The language.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The plan that runs code, for a Session or to be built upon. Takes the keywords of Plan, and
    /// those of Runtime.run but `check`.
    ///
    /// Raises RuntimeNotFound if there is no usable interpreter.
    #[pyo3(
        signature = (code, **keywords),
        text_signature = "($self, code, *, args=(), venv=None, interpreter=None, read=(), write=(), execute=(), connect=(), bind=(), env=None, cwd=None, files=None, collect=(), stdin=None, timeout=30.0, limits=None, supervise=None, ask=None, audit=None)"
    )]
    fn plan(
        &self,
        py: Python<'_>,
        code: Data,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Plan> {
        let keywords = Keywords::read("plan", keywords, MORE)?;
        make(py, self.0, &code.0, keywords)
    }

    /// Runs code to its end. Takes the keywords of Plan, and:
    ///
    /// args: arguments of the program.
    /// venv: Python: the virtual environment to run in. It can be read and not be changed.
    /// interpreter: the interpreter: a path, or a name to be looked up in this process's PATH.
    /// check: whether a run that is not `ok` raises, as Output.check does.
    ///
    /// Raises what Plan.run raises, and RuntimeNotFound if there is no usable interpreter.
    #[pyo3(
        signature = (code, **keywords),
        text_signature = "($self, code, *, args=(), venv=None, interpreter=None, check=False, read=(), write=(), execute=(), connect=(), bind=(), env=None, cwd=None, files=None, collect=(), stdin=None, timeout=30.0, limits=None, supervise=None, ask=None, audit=None)"
    )]
    fn run<'py>(
        &self,
        py: Python<'py>,
        code: Data,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Output>> {
        let keywords = Keywords::read("run", keywords, MORE_TO_RUN)?;
        let check = keywords.check;
        make(py, self.0, &code.0, keywords)?.run_now(py, check)
    }

    fn __repr__(&self) -> String {
        format!("Runtime('{}')", self.name())
    }

    fn __reduce__<'py>(slf: Bound<'py, Self>) -> (Bound<'py, PyAny>, (&'static str,)) {
        (slf.get_type().into_any(), (slf.get().name(),))
    }
}

/// Runs code of a language to its end, as Runtime(language).run does.
///
/// language: "python" or "shell".
#[pyfunction]
#[pyo3(
    signature = (code, language = "python", **keywords),
    text_signature = "(code, language='python', *, args=(), venv=None, interpreter=None, check=False, read=(), write=(), execute=(), connect=(), bind=(), env=None, cwd=None, files=None, collect=(), stdin=None, timeout=30.0, limits=None, supervise=None, ask=None, audit=None)"
)]
pub(super) fn run<'py>(
    py: Python<'py>,
    code: Data,
    language: &str,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, Output>> {
    Runtime::new(py, language)?.run(py, code, keywords)
}

fn make(
    py: Python<'_>,
    runtime: &'static dyn runtime::Runtime,
    code: &[u8],
    mut keywords: Keywords,
) -> PyResult<Plan> {
    let mut config = Config::new();
    if let Some(path) = keywords.venv.take() {
        config = config.venv(path);
    }
    if let Some(path) = keywords.interpreter.take() {
        config = config.interpreter(path);
    }
    let decide = keywords.decide.take();
    let config = apply!(config, keywords);
    // Interpreters are asked what they are.
    let plan = py.detach(|| runtime.plan(code, &config));
    let plan = plan.map_err(|error| errors::raise(py, &error))?;
    Ok(Plan { plan, runtime: Some(runtime), decide })
}

impl PartialEq for Runtime {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl std::hash::Hash for Runtime {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
