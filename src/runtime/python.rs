//! Python: the interpreter this process would get, or the one that the config names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Config, Runtime, probe, run_with, text};
use crate::error::{Result, RuntimeError};
use crate::plan::paths::SYSTEM_EXECUTE;
use crate::plan::{Access, Plan, Word, escape};
use crate::session::{Exception, Output};
use crate::wire::Refused;

/// Runs the program as `__main__` and reports its value or exception.
pub(super) const BOOTSTRAP: &str = include_str!("bootstrap.py");
/// Runs the bootstrap without a name of it left in `__main__`.
const START: &str = "exec(__import__('marshal').loads(bytes.fromhex(__import__('sys').argv.pop(1))),\
    {'__name__':'<evalbox>'})";
/// No packages of the user's home, no bytecode written, UTF-8 everywhere.
const FLAGS: [&str; 5] = ["-s", "-B", "-X", "utf8", "-c"];
/// Where the bootstrap leaves its report.
const RESULT: &str = ".evalbox-result";
const MAGIC: &[u8] = b"evalbox1";
/// The bootstrap writes at most 1 MiB of each; a program could write anything.
const LONGEST_FIELD: usize = 1 << 20;
/// As many as a guard reports.
const MOST_REFUSED: usize = 256;

/// The oldest version that the bootstrap is written for.
pub(super) const OLDEST: (u32, u32) = (3, 8);

/// The runtime.
#[derive(Debug, Clone, Copy)]
pub struct Python;

/// Runs a program. [`Output::value`] is the `repr()` of its last expression, and
/// [`Output::error`] the exception that ended it.
///
/// ```
/// let output = evalbox::python::run("1 / 0", &evalbox::Config::new())?;
/// assert_eq!(output.error.unwrap().kind, "ZeroDivisionError");
/// # Ok::<(), evalbox::Error>(())
/// ```
///
/// # Errors
/// As [`runtime::run`](super::run). An exception of the program is not an error.
pub fn run(code: impl AsRef<[u8]>, config: &Config) -> Result<Output> {
    run_with(&Python, code.as_ref(), config)
}

/// The plan that runs a program. Its output is to be given to [`finish`].
///
/// # Errors
/// [`Error::Runtime`](crate::Error::Runtime) if there is no usable interpreter.
pub fn plan(code: impl AsRef<[u8]>, config: &Config) -> Result<Plan> {
    Python.plan(code.as_ref(), config)
}

/// Moves the program's value and exception to where they belong in the output.
pub fn finish(output: &mut Output) {
    Python.finish(output);
}

impl Runtime for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn plan(&self, code: &[u8], config: &Config) -> Result<Plan> {
        let python = find(config)?;
        let name = config.free_name("main", "py");
        let mut command = vec![text(&python.executable)];
        command.extend(FLAGS.map(text));
        command.extend([
            text(START),
            text(&python.bootstrap),
            Word::Workspace(name.clone().into_bytes()),
        ]);
        let mut plan = config.plan(command).file(name, code).collect(RESULT);
        let granted =
            |path: &Path| plan.system && SYSTEM_EXECUTE.iter().any(|dir| path.starts_with(dir));
        let missing: Vec<_> = python.paths.iter().filter(|path| !granted(path)).cloned().collect();
        let foreign = !missing.is_empty();
        plan.grants.extend(missing.into_iter().map(|path| (path, Access::Execute)));
        if foreign && !plan.env.iter().any(|(name, _)| name == "PATH") {
            plan = with_path(plan, &python.executable);
        }
        Ok(plan)
    }

    fn finish(&self, output: &mut Output) {
        let Some(report) = output.files.remove(Path::new(RESULT)) else { return };
        let Some(report) = Report::read(&report) else { return };
        output.value = report.value;
        output.error = report.error;
        let Some(refused) = report.refused else { return };
        if output.refused.iter().any(|known| known.target == refused.target) {
            return;
        }
        if output.refused.len() < MOST_REFUSED {
            output.refused.push(refused);
        } else {
            output.refused_beyond = output.refused_beyond.saturating_add(1);
        }
    }
}

/// So that `python3` means the same to the program's own subprocesses.
fn with_path(plan: Plan, executable: &Path) -> Plan {
    use std::os::unix::ffi::OsStrExt;
    let Some(dir) = executable.parent().filter(|dir| !dir.as_os_str().as_bytes().contains(&b':'))
    else {
        return plan;
    };
    let mut path = dir.as_os_str().to_owned();
    path.push(":");
    path.push(std::ffi::OsStr::from_bytes(crate::spawn::command::DEFAULT_PATH));
    plan.env("PATH", path)
}

const REMEDY: &str = "install one (Debian: apt install python3) or name one with `interpreter`";

fn find(config: &Config) -> Result<Arc<probe::Python>, RuntimeError> {
    let named = match (&config.interpreter, &config.venv) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(venv)) => {
            Some(std::path::absolute(venv.join("bin/python")).unwrap_or_default())
        }
        (None, None) => None,
    };
    // An active environment is the first in PATH.
    let names = named.map_or_else(|| vec!["python3".into(), "python".into()], |path| vec![path]);
    let mut looked = Vec::new();
    let mut broken = None;
    for name in names {
        for file in probe::candidates(&name, probe::path_directories()) {
            if !probe::is_program(&file) {
                looked.push(file);
                continue;
            }
            let answer = unchangeable(config, [file.as_path()])
                .map_err(|problem| (true, problem))
                .and_then(|()| probe::python(&file).map_err(|problem| (false, problem)))
                .and_then(|python| match unchangeable(config, python.paths.iter()) {
                    Ok(()) => Ok(python),
                    Err(problem) => Err((true, problem)),
                });
            match answer {
                Ok(python) => return Ok(python),
                Err((last, problem)) => {
                    let error = RuntimeError::Broken { language: "python", path: file, problem };
                    if last {
                        return Err(error);
                    }
                    broken = broken.or(Some(error));
                }
            }
        }
    }
    let remedy = match (&config.interpreter, &config.venv) {
        (None, Some(_)) => {
            "make the environment with `python3 -m venv` (Debian: apt install python3-venv)"
        }
        _ => REMEDY,
    };
    Err(broken.unwrap_or(RuntimeError::NotFound { language: "python", looked, remedy }))
}

/// An interpreter that a program may change would be started outside of every sandbox the next
/// time it is asked what it is, and would say which paths to grant.
fn unchangeable<P: AsRef<Path>>(
    config: &Config,
    paths: impl IntoIterator<Item = P>,
) -> Result<(), String> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let writable = config.template.grants.iter().filter(|(_, access)| *access == Access::Write);
    let writable: Vec<PathBuf> = writable.map(|(path, _)| real(path)).collect();
    if writable.is_empty() {
        return Ok(());
    }
    // What is installed there is never run on the host: without `site`, nobody looks.
    let packages = |path: &Path| path.iter().any(|p| p == "site-packages" || p == "dist-packages");
    for path in paths {
        let path = path.as_ref();
        // Who may write its directory may replace it.
        let (place, parent) = (real(path), path.parent().map(real).unwrap_or_default());
        let holds = |root: &&PathBuf| {
            place.starts_with(root)
                || parent.starts_with(root)
                || (root.starts_with(&place) && !packages(root))
        };
        if let Some(root) = writable.iter().find(holds) {
            return Err(format!(
                "with the write grant {} the program could change {}, which starts outside of the \
                 sandbox when it is next looked for; grant writing to less, or use another \
                 interpreter",
                root.display(),
                path.display()
            ));
        }
    }
    Ok(())
}

/// What the bootstrap has to say. The program may have written it: nothing in it is certain.
#[derive(Debug, Default, PartialEq)]
struct Report {
    value: Option<String>,
    error: Option<Exception>,
    refused: Option<Refused>,
}

impl Report {
    /// `None` if it is not exactly what a bootstrap writes.
    fn read(data: &[u8]) -> Option<Self> {
        let mut rest = data.strip_prefix(MAGIC)?;
        let mut fields: [Option<&[u8]>; 8] = [None; 8];
        while let Some((tag, tail)) = rest.split_first() {
            let (length, tail) = tail.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            if length > LONGEST_FIELD {
                return None;
            }
            let (field, tail) = tail.split_at_checked(length)?;
            let index = b"VKMTEPAG".iter().position(|known| known == tag)?;
            if fields[index].replace(field).is_some() {
                return None;
            }
            rest = tail;
        }
        let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
        let [value, kind, message, traceback, errno, path, access, grant] = fields;
        if let Some(value) = value {
            let alone = fields[1..].iter().all(Option::is_none);
            return alone.then_some(Self { value: Some(text(value)?), ..Self::default() });
        }
        let error = Exception {
            kind: text(kind?)?,
            message: text(message?)?,
            traceback: text(traceback?)?,
        };
        let refused = match (errno, path, access, grant) {
            (None, None, None, None) => None,
            (Some(errno), Some(path), Some(access), Some(grant)) => {
                Some(refused(errno, path, access, grant)?)
            }
            _ => return None,
        };
        Some(Self { value: None, error: Some(error), refused })
    }
}

fn refused(errno: &[u8], path: &[u8], access: &[u8], grant: &[u8]) -> Option<Refused> {
    let errno = match errno {
        b"1" => libc::EPERM,
        b"13" => libc::EACCES,
        _ => return None,
    };
    let (syscall, access) = match access {
        b"read" => ("open", "read"),
        b"write" => ("open", "write"),
        b"execute" => ("execve", "execute"),
        _ => return None,
    };
    let grant = (!grant.is_empty()).then(|| format!("{access}({})", escape(grant)));
    Some(Refused { syscall: syscall.into(), target: escape(path), errno, grant, count: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        for (tag, field) in fields {
            data.push(*tag);
            data.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            data.extend_from_slice(field);
        }
        data
    }

    #[test]
    fn reports_are_read() {
        let report = Report::read(&write(&[(b'V', b"42")])).unwrap();
        assert_eq!(report.value.as_deref(), Some("42"));
        let fields: &[(u8, &[u8])] = &[
            (b'K', b"OSError"),
            (b'M', b"no"),
            (b'T', b"t"),
            (b'E', b"13"),
            (b'P', b"/a\"b"),
            (b'A', b"write"),
            (b'G', b"/a"),
        ];
        let report = Report::read(&write(fields)).unwrap();
        assert_eq!(report.error.unwrap().message, "no");
        let refused = report.refused.unwrap();
        assert_eq!(refused.grant.as_deref(), Some("write(\"/a\")"));
        assert_eq!(refused.target, "\"/a\\\"b\"");
    }

    #[test]
    fn garbage_is_no_report() {
        let error: [(u8, &[u8]); 3] = [(b'K', b"E"), (b'M', b""), (b'T', b"")];
        let with = |more: &[(u8, &[u8])]| write(&[&error[..], more].concat());
        let cases: Vec<Vec<u8>> = vec![
            vec![],
            b"evalbox".to_vec(),
            MAGIC.to_vec(),
            [MAGIC, b"V"].concat(),
            [MAGIC, b"V\x04\0\0\0abc"].concat(),
            [MAGIC, b"V\xff\xff\xff\xff"].concat(),
            [write(&[(b'V', b"1")]), b"x".to_vec()].concat(),
            write(&[(b'V', b"1"), (b'V', b"2")]),
            write(&[(b'X', b"1")]),
            write(&[(b'V', b"\xff")]),
            write(&[(b'V', &vec![b'x'; LONGEST_FIELD + 1])]),
            write(&error[..2]),
            with(&[(b'V', b"1")]),
            with(&[(b'E', b"13")]),
            with(&[(b'E', b"2"), (b'P', b"/"), (b'A', b"read"), (b'G', b"")]),
            with(&[(b'E', b"13"), (b'P', b"/"), (b'A', b"own"), (b'G', b"")]),
        ];
        for case in cases {
            assert_eq!(Report::read(&case), None, "{}", case.escape_ascii());
        }
        // No prefix of a report is one, and no change of a byte is a panic.
        let whole = with(&[(b'E', b"13"), (b'P', b"/"), (b'A', b"read"), (b'G', b"/")]);
        assert!(Report::read(&whole).is_some());
        for end in 0..whole.len() {
            let report = Report::read(&whole[..end]);
            assert!(report.is_none_or(|report| report.refused.is_none()));
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = Report::read(&changed);
            }
        }
    }
}
