//! `Session`, `Job` and the events.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Instant;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::{Data, Seconds};
use super::errors::{self, Class};
use super::output::Output;
use super::plan::Plan;
use super::supervise::{Syscall, Withdrawn};
use super::wait;
use crate::error::{Error, SessionError};
use crate::runtime::Runtime;
use crate::session::Polled;
use crate::{Executor, SandboxId};

/// A sandbox of one session.
#[pyclass(frozen, eq, hash, module = "evalbox")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Job {
    session: u64,
    sandbox: SandboxId,
}

#[pymethods]
impl Job {
    /// The number in error messages. Counts from 1 in each session.
    #[getter]
    pub(super) fn id(&self) -> u64 {
        self.sandbox.number()
    }

    fn __repr__(&self) -> String {
        format!("Job({})", self.id())
    }
}

/// Many sandboxes at once, without a thread: spawn() starts them, iterating or poll() tells what
/// happens, and fileno() is readable when there is something to tell.
///
/// Leaving the `with` block, or close(), kills what still runs. A session is for one thread at a
/// time; a second one gets a SessionError. In a forked child it raises UseAfterFork.
///
/// Raises Unavailable if this machine can't hold a sandbox.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    owner: u32,
    /// The thread that is in a method, 0 if none is.
    user: AtomicUsize,
    /// Never locked while Python code runs. `None` when closed.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    executor: Executor,
    /// With what takes the runtime's own out of the output.
    running: HashMap<SandboxId, Option<&'static dyn Runtime>>,
}

/// A thread's turn with a session. A signal handler of that thread may use it too.
struct Turn<'a> {
    session: &'a Session,
    outermost: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.outermost {
            self.session.user.store(0, Ordering::Release);
        }
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let executor = py.detach(Executor::new).map_err(|error| errors::raise(py, &error))?;
        Ok(Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            owner: std::process::id(),
            user: AtomicUsize::new(0),
            open: Mutex::new(Some(Open { executor, running: HashMap::new() })),
        })
    }

    /// Starts a plan. What becomes of it comes as events.
    ///
    /// Raises PlanError for a mistake in the plan, Unavailable if the sandbox can't be made. A
    /// command that can't be started comes as a Failed event.
    #[pyo3(signature = (plan, /))]
    fn spawn(&self, py: Python<'_>, plan: &Plan) -> PyResult<Job> {
        let _turn = self.turn(py)?;
        let Plan { plan, runtime, decide } = plan;
        if decide.is_some() {
            let message = "a callback is for run() and arun(); a session yields Syscall events";
            return Err(PyTypeError::new_err(message));
        }
        let sandbox = self.with(py, |open| {
            let sandbox = open.executor.spawn(plan)?;
            open.running.insert(sandbox, *runtime);
            Ok(sandbox)
        })?;
        Ok(Job { session: self.number, sandbox })
    }

    /// The next event, waiting for it at most `timeout` seconds, or for ever if that is None.
    /// Returns None if there was none in time, or if nothing runs. Other threads run meanwhile; an
    /// exception of a signal handler (Ctrl-C) comes out of here and changes nothing in the session.
    #[pyo3(signature = (timeout = None))]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<Seconds>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let _turn = self.turn(py)?;
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout.0));
        let tick = wait::tick();
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let slice = left.into_iter().chain(tick).min();
            let (polled, active) = self.with(py, |open| {
                let polled = open.executor.poll_interruptible(slice)?;
                Ok((polled, open.executor.active()))
            })?;
            match polled {
                Polled::Event(event) => return self.event(py, *event).map(Some),
                Polled::Interrupted => {}
                Polled::Nothing if active == 0 || left.is_some_and(|l| Some(l) == slice) => {
                    return Ok(None);
                }
                Polled::Nothing => {}
            }
            py.check_signals()?;
        }
    }

    /// Kills a sandbox and everything in it. Its end still comes as an event.
    ///
    /// Raises SessionError if it has ended already.
    #[pyo3(signature = (job, /))]
    fn kill(&self, py: Python<'_>, job: &Job) -> PyResult<()> {
        let _turn = self.turn(py)?;
        let sandbox = self.sandbox(py, job)?;
        self.with(py, |open| open.executor.kill(sandbox))
    }

    /// Writes to the standard input of a plan with stdin=PIPE. Never waits: what the program has
    /// not read yet is kept, and goes on its way in poll().
    ///
    /// Raises SessionError if the sandbox has ended or has no open standard input.
    #[pyo3(signature = (job, data, /))]
    fn write_stdin(&self, py: Python<'_>, job: &Job, data: Data) -> PyResult<()> {
        let _turn = self.turn(py)?;
        let sandbox = self.sandbox(py, job)?;
        self.with(py, |open| open.executor.write_stdin(sandbox, &data.0))
    }

    /// Ends standard input, after what was written.
    ///
    /// Raises SessionError if the sandbox has ended.
    #[pyo3(signature = (job, /))]
    fn close_stdin(&self, py: Python<'_>, job: &Job) -> PyResult<()> {
        let _turn = self.turn(py)?;
        let sandbox = self.sandbox(py, job)?;
        self.with(py, |open| open.executor.close_stdin(sandbox))
    }

    /// A descriptor that is readable when poll(0) may have an event. Take all events whenever it
    /// is: poll(0) until that returns None.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        let _turn = self.turn(py)?;
        self.with(py, |open| Ok(open.executor.as_raw_fd()))
    }

    /// How many sandboxes are running.
    #[getter]
    fn active(&self, py: Python<'_>) -> PyResult<usize> {
        let _turn = self.turn(py)?;
        self.with(py, |open| Ok(open.executor.active()))
    }

    /// Whether close() was called.
    #[getter]
    fn closed(&self) -> bool {
        match self.open.try_lock() {
            Ok(open) => open.is_none(),
            Err(_) => false,
        }
    }

    /// Kills what still runs, waits until nothing of it is alive, and frees the session. May be
    /// called again. In a forked child it does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.owner != std::process::id() {
            return Ok(());
        }
        let _turn = self.turn(py)?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut open) = open {
            py.detach(move || {
                let running: Vec<_> = open.running.into_keys().collect();
                wait::end(&mut open.executor, &running);
            });
        }
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().active(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (kind, value, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (kind, value, traceback);
        self.close(py)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.poll(py, None)
    }

    fn __aenter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        slf.py().import("evalbox.aio")?.call_method1("enter", (&slf,))
    }

    #[pyo3(signature = (kind, value, traceback, /))]
    fn __aexit__<'py>(
        slf: Bound<'py, Self>,
        kind: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (kind, value, traceback);
        slf.py().import("evalbox.aio")?.call_method1("leave", (&slf,))
    }

    fn __aiter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __anext__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        slf.py().import("evalbox.aio")?.call_method1("following", (&slf,))
    }

    fn __repr__(&self) -> String {
        match self.open.try_lock().as_deref() {
            Ok(Some(open)) => format!("<evalbox.Session active={}>", open.executor.active()),
            Ok(None) => "<evalbox.Session closed>".to_owned(),
            Err(_) => "<evalbox.Session in use>".to_owned(),
        }
    }
}

impl Session {
    fn turn(&self, py: Python<'_>) -> PyResult<Turn<'_>> {
        if self.owner != std::process::id() {
            let error = Error::Session(SessionError::UseAfterFork { owner: self.owner });
            return Err(errors::raise(py, &error));
        }
        let me = this_thread();
        match self.user.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Turn { session: self, outermost: true }),
            Err(user) if user == me => Ok(Turn { session: self, outermost: false }),
            Err(_) => Err(in_use(py)),
        }
    }

    /// Does something with the executor, without the interpreter. The thread has its turn.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        what: impl FnOnce(&mut Open) -> crate::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| {
            let mut open = match self.open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::Poisoned(open)) => open.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            Some(open.as_mut().map(what))
        });
        match done {
            Some(Some(done)) => done.map_err(|error| errors::raise(py, &error)),
            Some(None) => Err(Class::Session.error(py, "this session is closed")),
            None => Err(in_use(py)),
        }
    }

    fn sandbox(&self, py: Python<'_>, job: &Job) -> PyResult<SandboxId> {
        if job.session != self.number {
            return Err(
                Class::Session.error(py, format!("{} is of another session", job.__repr__()))
            );
        }
        Ok(job.sandbox)
    }

    fn event<'py>(&self, py: Python<'py>, event: crate::Event) -> PyResult<Bound<'py, PyAny>> {
        let sandbox = event.sandbox();
        let job = Py::new(py, Job { session: self.number, sandbox })?;
        let forget = || self.with(py, |open| Ok(open.running.remove(&sandbox).flatten()));
        let output = |output| Py::new(py, Output::new(output, forget()?));
        Ok(match event {
            crate::Event::Stdout { data, .. } => {
                let data = PyBytes::new(py, &data).unbind();
                Bound::new(py, Stdout { job, data })?.into_any()
            }
            crate::Event::Stderr { data, .. } => {
                let data = PyBytes::new(py, &data).unbind();
                Bound::new(py, Stderr { job, data })?.into_any()
            }
            crate::Event::Syscall { id, pid, syscall, directory, context, .. } => {
                let responder = self.with(py, |open| Ok(open.executor.responder()))?;
                let event =
                    Syscall::new(py, job, &context, pid, syscall, directory, id, responder)?;
                Bound::new(py, event)?.into_any()
            }
            crate::Event::Withdrawn { id, .. } => {
                Bound::new(py, Withdrawn { job, call: id.number() })?.into_any()
            }
            crate::Event::Completed { output: o, .. } => {
                Bound::new(py, Completed { job, output: output(o)? })?.into_any()
            }
            crate::Event::TimedOut { output: o, .. } => {
                Bound::new(py, TimedOut { job, output: output(o)? })?.into_any()
            }
            crate::Event::Failed { error, .. } => {
                forget()?;
                let error = errors::raise(py, &error).into_value(py).into_any();
                Bound::new(py, Failed { job, error })?.into_any()
            }
        })
    }
}

fn in_use(py: Python<'_>) -> PyErr {
    Class::Session.error(py, "another thread is using this session; give each thread its own")
}

/// Something that no two living threads share.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}

/// The program wrote to standard output.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Stdout {
    /// Which sandbox.
    job: Py<Job>,
    /// What it wrote.
    data: Py<PyBytes>,
}

/// The program wrote to standard error.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Stderr {
    /// Which sandbox.
    job: Py<Job>,
    /// What it wrote.
    data: Py<PyBytes>,
}

/// The run has ended and nothing of it is alive.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Completed {
    /// Which sandbox.
    job: Py<Job>,
    /// Everything it did, the streams included.
    output: Py<Output>,
}

/// The run was ended by its timeout and nothing of it is alive.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct TimedOut {
    /// Which sandbox.
    job: Py<Job>,
    /// Everything it did until then.
    output: Py<Output>,
}

/// The program could not be started, or its guard died.
#[pyclass(frozen, get_all, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Failed {
    /// Which sandbox.
    job: Py<Job>,
    /// Why.
    error: Py<PyAny>,
}

/// What `match` and `repr()` need of an event class.
macro_rules! event {
    ($class:ident, $field:ident) => {
        #[pymethods]
        impl $class {
            #[classattr]
            #[pyo3(name = "__match_args__")]
            fn match_args() -> (&'static str, &'static str) {
                ("job", stringify!($field))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let value = self.$field.bind(py).repr()?;
                let job = self.job.get().__repr__();
                Ok(format!("{}(job={job}, {}={value})", stringify!($class), stringify!($field)))
            }
        }
    };
}

event!(Stdout, data);
event!(Stderr, data);
event!(Completed, output);
event!(TimedOut, output);
event!(Failed, error);
