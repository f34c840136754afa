//! From the words of the command line to a plan.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::args::{Bound, Run};
use super::{Failure, language};
use crate::error::PlanError;
use crate::plan::{Limits, Plan, escape};

/// A plan without its streams, and what else the launcher must know.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) plan: Plan,
    pub(super) finish: language::Finish,
    pub(super) limits: Limits,
    pub(super) timeout: Option<Duration>,
    /// Standard input was the code, so the program's is empty.
    pub(super) stdin_is_taken: bool,
    pub(super) report: bool,
    pub(super) json: bool,
}

pub(super) fn request(run: Run) -> Result<Request, Failure> {
    let base = std::env::current_dir()
        .map_err(|source| Failure::Read { path: "the current directory".into(), source })?;
    let stdin_is_taken = run.code.as_deref() == Some(Path::new("-"));
    let limits = limits(&run);
    let grants = [("read", &run.read), ("write", &run.write), ("execute", &run.execute)]
        .map(|(field, paths)| absolute_all(field, &base, paths));
    let [read, write, execute] = grants;
    let (read, write, execute) = (read?, write?, execute?);
    let cwd = match &run.cwd {
        Some(path) => Some(absolute("cwd", &base, path)?),
        None => is_granted(&base, [&read, &write, &execute]).then(|| base.clone()),
    };
    let (mut plan, finish) = match &run.code {
        Some(path) => code(path, run.lang.as_deref(), &run.words)?,
        None if run.lang.is_some() => {
            return Err(Failure::Usage("--lang is about FILE, and none is given".into()));
        }
        None if run.words.is_empty() => {
            return Err(Failure::Usage("nothing to run; give FILE, - or -- COMMAND".into()));
        }
        None => (Plan::new(command(&base, run.words)), language::Finish::default()),
    };
    plan = read.into_iter().fold(plan, Plan::read);
    plan = write.into_iter().fold(plan, Plan::write);
    plan = execute.into_iter().fold(plan, Plan::execute);
    for endpoint in run.connect {
        plan = plan.connect(unix_absolute(&base, endpoint)?);
    }
    plan = run.bind.into_iter().fold(plan, Plan::bind);
    for pair in run.env {
        let (name, value) = split("--env", "NAME=VALUE", pair)?;
        plan = plan.env(name, value);
    }
    for pair in run.file {
        let (name, path) = split("--file", "NAME=PATH", pair)?;
        plan = plan.file(name, read_file(Path::new(&path))?);
    }
    if let Some(cwd) = cwd {
        plan = plan.cwd(cwd);
    }
    let timeout = run.timeout.and_then(|bound| bound.0);
    plan = match timeout {
        Some(time) => plan.timeout(time),
        None => plan.no_timeout(),
    };
    plan = plan.limits(limits.clone());
    Ok(Request {
        plan,
        finish,
        limits,
        timeout,
        stdin_is_taken,
        report: run.report,
        json: run.json,
    })
}

fn limits(run: &Run) -> Limits {
    fn or<T: Copy>(given: Option<Bound<T>>, usual: Option<T>) -> Option<T> {
        given.map_or(usual, |bound| bound.0)
    }
    let usual = Limits::default();
    Limits {
        memory: or(run.memory, usual.memory),
        cpu: or(run.cpu, usual.cpu),
        tasks: or(run.tasks, usual.tasks),
        // Only what is kept in memory needs a bound of its own.
        output: or(run.output, usual.output.filter(|_| run.json)),
        file_size: or(run.file_size, usual.file_size),
        open_files: run.open_files.unwrap_or(usual.open_files),
        workspace: or(run.workspace, usual.workspace),
    }
}

/// The command, with a program that is named by a relative path found where the caller is.
fn command(base: &Path, mut words: Vec<OsString>) -> Vec<OsString> {
    if let Some(program) = words.first_mut().filter(|program| program.as_bytes().contains(&b'/')) {
        *program = base.join(&*program).into_os_string();
    }
    words
}

fn code(
    path: &Path,
    lang: Option<&str>,
    arguments: &[OsString],
) -> Result<(Plan, language::Finish), Failure> {
    let code = if path == Path::new("-") {
        let mut code = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut code)
            .map_err(|source| Failure::Read { path: "standard input".into(), source })?;
        code
    } else {
        read_file(path)?
    };
    let lang = lang.or_else(|| language::guess(path, &code)).ok_or_else(|| {
        Failure::Usage(format!(
            "{}: its language can't be told from its name or its first line; say --lang. \
             To run a command, write: evalbox run -- COMMAND",
            path.display()
        ))
    })?;
    let (plan, finish) = language::plan(lang, &code)?;
    Ok((arguments.iter().fold(plan, Plan::arg), finish))
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::Read { path: path.display().to_string(), source })
}

fn absolute_all(
    field: &'static str,
    base: &Path,
    paths: &[PathBuf],
) -> Result<Vec<PathBuf>, Failure> {
    paths.iter().map(|path| absolute(field, base, path)).collect()
}

/// The path seen from the caller's directory. Plans have no `..`, and only the file system can
/// say where one leads.
fn absolute(field: &'static str, base: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let joined = base.join(path);
    if path.as_os_str().is_empty() || !joined.components().any(|c| c == Component::ParentDir) {
        // `join` would make the caller's directory of an empty path, which nobody means.
        return Ok(if path.as_os_str().is_empty() { path.to_owned() } else { joined });
    }
    joined.canonicalize().map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let path = escape(path.as_os_str().as_bytes());
        crate::Error::Plan(PlanError::Path { field: field.into(), path, errno }).into()
    })
}

fn unix_absolute(base: &Path, endpoint: String) -> Result<String, Failure> {
    let Some(path) = endpoint.strip_prefix("unix:").filter(|path| !path.is_empty()) else {
        return Ok(endpoint);
    };
    let path = absolute("connect", base, Path::new(path))?;
    let path = path.into_os_string().into_string().map_err(|path| {
        Failure::Usage(format!("--connect: {} is not UTF-8", escape(path.as_bytes())))
    })?;
    Ok(format!("unix:{path}"))
}

fn is_granted(directory: &Path, grants: [&Vec<PathBuf>; 3]) -> bool {
    grants
        .into_iter()
        .flatten()
        .filter_map(|path| path.canonicalize().ok())
        .any(|granted| directory.starts_with(granted))
}

fn split(flag: &str, form: &str, pair: OsString) -> Result<(OsString, OsString), Failure> {
    let mut name = pair.into_vec();
    let Some(at) = name.iter().position(|b| *b == b'=').filter(|at| *at > 0) else {
        return Err(Failure::Usage(format!("{flag}: {} is not {form}", escape(&name))));
    };
    let value = name.split_off(at + 1);
    name.truncate(at);
    Ok((OsString::from_vec(name), OsStr::from_bytes(&value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_callers_directory() {
        let at = |path: &str| absolute("read", Path::new("/usr/bin"), Path::new(path)).unwrap();
        assert_eq!(at("x"), Path::new("/usr/bin/x"));
        assert_eq!(at("/x"), Path::new("/x"));
        assert_eq!(at("../bin"), Path::new("/usr/bin"));
        assert_eq!(at(""), Path::new(""));
        assert!(absolute("read", Path::new("/usr"), Path::new("../no such")).is_err());
    }

    #[test]
    fn pairs_are_split_at_the_first_sign() {
        let pair = |text: &str| split("--env", "N=V", text.into());
        assert_eq!(pair("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert_eq!(pair("A=").unwrap(), ("A".into(), "".into()));
        assert!(pair("A").is_err());
        assert!(pair("=b").is_err());
    }
}
