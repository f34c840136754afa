//! `Output` and its parts.

use std::os::unix::ffi::{OsStrExt, OsStringExt};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::convert::seconds;
use super::errors::{self, Class};
use super::literal;
use super::pickle::{pickle, unpickle};
use crate::runtime::Runtime;
use crate::{Exception, Status};

/// The result of a run.
#[pyclass(frozen, module = "evalbox")]
pub(super) struct Output {
    output: crate::Output,
    stdout: PyOnceLock<Py<PyString>>,
    stderr: PyOnceLock<Py<PyString>>,
    files: PyOnceLock<Py<PyDict>>,
    refused: PyOnceLock<Py<PyList>>,
    value: PyOnceLock<Py<PyAny>>,
}

impl From<crate::Output> for Output {
    fn from(output: crate::Output) -> Self {
        Self {
            output,
            stdout: PyOnceLock::new(),
            stderr: PyOnceLock::new(),
            files: PyOnceLock::new(),
            refused: PyOnceLock::new(),
            value: PyOnceLock::new(),
        }
    }
}

#[pymethods]
impl Output {
    /// Whether the program ended by itself with exit code 0.
    #[getter]
    fn ok(&self) -> bool {
        self.output.ok()
    }

    /// The exit code, or None if the program didn't end by itself.
    #[getter]
    fn exit_code(&self) -> Option<i32> {
        self.output.exit_code()
    }

    /// The signal that ended the program, 9 if a limit did, or None.
    #[getter]
    fn signal(&self) -> Option<i32> {
        self.output.signal()
    }

    /// How it ended: "exited", "signaled", "timed_out", "out_of_memory", "cpu_limit",
    /// "output_limit", "workspace_limit" or "killed".
    #[getter]
    fn status(&self) -> &'static str {
        self.output.status.name()
    }

    /// Standard output, read as UTF-8. What is not UTF-8 becomes U+FFFD.
    #[getter]
    fn stdout<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, &self.stdout, &self.output.stdout)
    }

    /// Standard error, read as UTF-8. What is not UTF-8 becomes U+FFFD.
    #[getter]
    fn stderr<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, &self.stderr, &self.output.stderr)
    }

    /// Standard output as it was written.
    #[getter]
    fn stdout_bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Standard error as it was written.
    #[getter]
    fn stderr_bytes(&self) -> &[u8] {
        &self.output.stderr
    }

    /// Whether output was lost because limits.output was reached.
    #[getter]
    fn truncated(&self) -> bool {
        self.output.truncated
    }

    /// The files asked for with `collect` that were there at the end, by relative path.
    #[getter]
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let files = self.files.get_or_try_init(py, || {
            let dict = PyDict::new(py);
            for (path, data) in &self.output.files {
                dict.set_item(path.as_os_str(), PyBytes::new(py, data))?;
            }
            PyResult::Ok(dict.unbind())
        })?;
        Ok(files.bind(py).clone())
    }

    /// Calls that the sandbox refused, at most 256 kinds of them. Paths outside every grant are
    /// refused by the kernel and are not here.
    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let refused = self.refused.get_or_try_init(py, || {
            let all = self.output.refused.iter().cloned().map(Refused::from);
            let all = all.map(|one| Py::new(py, one)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, all).map(Bound::unbind)
        })?;
        Ok(refused.bind(py).clone())
    }

    /// How many kinds of refused calls there were beyond those.
    #[getter]
    fn refused_beyond(&self) -> u32 {
        self.output.refused_beyond
    }

    /// What was used.
    #[getter]
    fn usage(&self) -> Usage {
        Usage(self.output.usage)
    }

    /// Seconds from the start of the program to the end of its last process.
    #[getter]
    fn duration(&self) -> f64 {
        seconds(self.output.usage.wall)
    }

    /// Python: the value of the last expression, if its repr is a literal of at most 64 KiB, else
    /// its repr. None if there is none.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(repr) = &self.output.value else { return Ok(None) };
        let value =
            self.value.get_or_try_init(py, || literal::value(py, repr).map(Bound::unbind))?;
        Ok(Some(value.bind(py).clone()))
    }

    /// Python: the repr of the value of the last expression, or None.
    #[getter]
    fn value_repr(&self) -> Option<&str> {
        self.output.value.as_deref()
    }

    /// Python: the exception that ended the program, or None.
    #[getter]
    fn error(&self) -> Option<ExceptionInfo> {
        let Exception { kind, message, traceback } = self.output.error.clone()?;
        Some(ExceptionInfo { kind, message, traceback })
    }

    /// Returns itself if `ok`, and raises otherwise.
    ///
    /// Raises TimeoutExpired, OutputLimitExceeded or ExecutionFailed, each with this as `output`.
    fn check<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().check_now(&slf)?;
        Ok(slf)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = format!("Output(status='{}'", self.status());
        match self.output.status {
            Status::Exited(code) => text.push_str(&format!(", exit_code={code}")),
            Status::Signaled(signal) => text.push_str(&format!(", signal={signal}")),
            _ => {}
        }
        if let Some(value) = &self.output.value {
            text.push_str(&format!(", value={}", short(value)));
        }
        for (name, bytes) in [("stdout", &self.output.stdout), ("stderr", &self.output.stderr)] {
            if !bytes.is_empty() {
                let shown = short(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]));
                text.push_str(&format!(", {name}={}", PyString::new(py, &shown).repr()?));
            }
        }
        if let Some(error) = &self.output.error {
            text.push_str(&format!(", error={}", error.kind));
        }
        text.push_str(&format!(", duration={:.3})", self.duration()));
        Ok(text)
    }

    fn __reduce__<'py>(slf: Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Vec<u8>,))> {
        pickle(slf.as_any(), &State::of(&slf.get().output))
    }

    #[staticmethod]
    #[pyo3(signature = (state, /))]
    fn _restore(state: &[u8]) -> PyResult<Self> {
        Ok(unpickle::<State>(state)?.into_output().into())
    }
}

impl Output {
    /// The output of a plan that a runtime may have made.
    pub(super) fn new(mut output: crate::Output, runtime: Option<&dyn Runtime>) -> Self {
        if let Some(runtime) = runtime {
            runtime.finish(&mut output);
        }
        output.into()
    }

    /// Raises unless `ok`.
    pub(super) fn check_now(&self, slf: &Bound<'_, Self>) -> PyResult<()> {
        let class = match self.output.status {
            Status::Exited(0) => return Ok(()),
            Status::TimedOut => Class::TimeoutExpired,
            Status::OutputLimit => Class::OutputLimitExceeded,
            _ => Class::ExecutionFailed,
        };
        Err(class.error(slf.py(), errors::Run { message: self.problem(), output: slf.clone() }))
    }

    /// How it ended and the last it said.
    fn problem(&self) -> String {
        let mut text = match self.output.status {
            Status::Exited(code) => format!("the program ended with exit code {code}"),
            Status::Signaled(signal) => match nix::sys::signal::Signal::try_from(signal) {
                Ok(name) => format!("the program was ended by signal {signal} ({name})"),
                Err(_) => format!("the program was ended by signal {signal}"),
            },
            Status::TimedOut => {
                format!("the program was killed after {:.3} s, its timeout", self.duration())
            }
            Status::CpuLimit => "the program used up limits.cpu".to_owned(),
            Status::OutOfMemory => "the program exceeded limits.memory".to_owned(),
            Status::OutputLimit => "the program exceeded limits.output".to_owned(),
            Status::WorkspaceLimit => "the program exceeded limits.workspace".to_owned(),
            Status::Killed => "the program was killed".to_owned(),
        };
        let said = match &self.output.error {
            Some(error) => format!("{}: {}", error.kind, error.message),
            None => {
                let tail = &self.output.stderr[self.output.stderr.len().saturating_sub(4096)..];
                let tail = String::from_utf8_lossy(tail);
                tail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
            }
        };
        if !said.is_empty() {
            text.push_str(": ");
            text.push_str(&short(&said));
        }
        text
    }
}

/// Characters of a long text in `repr()` and messages.
const SHOWN: usize = 200;

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn text<'py>(
    py: Python<'py>,
    cell: &PyOnceLock<Py<PyString>>,
    bytes: &[u8],
) -> Bound<'py, PyString> {
    cell.get_or_init(py, || PyString::new(py, &String::from_utf8_lossy(bytes)).unbind())
        .bind(py)
        .clone()
}

/// What is pickled.
#[derive(serde::Serialize, serde::Deserialize)]
struct State {
    status: Status,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
    files: Vec<(Vec<u8>, Vec<u8>)>,
    refused: Vec<crate::Refused>,
    refused_beyond: u32,
    usage: crate::Usage,
    value: Option<String>,
    error: Option<[String; 3]>,
}

impl State {
    fn of(output: &crate::Output) -> Self {
        let files = output.files.iter();
        let error = output.error.clone();
        Self {
            status: output.status,
            stdout: output.stdout.clone(),
            stderr: output.stderr.clone(),
            truncated: output.truncated,
            files: files.map(|(k, v)| (k.as_os_str().as_bytes().to_vec(), v.clone())).collect(),
            refused: output.refused.clone(),
            refused_beyond: output.refused_beyond,
            usage: output.usage,
            value: output.value.clone(),
            error: error.map(|error| [error.kind, error.message, error.traceback]),
        }
    }

    fn into_output(self) -> crate::Output {
        let path = |bytes| std::ffi::OsString::from_vec(bytes).into();
        crate::Output {
            status: self.status,
            stdout: self.stdout,
            stderr: self.stderr,
            truncated: self.truncated,
            files: self.files.into_iter().map(|(name, data)| (path(name), data)).collect(),
            refused: self.refused,
            refused_beyond: self.refused_beyond,
            usage: self.usage,
            value: self.value,
            error: self.error.map(|[kind, message, traceback]| Exception {
                kind,
                message,
                traceback,
            }),
        }
    }
}

/// What a run used.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Usage(crate::Usage);

#[pymethods]
impl Usage {
    /// Seconds from the start of the program to the end of its last process.
    #[getter]
    fn wall(&self) -> f64 {
        seconds(self.0.wall)
    }

    /// Seconds of CPU time in user mode, of all processes that were waited for.
    #[getter]
    fn user(&self) -> f64 {
        seconds(self.0.user)
    }

    /// Seconds of CPU time in the kernel, of all processes that were waited for.
    #[getter]
    fn system(&self) -> f64 {
        seconds(self.0.system)
    }

    /// The most memory seen, in bytes: of the tree in runs of 10 ms and more, else the largest
    /// resident set of one process.
    #[getter]
    fn peak_memory(&self) -> u64 {
        self.0.peak_memory
    }

    /// Processes and threads started.
    #[getter]
    fn tasks(&self) -> u32 {
        self.0.tasks
    }

    fn __repr__(&self) -> String {
        format!(
            "Usage(wall={:?}, user={:?}, system={:?}, peak_memory={}, tasks={})",
            self.wall(),
            self.user(),
            self.system(),
            self.0.peak_memory,
            self.0.tasks,
        )
    }
}

/// A call that the sandbox refused.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Refused {
    /// The system call.
    syscall: String,
    /// What it was about: a path, an address, a number. Empty if there is nothing to say.
    target: String,
    /// The errno that the program saw.
    errno: i32,
    /// The grant that would allow it, or None.
    grant: Option<String>,
    /// How many times.
    count: u32,
}

impl From<crate::Refused> for Refused {
    fn from(refused: crate::Refused) -> Self {
        let crate::Refused { syscall, target, errno, grant, count } = refused;
        Self { syscall, target, errno, grant, count }
    }
}

#[pymethods]
impl Refused {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let grant = match &self.grant {
            Some(grant) => PyString::new(py, grant).repr()?.to_string(),
            None => "None".to_owned(),
        };
        Ok(format!(
            "Refused(syscall={}, target={}, errno={}, grant={grant}, count={})",
            PyString::new(py, &self.syscall).repr()?,
            PyString::new(py, &self.target).repr()?,
            self.errno,
            self.count,
        ))
    }
}

/// An exception that ended a Python program.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct ExceptionInfo {
    /// The class, with its module unless that is `builtins`.
    #[pyo3(get, name = "type")]
    kind: String,
    /// What str() of the exception is.
    #[pyo3(get)]
    message: String,
    /// The traceback as Python prints it.
    #[pyo3(get)]
    traceback: String,
}

#[pymethods]
impl ExceptionInfo {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let message = PyString::new(py, &self.message).repr()?;
        Ok(format!("ExceptionInfo(type='{}', message={message})", self.kind))
    }

    fn __str__(&self) -> &str {
        &self.traceback
    }
}
