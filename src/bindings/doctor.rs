//! `doctor()`.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Looks at everything that sandboxes depend on, and makes one. Never fails: what is wrong is in
/// what it returns.
#[pyfunction]
pub(super) fn doctor(py: Python<'_>) -> Doctor {
    Doctor(py.detach(crate::doctor))
}

/// What doctor() found. str() of it is a table.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct Doctor(crate::Doctor);

#[pymethods]
impl Doctor {
    /// Whether a sandbox could be made and run here.
    #[getter]
    fn ok(&self) -> bool {
        self.0.ok()
    }

    /// Everything that was looked at.
    #[getter]
    fn entries(&self) -> Vec<DoctorEntry> {
        self.0.entries.iter().cloned().map(DoctorEntry).collect()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let ok = if self.0.ok() { "True" } else { "False" };
        format!("<evalbox.Doctor ok={ok} entries={}>", self.0.entries.len())
    }
}

/// One thing that doctor() looked at.
#[pyclass(frozen, module = "evalbox")]
#[derive(Debug)]
pub(super) struct DoctorEntry(crate::doctor::Entry);

#[pymethods]
impl DoctorEntry {
    /// What was looked at.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// How it is: "ok", "degraded" (something stands in for it, or does without) or "missing".
    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.name()
    }

    /// What was found.
    #[getter]
    fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What to do about it, or None.
    #[getter]
    fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "DoctorEntry(name={}, state='{}', detail={})",
            PyString::new(py, &self.0.name).repr()?,
            self.state(),
            PyString::new(py, &self.0.detail).repr()?,
        ))
    }
}
