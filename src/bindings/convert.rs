//! Python's values as the crate's, and the keyword arguments that every way of running shares.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMapping, PyMemoryView, PyString};

use super::errors;
use super::limits::Limits;
use super::policy::{Names, Policy};
use crate::plan::limits;
use crate::{Operation, Stdin};

/// What `subprocess.PIPE` is.
pub(super) const PIPE: i32 = -1;

/// `str | bytes | os.PathLike`, as `os.fsencode` sees it.
#[derive(Debug)]
pub(super) struct Text(pub(super) OsString);

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        static FSENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let encode = FSENCODE.import(value.py(), "os", "fsencode")?;
        let bytes = encode.call1((value,))?;
        Ok(Self(OsString::from_vec(bytes.cast::<PyBytes>()?.as_bytes().to_vec())))
    }
}

/// One path, or an iterable of them.
#[derive(Debug)]
pub(super) struct Paths(pub(super) Vec<OsString>);

impl<'a, 'py> FromPyObject<'a, 'py> for Paths {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let one = is_text(&value) || value.hasattr(pyo3::intern!(value.py(), "__fspath__"))?;
        Ok(Self(if one { vec![value.extract::<Text>()?.0] } else { texts(&value)? }))
    }
}

/// Paths to grant, or to work in. `.` and what begins with `./` mean the host's directory as it is
/// now; any other relative path is left for the plan to refuse.
pub(super) fn anchored(path: OsString) -> PyResult<OsString> {
    let relative = match path.as_bytes() {
        b"." => Path::new(""),
        bytes => match bytes.strip_prefix(b"./") {
            Some(rest) => Path::new(OsStr::from_bytes(rest)),
            None => return Ok(path),
        },
    };
    Ok(std::env::current_dir()?.join(relative).into_os_string())
}

/// One place, or an iterable of them: see [`anchored`].
#[derive(Debug)]
pub(super) struct Places(pub(super) Vec<OsString>);

impl<'a, 'py> FromPyObject<'a, 'py> for Places {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let paths = value.extract::<Paths>()?.0;
        Ok(Self(paths.into_iter().map(anchored).collect::<PyResult<_>>()?))
    }
}

/// A sequence of words. One `str` is refused: it would be taken apart into characters.
#[derive(Debug)]
pub(super) struct Words(pub(super) Vec<OsString>);

impl<'a, 'py> FromPyObject<'a, 'py> for Words {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if is_text(&value) {
            return Err(wrong("a sequence of words", &value));
        }
        Ok(Self(texts(&value)?))
    }
}

/// One address, or an iterable of them.
#[derive(Debug)]
pub(super) struct Endpoints(pub(super) Vec<String>);

impl<'a, 'py> FromPyObject<'a, 'py> for Endpoints {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(one) = value.cast::<PyString>() {
            return Ok(Self(vec![one.extract()?]));
        }
        let list = value.try_iter()?.map(|item| item?.extract());
        Ok(Self(list.collect::<PyResult<_>>()?))
    }
}

/// Content: bytes, or text that is written as UTF-8.
#[derive(Debug)]
pub(super) struct Data(pub(super) Vec<u8>);

impl<'a, 'py> FromPyObject<'a, 'py> for Data {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            return Ok(Self(text.to_str()?.into()));
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self(bytes.as_bytes().into()));
        }
        if let Ok(bytes) = value.cast::<PyByteArray>() {
            return Ok(Self(bytes.to_vec()));
        }
        if value.is_instance_of::<PyMemoryView>() {
            return value.call_method0(pyo3::intern!(value.py(), "tobytes"))?.extract();
        }
        Err(wrong("str or bytes", &value))
    }
}

/// Content for standard input, or `PIPE`.
#[derive(Debug)]
pub(super) struct Input(pub(super) Stdin);

impl<'a, 'py> FromPyObject<'a, 'py> for Input {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.extract::<i32>().is_ok_and(|number| number == PIPE) {
            return Ok(Self(Stdin::Piped));
        }
        Ok(Self(Stdin::Bytes(value.extract::<Data>()?.0)))
    }
}

/// Seconds, as `int` or `float`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) Duration);

impl<'a, 'py> FromPyObject<'a, 'py> for Seconds {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let seconds: f64 = value.extract()?;
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| errors::plan(value.py(), format!("{seconds:?} is not a time in seconds")))
    }
}

/// A count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) u32);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        value.extract().map(Self).map_err(|error| out_of_range(&value, error))
    }
}

/// Bytes: a number, or text with a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Size {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let Ok(text) = value.cast::<PyString>() else {
            return value.extract().map(Self).map_err(|error| out_of_range(&value, error));
        };
        let text = text.to_str()?;
        limits::size(text).map(Self).map_err(|problem| {
            errors::plan(value.py(), format!("{text:?} is not a size: {problem}"))
        })
    }
}

/// Seconds as Python counts them.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Hands the keyword arguments of a function to `take`, which says whether it knows the name. Errors
/// say which argument they are about; in those that are not of Python, `field` goes before its name.
pub(super) fn keywords<'py>(
    function: &str,
    given: Option<&Bound<'py, PyDict>>,
    field: &str,
    mut take: impl FnMut(&str, &Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<()> {
    for (name, value) in given.into_iter().flatten() {
        let name = name.cast::<PyString>()?.to_str()?;
        let known = take(name, &value).map_err(|error| locate(field, name, &value, error))?;
        if !known {
            let message = format!("{function}() got an unexpected keyword argument '{name}'");
            return Err(PyTypeError::new_err(message));
        }
    }
    Ok(())
}

/// The keyword arguments of `Plan`, `run` and a runtime's methods. What was left out stays empty.
#[derive(Debug, Default)]
pub(super) struct Keywords {
    pub(super) read: Vec<OsString>,
    pub(super) write: Vec<OsString>,
    pub(super) execute: Vec<OsString>,
    pub(super) connect: Vec<String>,
    pub(super) bind: Vec<String>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: Option<OsString>,
    pub(super) files: Vec<(OsString, Vec<u8>)>,
    pub(super) collect: Vec<OsString>,
    pub(super) stdin: Option<Stdin>,
    /// `Some(None)`: no timeout.
    pub(super) timeout: Option<Option<Duration>>,
    pub(super) limits: Option<crate::Limits>,
    pub(super) args: Vec<OsString>,
    pub(super) venv: Option<OsString>,
    pub(super) interpreter: Option<OsString>,
    pub(super) check: bool,
    pub(super) supervise: Supervise,
    pub(super) policy: Option<crate::Policy>,
    pub(super) decide: Option<Arc<Py<PyAny>>>,
    pub(super) audit: Option<std::fs::File>,
}

/// What supervises a run: a policy, a callback, operations to ask about.
#[derive(Debug, Default)]
pub(super) struct Supervise {
    pub(super) policy: Option<crate::Policy>,
    pub(super) decide: Option<Arc<Py<PyAny>>>,
    pub(super) ask: Option<Vec<Operation>>,
}

impl Supervise {
    /// A policy or a callback.
    pub(super) fn take(&mut self, part: &Bound<'_, PyAny>) -> PyResult<()> {
        if part.is_none() {
            return Ok(());
        }
        if let Ok(policy) = part.cast::<Policy>() {
            self.policy = Some(policy.get().0.clone());
        } else if part.is_callable() {
            self.decide = Some(Arc::new(part.clone().unbind()));
        } else {
            return Err(wrong("a Policy or a callable", part));
        }
        Ok(())
    }

    /// The policy and the callback. `alone`: without rules, all changes are asked about.
    pub(super) fn finish(self, alone: bool) -> (Option<crate::Policy>, Option<Arc<Py<PyAny>>>) {
        const CHANGES: [Operation; 4] =
            [Operation::Write, Operation::Exec, Operation::Connect, Operation::Bind];
        let Self { policy, decide, ask } = self;
        let policy = match (policy, ask) {
            (Some(policy), Some(ask)) => Some(policy.ask_about(ask)),
            (Some(policy), None) => Some(policy),
            (None, Some(ask)) => Some(crate::Policy::new().ask_about(ask)),
            (None, None) if alone => Some(crate::Policy::new().ask_about(CHANGES)),
            (None, None) => None,
        };
        (policy, decide)
    }
}

/// A file to write behind what is in it.
pub(super) fn append(path: &Text) -> PyResult<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    // What programs do with their user's files is the user's own affair.
    let file = options.append(true).create(true).mode(0o600).open(&path.0);
    file.map_err(Into::into)
}

impl Keywords {
    /// Reads them for a function. `more`: which words it has beside those of `Plan`.
    pub(super) fn read(
        function: &str,
        given: Option<&Bound<'_, PyDict>>,
        more: &[&str],
    ) -> PyResult<Self> {
        let mut words = Self::default();
        keywords(function, given, "", |name, value| words.take(name, value, more))?;
        let supervise = std::mem::take(&mut words.supervise);
        let alone = supervise.decide.is_some();
        (words.policy, words.decide) = supervise.finish(alone);
        Ok(words)
    }

    fn take(&mut self, name: &str, value: &Bound<'_, PyAny>, more: &[&str]) -> PyResult<bool> {
        match name {
            "read" => self.read = value.extract::<Places>()?.0,
            "write" => self.write = value.extract::<Places>()?.0,
            "execute" => self.execute = value.extract::<Places>()?.0,
            "connect" => self.connect = value.extract::<Endpoints>()?.0,
            "bind" => self.bind = value.extract::<Endpoints>()?.0,
            "collect" => self.collect = value.extract::<Paths>()?.0,
            "timeout" => self.timeout = Some(value.extract::<Option<Seconds>>()?.map(|s| s.0)),
            // The others have `None` for "as if it were left out".
            _ if value.is_none() && (OPTIONAL.contains(&name) || more.contains(&name)) => {}
            "env" => self.env = pairs::<Text>(value)?.into_iter().map(|(k, v)| (k, v.0)).collect(),
            "files" => {
                self.files = pairs::<Data>(value)?.into_iter().map(|(k, v)| (k, v.0)).collect();
            }
            "cwd" => self.cwd = Some(anchored(value.extract::<Text>()?.0)?),
            "stdin" => self.stdin = Some(value.extract::<Input>()?.0),
            "supervise" => self.supervise.take(value)?,
            "ask" => self.supervise.ask = Some(value.extract::<Names>()?.0),
            "audit" => self.audit = Some(append(&value.extract::<Text>()?)?),
            "limits" => self.limits = Some(value.cast::<Limits>()?.get().0.clone()),
            _ if !more.contains(&name) => return Ok(false),
            "args" => self.args = value.extract::<Words>()?.0,
            "venv" => self.venv = Some(value.extract::<Text>()?.0),
            "interpreter" => self.interpreter = Some(value.extract::<Text>()?.0),
            "check" => self.check = value.is_truthy()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

const OPTIONAL: &[&str] = &["env", "files", "cwd", "stdin", "limits", "supervise", "ask", "audit"];

/// Puts keyword arguments into a builder: a `Plan` or a runtime's `Config`.
macro_rules! apply {
    ($builder:expr, $keywords:expr) => {{
        let (mut builder, keywords) = ($builder, $keywords);
        for path in keywords.read {
            builder = builder.read(path);
        }
        for path in keywords.write {
            builder = builder.write(path);
        }
        for path in keywords.execute {
            builder = builder.execute(path);
        }
        for endpoint in keywords.connect {
            builder = builder.connect(endpoint);
        }
        for endpoint in keywords.bind {
            builder = builder.bind(endpoint);
        }
        for (name, value) in keywords.env {
            builder = builder.env(name, value);
        }
        for (path, data) in keywords.files {
            builder = builder.file(path, data);
        }
        for path in keywords.collect {
            builder = builder.collect(path);
        }
        for word in keywords.args {
            builder = builder.arg(word);
        }
        if let Some(path) = keywords.cwd {
            builder = builder.cwd(path);
        }
        if let Some(stdin) = keywords.stdin {
            builder = builder.stdin_from(stdin);
        }
        if let Some(limits) = keywords.limits {
            builder = builder.limits(limits);
        }
        if let Some(policy) = keywords.policy {
            builder = builder.supervised(policy);
        }
        if let Some(file) = keywords.audit {
            builder = builder.audit(file);
        }
        match keywords.timeout {
            None => {}
            Some(None) => builder = builder.no_timeout(),
            Some(Some(time)) => builder = builder.timeout(time),
        }
        builder
    }};
}
pub(super) use apply;

fn is_text(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>()
}

fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<OsString>> {
    value.try_iter()?.map(|item| Ok(item?.extract::<Text>()?.0)).collect()
}

fn pairs<'py, V>(value: &Bound<'py, PyAny>) -> PyResult<Vec<(OsString, V)>>
where
    V: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    let items = value.cast::<PyMapping>()?.items()?;
    items
        .iter()
        .map(|item| {
            let (key, value): (Text, Bound<'py, PyAny>) = item.extract()?;
            Ok((key.0, value.extract::<V>()?))
        })
        .collect()
}

fn wrong(expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!("expected {expected}, not {name}")),
        Err(error) => error,
    }
}

/// A number that the field's type can't hold is out of its bounds like any other.
fn out_of_range(value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyOverflowError>(value.py()) {
        return errors::plan(value.py(), format!("{value} is out of range"));
    }
    error
}

fn locate(field: &str, name: &str, value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = value.py();
    if error.is_instance_of::<PyTypeError>(py) {
        return PyTypeError::new_err(format!("argument '{name}': {}", error.value(py)));
    }
    if errors::Class::Plan.is_class_of(py, &error) {
        return errors::plan(py, format!("{field}{name}: {}", error.value(py)));
    }
    error
}
