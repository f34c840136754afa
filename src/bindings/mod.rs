//! `evalbox._native`: what Python sees. Nothing is decided here, only translated.

mod convert;
mod errors;
mod limits;
mod literal;
mod output;
mod pickle;
mod plan;
mod session;
mod wait;

use std::path::PathBuf;

use pyo3::prelude::*;

/// The native half of evalbox. Use the package `evalbox`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::limits::Limits;
    #[pymodule_export]
    use super::output::{ExceptionInfo, Output, Refused, Usage};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::session::{Completed, Failed, Job, Session, Stderr, Stdout, TimedOut};
    #[pymodule_export]
    use super::set_packaged_daemon;

    #[pymodule_export]
    const PIPE: i32 = super::convert::PIPE;
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// Names the daemon's executable that the package carries. The first call counts.
#[pyfunction]
#[pyo3(signature = (path, /))]
fn set_packaged_daemon(path: PathBuf) {
    crate::set_packaged_daemon(path);
}
