//! Questions and their answers: contexts as Python sees them, the `Syscall` event, callbacks.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use super::errors::{self, Class};
use super::session::Job;
use crate::policy::{self, Address, MetadataChange, OpenAccess, SyscallContext};
use crate::{CallId, Responder};

/// What becomes of a call: ALLOW, DENY or KILL, or one made of them.
///
/// DENY(reason="not that one", errno=errno.EPERM) denies with more to say; ALLOW(remember="run")
/// holds for the same operation on the same target to the end of the run.
#[pyclass(frozen, eq, hash, module = "evalbox")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decision(pub(super) policy::Answer);

#[pymethods]
impl Decision {
    /// The same decision, with a reason, an errno for a denial, or remembered for the "run".
    #[pyo3(signature = (*, reason = None, errno = None, remember = None))]
    fn __call__(
        &self,
        reason: Option<String>,
        errno: Option<i32>,
        remember: Option<&str>,
    ) -> PyResult<Self> {
        let mut answer = self.0.clone();
        if let Some(remember) = remember {
            answer = answer.remember(remembered(remember)?);
        }
        if let Some(reason) = reason {
            answer = answer.reason(reason);
        }
        if let Some(errno) = errno {
            if answer.decision != policy::Decision::Deny || !(1..=133).contains(&errno) {
                return Err(PyValueError::new_err("errno is for DENY, and is from 1 to 133"));
            }
            answer = answer.errno(errno);
        }
        Ok(Self(answer))
    }

    fn __repr__(&self) -> String {
        let name = match self.0.decision {
            policy::Decision::Allow => "evalbox.ALLOW",
            policy::Decision::Deny => "evalbox.DENY",
            policy::Decision::Kill => "evalbox.KILL",
        };
        let mut words = Vec::new();
        words.extend(self.0.reason.as_ref().map(|reason| format!("reason={reason:?}")));
        words.extend(self.0.errno.map(|errno| format!("errno={errno}")));
        if self.0.remember == policy::Remember::Run {
            words.push("remember=\"run\"".to_owned());
        }
        if words.is_empty() { name.to_owned() } else { format!("{name}({})", words.join(", ")) }
    }
}

impl Decision {
    pub(super) fn of(decision: policy::Decision) -> Self {
        Self(decision.into())
    }
}

fn remembered(text: &str) -> PyResult<policy::Remember> {
    match text {
        "once" => Ok(policy::Remember::Once),
        "run" => Ok(policy::Remember::Run),
        other => {
            Err(PyValueError::new_err(format!("remember is \"once\" or \"run\", not {other:?}")))
        }
    }
}

/// A call that waits for an answer. Only the task that called waits. Match on its context:
///
///     case evalbox.Syscall(context=evalbox.Delete(path=path)): event.deny()
///
/// It may be answered by any thread, while another one waits for events, and after any time.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Syscall {
    /// Which sandbox.
    #[pyo3(get)]
    job: Py<Job>,
    /// What it is about to do: an Open, Delete, Exec, Connect, …
    #[pyo3(get)]
    context: Py<PyAny>,
    /// The process that called.
    #[pyo3(get)]
    pid: i32,
    /// The name of the call, such as "unlinkat".
    #[pyo3(get)]
    syscall: String,
    /// Whether it is about a directory.
    #[pyo3(get)]
    directory: bool,
    /// A number for the call, the same as in Withdrawn.
    #[pyo3(get)]
    call: u64,
    id: CallId,
    responder: Responder,
    answered: AtomicBool,
}

#[pymethods]
impl Syscall {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    fn match_args() -> (&'static str, &'static str) {
        ("job", "context")
    }

    /// Has the call performed. remember: "once", or for the same operation on the same target to the
    /// end of the "run".
    ///
    /// Raises SessionError if it has an answer already.
    #[pyo3(signature = (*, remember = "once"))]
    fn allow(&self, py: Python<'_>, remember: &str) -> PyResult<()> {
        self.answer(py, policy::Decision::Allow.remember(remembered(remember)?))
    }

    /// Has the call fail, with EACCES or another errno.
    ///
    /// Raises SessionError if it has an answer already.
    #[pyo3(signature = (*, reason = None, errno = None, remember = "once"))]
    fn deny(
        &self,
        py: Python<'_>,
        reason: Option<String>,
        errno: Option<i32>,
        remember: &str,
    ) -> PyResult<()> {
        let deny = Decision::of(policy::Decision::Deny);
        self.answer(py, deny.__call__(reason, errno, Some(remember))?.0)
    }

    /// Kills the sandbox and everything in it.
    ///
    /// Raises SessionError if the call has an answer already.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        self.answer(py, policy::Decision::Kill.into())
    }

    /// Answers with a Decision.
    #[pyo3(signature = (decision, /))]
    fn respond(&self, py: Python<'_>, decision: &Decision) -> PyResult<()> {
        self.answer(py, decision.0.clone())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let context = self.context.bind(py).repr()?;
        let job = self.job.get().id();
        Ok(format!("Syscall(job=Job({job}), context={context}, pid={})", self.pid))
    }
}

impl Syscall {
    #[allow(clippy::too_many_arguments, reason = "the fields of the event")]
    pub(super) fn new(
        py: Python<'_>,
        job: Py<Job>,
        context: &SyscallContext,
        pid: i32,
        syscall: String,
        directory: bool,
        id: CallId,
        responder: Responder,
    ) -> PyResult<Self> {
        let context = python(py, context)?.unbind();
        let answered = AtomicBool::new(false);
        let call = id.number();
        Ok(Self { job, context, pid, syscall, directory, call, id, responder, answered })
    }

    fn answer(&self, py: Python<'_>, answer: policy::Answer) -> PyResult<()> {
        if self.answered.swap(true, Ordering::AcqRel) {
            return Err(Class::Session.error(py, "this call has an answer already"));
        }
        py.detach(|| self.responder.respond(self.id, answer))
            .map_err(|error| errors::raise(py, &error))
    }
}

/// A call no longer waits: its task has ended, or the time for the answer is over.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Withdrawn {
    /// Which sandbox.
    pub(super) job: Py<Job>,
    /// Which call, as in Syscall.call.
    pub(super) call: u64,
}

#[pymethods]
impl Withdrawn {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    fn match_args() -> (&'static str, &'static str) {
        ("job", "call")
    }

    fn __repr__(&self) -> String {
        format!("Withdrawn(job=Job({}), call={})", self.job.get().id(), self.call)
    }
}

/// Asks a callback. An exception of it is the error.
pub(super) fn ask(
    py: Python<'_>,
    decide: &Py<PyAny>,
    context: &SyscallContext,
) -> PyResult<policy::Answer> {
    let said = decide.bind(py).call1((python(py, context)?,))?;
    answer_of(&said)
}

/// What a callback has returned.
pub(super) fn answer_of(said: &Bound<'_, PyAny>) -> PyResult<policy::Answer> {
    if said.is_none() {
        return Ok(policy::Decision::Deny.reason("no answer"));
    }
    match said.cast::<Decision>() {
        Ok(decision) => Ok(decision.get().0.clone()),
        Err(_) => {
            let name = said.get_type().name()?;
            let hint = if name == "coroutine" { "; an async callback is for arun()" } else { "" };
            Err(PyTypeError::new_err(format!(
                "the callback must return evalbox.ALLOW, DENY, KILL or None, not {name}{hint}"
            )))
        }
    }
}

/// A context as an object of `evalbox.contexts`.
fn python<'py>(py: Python<'py>, context: &SyscallContext) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        MODULE.get_or_try_init(py, || py.import("evalbox.contexts").map(Bound::unbind))?.bind(py);
    let text = |path: &OsStr| fsdecode(py, path);
    let make = |name: &str, fields: Vec<Bound<'py, PyAny>>| {
        module.getattr(name)?.call1(PyTuple::new(py, fields)?)
    };
    let flag = |value: bool| pyo3::types::PyBool::new(py, value).to_owned().into_any();
    let number = |value: i64| Ok::<_, PyErr>(value.into_pyobject(py)?.into_any());
    match context {
        SyscallContext::Open { path, access, create, truncate } => {
            let access = match access {
                OpenAccess::Read => "r",
                OpenAccess::Write => "w",
                OpenAccess::ReadWrite => "rw",
            };
            let access = PyString::new(py, access).into_any();
            make("Open", vec![text(path.as_os_str())?, access, flag(*create), flag(*truncate)])
        }
        SyscallContext::Delete { path } => make("Delete", vec![text(path.as_os_str())?]),
        SyscallContext::Rename { from, to } => {
            make("Rename", vec![text(from.as_os_str())?, text(to.as_os_str())?])
        }
        SyscallContext::Link { from, to } => {
            make("Link", vec![text(from.as_os_str())?, text(to.as_os_str())?])
        }
        SyscallContext::Symlink { path, target } => {
            make("Symlink", vec![text(path.as_os_str())?, text(target.as_os_str())?])
        }
        SyscallContext::MakeDir { path } => make("MakeDir", vec![text(path.as_os_str())?]),
        SyscallContext::MakeNode { path } => make("MakeNode", vec![text(path.as_os_str())?]),
        SyscallContext::SetMetadata { path, change } => {
            let change = match change {
                MetadataChange::Mode(mode) => format!("mode {mode:o}"),
                MetadataChange::Owner { user, group } => {
                    let id = |id: u32| if id == u32::MAX { "-".into() } else { id.to_string() };
                    format!("owner {}:{}", id(*user), id(*group))
                }
                MetadataChange::Times => "times".to_owned(),
                MetadataChange::Xattr(name) => format!("xattr {}", name.to_string_lossy()),
            };
            make(
                "SetMetadata",
                vec![text(path.as_os_str())?, PyString::new(py, &change).into_any()],
            )
        }
        SyscallContext::Truncate { path, length } => {
            let length = length.into_pyobject(py)?.into_any();
            make("Truncate", vec![text(path.as_os_str())?, length])
        }
        SyscallContext::Exec { path, argv, mutable } => {
            let argv = argv.iter().map(|word| fsdecode(py, word)).collect::<PyResult<Vec<_>>>()?;
            let argv = PyTuple::new(py, argv)?.into_any();
            make("Exec", vec![text(path.as_os_str())?, argv, flag(*mutable)])
        }
        SyscallContext::Connect { address, host } => {
            let mut fields = address_fields(py, address)?;
            fields.push(host.into_pyobject(py)?.into_any());
            make("Connect", fields)
        }
        SyscallContext::Bind { address } => make("Bind", address_fields(py, address)?),
        SyscallContext::SendTo { address } => make("SendTo", address_fields(py, address)?),
        SyscallContext::Fork => make("Fork", Vec::new()),
        SyscallContext::Signal { pid, signal } => {
            make("Signal", vec![number((*pid).into())?, number((*signal).into())?])
        }
    }
}

fn fsdecode<'py>(py: Python<'py>, text: &OsStr) -> PyResult<Bound<'py, PyAny>> {
    text.into_pyobject(py).map(Bound::into_any).map_err(Into::into)
}

/// The address as text, the port, and the path of a unix socket.
fn address_fields<'py>(py: Python<'py>, address: &Address) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let none = || py.None().into_bound(py);
    Ok(match address {
        Address::Inet(address) => vec![
            PyString::new(py, &address.ip().to_string()).into_any(),
            address.port().into_pyobject(py)?.into_any(),
            none(),
        ],
        Address::Unix(path) => vec![none(), none(), fsdecode(py, path.as_os_str())?],
    })
}
