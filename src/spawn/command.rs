//! Which file a command names, and why it can't be run if it can't.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access};

use crate::error::LaunchError;
use crate::plan::{Launch, Word, escape};
use crate::sys::child::{Exec, Step};

pub(crate) const DEFAULT_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Prepares everything for the exec. Runs in the guard, whose rights are the target's.
pub(crate) fn prepare(
    launch: &Launch,
    workspace: &Path,
    terminal: bool,
) -> Result<&'static Exec, LaunchError> {
    let words: Vec<Vec<u8>> = launch.argv.iter().map(|word| expand(word, workspace)).collect();
    let env = environment(launch, workspace);
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let program = words.first().map(Vec::as_slice).unwrap_or_default();
    let file = find(program, path, launch.cwd.as_deref(), workspace)?;
    let cwd = launch.cwd.clone().unwrap_or_else(|| workspace.as_os_str().as_bytes().to_vec());
    Ok(Exec::leak(c(file)?, all(words)?, all(env)?, c(cwd)?, terminal))
}

fn expand(word: &Word, workspace: &Path) -> Vec<u8> {
    match word {
        Word::Text(text) => text.clone(),
        Word::Workspace(path) => {
            workspace.join(OsStr::from_bytes(path)).into_os_string().as_bytes().to_vec()
        }
    }
}

/// The plan's variables, and those that every program may expect.
fn environment(launch: &Launch, workspace: &Path) -> Vec<Vec<u8>> {
    let workspace = workspace.as_os_str().as_bytes();
    let defaults: [(&[u8], &[u8]); 4] = [
        (b"PATH", DEFAULT_PATH),
        (b"HOME", workspace),
        (b"TMPDIR", workspace),
        (b"LANG", b"C.UTF-8"),
    ];
    let own = launch.env.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let missing = defaults
        .into_iter()
        .filter(|(name, _)| !launch.env.iter().any(|(known, _)| known.as_slice() == *name));
    own.chain(missing).map(|(name, value)| [name, b"=", value].concat()).collect()
}

fn find(
    program: &[u8],
    path: &[u8],
    cwd: Option<&[u8]>,
    workspace: &Path,
) -> Result<Vec<u8>, LaunchError> {
    if program.contains(&b'/') {
        let base = cwd.map_or(workspace, |cwd| Path::new(OsStr::from_bytes(cwd)));
        let file = base.join(OsStr::from_bytes(program));
        // What is wrong with it is found out if the exec fails: most don't.
        return Ok(file.into_os_string().into_encoded_bytes());
    }
    let mut refused = None;
    // A relative directory in PATH would mean the workspace, where the program writes.
    for dir in path.split(|b| *b == b':').filter(|dir| dir.first() == Some(&b'/')) {
        let file = Path::new(OsStr::from_bytes(dir)).join(OsStr::from_bytes(program));
        match runnable(&file) {
            Ok(()) => return Ok(file.into_os_string().into_encoded_bytes()),
            Err(LaunchError::Exec { .. }) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| LaunchError::CommandNotFound {
        command: escape(program),
        path: escape(path),
    }))
}

fn runnable(file: &Path) -> Result<(), LaunchError> {
    let no = |reason: &'static str| {
        Err(LaunchError::NotExecutable {
            path: escape(file.as_os_str().as_bytes()),
            reason: reason.into(),
        })
    };
    let kind = match stat(file) {
        Ok(stat) => stat.st_mode & SFlag::S_IFMT.bits(),
        Err(errno) => {
            let path = escape(file.as_os_str().as_bytes());
            return Err(LaunchError::Exec { path, errno: errno as i32 });
        }
    };
    if kind == SFlag::S_IFDIR.bits() {
        return no("it is a directory");
    }
    if kind != SFlag::S_IFREG.bits() {
        return no("it is not a regular file");
    }
    if access(file, AccessFlags::X_OK).is_err() {
        return no("it has no execute permission (chmod +x)");
    }
    Ok(())
}

/// What a failed step of the target means to whoever wrote the plan.
pub(crate) fn explain(step: u32, errno: i32, exec: Option<&Exec>) -> LaunchError {
    let file = || exec.map(|exec| exec.path().to_bytes()).unwrap_or_default();
    let layer = |layer: &'static str| LaunchError::Layer { layer: layer.into(), errno };
    match Step::from_number(step) {
        Some(Step::Exec) => exec_error(file(), Errno::from_raw(errno)),
        Some(Step::Landlock) => layer("Landlock"),
        Some(Step::Seccomp) if errno == Errno::EBUSY as i32 => {
            LaunchError::Machine(crate::error::Machine::NestedListener)
        }
        Some(Step::Seccomp) => layer("seccomp"),
        Some(Step::Limits) => layer("rlimits"),
        Some(Step::Session) => layer("session"),
        Some(Step::ParentDeath) => layer("parent death signal"),
        Some(Step::Directory) => LaunchError::Plan(crate::error::PlanError::Path {
            field: "cwd".into(),
            path: exec.map(|exec| escape(exec.cwd().to_bytes())).unwrap_or_default(),
            errno,
        }),
        Some(Step::Descriptors) => layer("descriptors"),
        Some(Step::Terminal) => layer("terminal"),
        Some(Step::Signals) => layer("signal dispositions"),
        None => layer("target"),
    }
}

fn exec_error(file: &[u8], errno: Errno) -> LaunchError {
    let not =
        |reason: String| LaunchError::NotExecutable { path: escape(file), reason: reason.into() };
    if let Err(error) = runnable(Path::new(OsStr::from_bytes(file))) {
        return error;
    }
    match errno {
        Errno::ENOEXEC => not("it is neither a program nor a script: a script begins with a line \
             like #!/bin/sh, and a program must be built for this machine"
            .into()),
        // The file is there, so what is missing is what it names.
        Errno::ENOENT => not(match interpreter(file) {
            Some(name) => format!("its interpreter {} does not exist", escape(&name)),
            None => "the dynamic loader it names does not exist".into(),
        }),
        Errno::EACCES => not(match interpreter(file) {
            Some(name) => format!(
                "no grant lets it be executed, or its interpreter {}; add execute grants",
                escape(&name)
            ),
            None => "no grant lets it be executed; add an execute grant".into(),
        }),
        errno => LaunchError::Exec { path: escape(file), errno: errno as i32 },
    }
}

/// The interpreter on a script's first line.
fn interpreter(file: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::new();
    let file = std::fs::File::open(OsStr::from_bytes(file)).ok()?;
    file.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let name = line.trim_ascii().split(|b| *b == b' ' || *b == b'\t').next()?;
    (!name.is_empty()).then(|| name.to_vec())
}

fn c(text: Vec<u8>) -> Result<CString, LaunchError> {
    CString::new(text).map_err(|error| {
        LaunchError::Plan(crate::error::PlanError::NulByte {
            field: "command".into(),
            value: escape(&error.into_vec()),
        })
    })
}

fn all(texts: Vec<Vec<u8>>) -> Result<Vec<CString>, LaunchError> {
    texts.into_iter().map(c).collect()
}
