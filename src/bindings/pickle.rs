//! Results travel between processes of one version of evalbox (`multiprocessing`): as a call of
//! the class's `_restore` with bytes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire;

/// What `__reduce__` of `object` returns.
pub(super) fn pickle<'py>(
    object: &Bound<'py, PyAny>,
    state: &impl Serialize,
) -> PyResult<(Bound<'py, PyAny>, (Vec<u8>,))> {
    let restore = object.get_type().getattr(pyo3::intern!(object.py(), "_restore"))?;
    let bytes = wire::encode(state).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((restore, (bytes,)))
}

/// What `_restore` is given.
pub(super) fn unpickle<T: DeserializeOwned>(state: &[u8]) -> PyResult<T> {
    wire::decode(state)
        .map_err(|error| PyValueError::new_err(format!("not a pickle of evalbox: {error}")))
}
