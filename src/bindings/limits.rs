//! `Limits`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::{self, Number, Seconds, Size, seconds};
use super::errors;
use super::pickle::{pickle, unpickle};
use crate::Error;

/// Limits of one run; `None` means unlimited. All but `file_size` and `open_files` hold for the
/// whole tree of processes. Sizes are bytes, or text such as "256M" (K, M, G, T are powers of
/// 512).
///
/// memory: bytes of memory, at least 8M. Default 1G.
/// cpu: seconds of CPU time, user and system. Default unlimited.
/// tasks: processes and threads alive at once. Default 256.
/// output: bytes written to standard output and standard error together. Default 10M.
/// file_size: bytes of the largest file that may be written. Default 1G.
/// open_files: descriptors open at once in one process. Default 512.
/// workspace: bytes on disk in the private workspace. Default 1G.
///
/// Raises PlanError for a value outside its bounds.
#[pyclass(frozen, eq, hash, module = "evalbox", from_py_object)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Limits(pub(super) crate::Limits);

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(
        signature = (**keywords),
        text_signature = "(*, memory=1073741824, cpu=None, tasks=256, output=10485760, file_size=1073741824, open_files=512, workspace=1073741824)"
    )]
    fn new(py: Python<'_>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut limits = crate::Limits::default();
        convert::keywords("Limits", keywords, "limits.", |name, value| {
            match name {
                "memory" => limits.memory = bytes(value)?,
                "cpu" => limits.cpu = value.extract::<Option<Seconds>>()?.map(|time| time.0),
                "tasks" => limits.tasks = value.extract::<Option<Number>>()?.map(|count| count.0),
                "output" => limits.output = bytes(value)?,
                "file_size" => limits.file_size = bytes(value)?,
                "open_files" => limits.open_files = value.extract::<Number>()?.0,
                "workspace" => limits.workspace = bytes(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        limits.validate().map_err(|error| errors::raise(py, &Error::Plan(error)))?;
        Ok(Self(limits))
    }

    /// Limits without a limit, but for `open_files`, which the kernel always has: 65536.
    #[staticmethod]
    fn unlimited() -> Self {
        Self(crate::Limits::unlimited())
    }

    /// Bytes of memory of the tree.
    #[getter]
    fn memory(&self) -> Option<u64> {
        self.0.memory
    }

    /// Seconds of CPU time of the tree.
    #[getter]
    fn cpu(&self) -> Option<f64> {
        self.0.cpu.map(seconds)
    }

    /// Processes and threads alive at once.
    #[getter]
    fn tasks(&self) -> Option<u32> {
        self.0.tasks
    }

    /// Bytes of standard output and standard error together.
    #[getter]
    fn output(&self) -> Option<u64> {
        self.0.output
    }

    /// Bytes of the largest file that may be written.
    #[getter]
    fn file_size(&self) -> Option<u64> {
        self.0.file_size
    }

    /// Descriptors open at once in one process.
    #[getter]
    fn open_files(&self) -> u32 {
        self.0.open_files
    }

    /// Bytes on disk in the private workspace.
    #[getter]
    fn workspace(&self) -> Option<u64> {
        self.0.workspace
    }

    fn __reduce__<'py>(slf: Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Vec<u8>,))> {
        pickle(slf.as_any(), &slf.get().0)
    }

    #[staticmethod]
    #[pyo3(signature = (state, /))]
    fn _restore(state: &[u8]) -> PyResult<Self> {
        unpickle(state).map(Self)
    }

    fn __repr__(&self) -> String {
        let word = |value: Option<u64>| value.map_or("None".to_owned(), |value| value.to_string());
        format!(
            "Limits(memory={}, cpu={}, tasks={}, output={}, file_size={}, open_files={}, workspace={})",
            word(self.0.memory),
            self.cpu().map_or("None".to_owned(), |time| format!("{time:?}")),
            word(self.0.tasks.map(u64::from)),
            word(self.0.output),
            word(self.0.file_size),
            self.0.open_files,
            word(self.0.workspace),
        )
    }
}

fn bytes(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    Ok(value.extract::<Option<Size>>()?.map(|size| size.0))
}
