//! `evalbox._native`: what Python sees. Nothing is decided here, only translated.

mod convert;
mod doctor;
mod errors;
mod limits;
mod literal;
mod output;
mod pickle;
mod plan;
mod policy;
mod runtime;
mod session;
mod supervise;
mod wait;

use std::path::PathBuf;

use pyo3::prelude::*;

/// The native half of evalbox. Use the package `evalbox`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::cli_main;
    #[pymodule_export]
    use super::doctor::{Doctor, DoctorEntry, doctor};
    #[pymodule_export]
    use super::limits::Limits;
    #[pymodule_export]
    use super::output::{ExceptionInfo, Output, Refused, Usage};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::policy::Policy;
    #[pymodule_export]
    use super::runtime::{Runtime, run};
    #[pymodule_export]
    use super::session::{Completed, Failed, Job, Session, Stderr, Stdout, TimedOut};
    #[pymodule_export]
    use super::set_packaged_daemon;
    #[pymodule_export]
    use super::supervise::{Decision, Syscall, Withdrawn};

    #[pymodule_export]
    const PIPE: i32 = super::convert::PIPE;
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        use crate::Decision::{Allow, Deny, Kill};
        for (name, decision) in [("ALLOW", Allow), ("DENY", Deny), ("KILL", Kill)] {
            module.add(name, Decision::of(decision))?;
        }
        Ok(())
    }

    use pyo3::prelude::*;
}

/// Names the daemon's executable that the package carries. The first call counts.
#[pyfunction]
#[pyo3(signature = (path, /))]
fn set_packaged_daemon(path: PathBuf) {
    crate::set_packaged_daemon(path);
}

/// Runs the command line with these arguments and returns the exit status.
#[pyfunction]
#[pyo3(signature = (arguments, /))]
fn cli_main(py: Python<'_>, arguments: convert::Words) -> i32 {
    let words = std::iter::once("evalbox".into()).chain(arguments.0);
    py.detach(|| crate::cli::main(words))
}
