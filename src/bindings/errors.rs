//! The crate's errors as the exceptions of `evalbox.errors`, with their causes in the message.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::output::Output;
use crate::error::{
    Error, LaunchError, Machine, PolicyError, RuntimeError, SessionError, Unavailable, chain,
};

/// A class of `evalbox.errors`. They are written in Python, where a class may have two bases.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class {
    Unavailable,
    Plan,
    Policy,
    RuntimeNotFound,
    Launch,
    CommandNotFound,
    Session,
    UseAfterFork,
    ExecutionFailed,
    TimeoutExpired,
    OutputLimitExceeded,
}

type Cell = PyOnceLock<Py<PyType>>;

impl Class {
    fn cell(self) -> (&'static str, &'static Cell) {
        static CELLS: [Cell; 11] = [const { Cell::new() }; 11];
        let name = match self {
            Self::Unavailable => "Unavailable",
            Self::Plan => "PlanError",
            Self::Policy => "PolicyError",
            Self::RuntimeNotFound => "RuntimeNotFound",
            Self::Launch => "LaunchError",
            Self::CommandNotFound => "CommandNotFound",
            Self::Session => "SessionError",
            Self::UseAfterFork => "UseAfterFork",
            Self::ExecutionFailed => "ExecutionFailed",
            Self::TimeoutExpired => "TimeoutExpired",
            Self::OutputLimitExceeded => "OutputLimitExceeded",
        };
        (name, &CELLS[self as usize])
    }

    fn get(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        let (name, cell) = self.cell();
        cell.import(py, "evalbox.errors", name)
    }

    pub(super) fn is_class_of(self, py: Python<'_>, error: &PyErr) -> bool {
        self.get(py).is_ok_and(|class| error.is_instance(py, class))
    }

    /// The exception. If the class can't be had, the error of that.
    pub(super) fn error<'py>(self, py: Python<'py>, args: impl Arguments<'py>) -> PyErr {
        match self.get(py).and_then(|class| args.call(class)) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

/// Arguments of an exception's class.
pub(super) trait Arguments<'py> {
    fn call(self, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>>;
}

impl<'py> Arguments<'py> for String {
    fn call(self, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
        class.call1((self,))
    }
}

impl<'py> Arguments<'py> for &str {
    fn call(self, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
        class.call1((self,))
    }
}

/// What an exception about a run is made of.
pub(super) struct Run<'py> {
    pub(super) message: String,
    pub(super) output: Bound<'py, Output>,
}

impl<'py> Arguments<'py> for Run<'py> {
    fn call(self, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
        class.call1((self.message, self.output))
    }
}

/// A `PlanError` for a mistake that only exists in Python.
pub(super) fn plan(py: Python<'_>, message: String) -> PyErr {
    Class::Plan.error(py, message)
}

/// The exception for an error.
pub(super) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let (class, errno) = classify(error);
    let raised = Class::error(class, py, chain(error));
    if let Error::Policy(PolicyError { rule, value, problem, .. }) = error {
        for (name, text) in [("rule", rule), ("value", value), ("problem", problem)] {
            if let Err(error) = raised.value(py).setattr(name, text) {
                return error;
            }
        }
    }
    if let Some(errno) = errno
        && let Err(error) = raised.value(py).setattr("errno", errno)
    {
        return error;
    }
    raised
}

fn classify(error: &Error) -> (Class, Option<i32>) {
    match error {
        Error::Plan(_) | Error::Launch(LaunchError::Plan(_)) => (Class::Plan, None),
        Error::Policy(_) => (Class::Policy, None),
        Error::Unavailable(error) => (Class::Unavailable, unavailable(error)),
        Error::Launch(LaunchError::Machine(machine)) => {
            (Class::Unavailable, machine_errno(machine))
        }
        Error::Launch(error) => launch(error),
        Error::Session(SessionError::UseAfterFork { .. }) => (Class::UseAfterFork, None),
        Error::Session(_) => (Class::Session, None),
        Error::Runtime(RuntimeError::UnknownLanguage(_)) => (Class::Plan, None),
        Error::Runtime(_) => (Class::RuntimeNotFound, Some(libc::ENOENT)),
    }
}

fn launch(error: &LaunchError) -> (Class, Option<i32>) {
    match error {
        LaunchError::CommandNotFound { .. } => (Class::CommandNotFound, Some(libc::ENOENT)),
        LaunchError::NotExecutable { .. } => (Class::Launch, Some(libc::EACCES)),
        LaunchError::Exec { errno, .. }
        | LaunchError::Layer { errno, .. }
        | LaunchError::File { errno, .. }
        | LaunchError::Resources { errno, .. } => (Class::Launch, Some(*errno)),
        LaunchError::Plan(_) | LaunchError::Machine(_) => (Class::Launch, None),
    }
}

fn unavailable(error: &Unavailable) -> Option<i32> {
    match error {
        Unavailable::NoDaemon { .. } => Some(libc::ENOENT),
        Unavailable::DaemonStart { source, .. } | Unavailable::Resources { source, .. } => {
            source.raw_os_error()
        }
        Unavailable::Machine(machine) => machine_errno(machine),
        Unavailable::DaemonVersion { .. } | Unavailable::Platform => None,
    }
}

fn machine_errno(machine: &Machine) -> Option<i32> {
    match machine {
        Machine::NoLandlock { errno }
        | Machine::NoUserNotification { errno }
        | Machine::Capabilities { errno }
        | Machine::Workspace { errno, .. }
        | Machine::Start { errno, .. } => Some(*errno),
        Machine::NestedListener => Some(libc::EBUSY),
        Machine::NoSupervision => Some(libc::ENOSYS),
    }
}
