//! Finding interpreters, and asking them what they are.
//!
//! What `PATH` calls `python3` is often a script that looks for the real one (pyenv, asdf): it
//! wants half of the home directory and takes longer than the program. So it is asked once, here
//! on the host, and what it leads to is what runs in the sandbox.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: u64 = 1 << 20;
/// Before it in the output may stand what a shim has to say.
const MARK: &[u8] = b"evalbox-probe\0";

/// Says who it is, where its modules are, and which files it has mapped once it has loaded the
/// libraries that its own modules need; and compiles its first argument. Nothing of `site`: it runs
/// code of packages.
const PYTHON: &str = r#"
import marshal, sys
code = marshal.dumps(compile(sys.argv[1], "<evalbox>", "exec")).hex()
for name in "ssl hashlib sqlite3 ctypes lzma bz2 dbm gdbm uuid curses decimal zstd".split():
    try: __import__("_" + name)
    except Exception: pass
for name in "zlib", "readline", "pyexpat":
    try: __import__(name)
    except Exception: pass
maps = [line.split(None, 5)[5].strip() for line in open("/proc/self/maps", errors="surrogateescape")
        if line.count("/")]
answer = ["evalbox-probe", "%d.%d" % sys.version_info[:2], code, sys.executable or "",
          sys.base_prefix, sys.base_exec_prefix] + sys.path + maps + ["end"]
sys.stdout.buffer.write("\0".join(answer).encode("utf-8", "surrogateescape"))
"#;

/// A Python that has answered.
#[derive(Debug)]
pub(super) struct Python {
    /// The program itself.
    pub(super) executable: PathBuf,
    /// The bootstrap as its bytecode, in hexadecimal digits.
    pub(super) bootstrap: String,
    /// Everything it reads to run, and nothing below anything else of the list.
    pub(super) paths: Vec<PathBuf>,
    identity: Identity,
}

/// What changes if a file is replaced.
type Identity = (u64, u64, i64, i64);

/// A program that can be asked. A shim's answer depends on the directory, too.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    identity: Identity,
    directory: Option<PathBuf>,
}

static KNOWN: Mutex<Option<HashMap<Key, Arc<Python>>>> = Mutex::new(None);

/// Asks a program whether it is a Python. The answer is remembered for this process.
pub(super) fn python(file: &Path) -> Result<Arc<Python>, String> {
    let key = key(file).map_err(|error| error.to_string())?;
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get_or_insert_default().get(&key).cloned();
    // A shim stays the same when the program it leads to is replaced.
    let same = |found: &Arc<Python>| identity(&found.executable).ok() == Some(found.identity);
    if let Some(found) = found.filter(same) {
        return Ok(found);
    }
    let mut command = Command::new(file);
    command.args(["-I", "-S", "-c", PYTHON, super::python::BOOTSTRAP]);
    let python = Arc::new(read_answer(&answer(command)?)?);
    known().get_or_insert_default().insert(key, Arc::clone(&python));
    Ok(python)
}

fn key(file: &Path) -> io::Result<Key> {
    let identity = identity(file)?;
    let mut head = [0; 2];
    let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
    let script = read.is_ok() && &head == b"#!";
    Ok(Key {
        path: file.to_owned(),
        identity,
        directory: script.then(|| std::env::current_dir().unwrap_or_default()),
    })
}

fn identity(file: &Path) -> io::Result<Identity> {
    let data = fs::metadata(file)?;
    Ok((data.dev(), data.ino(), data.mtime(), data.mtime_nsec()))
}

/// Everything a command writes, within limits of time and size.
fn answer(mut command: Command) -> Result<Vec<u8>, String> {
    let text = |error: io::Error| error.to_string();
    let (mut reader, writer) = io::pipe().map_err(text)?;
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(writer.try_clone().map_err(text)?).stderr(writer);
    let mut child = command.spawn().map_err(text)?;
    // It holds the writing end.
    drop(command);
    let mut data = Vec::new();
    let result = read_until(&mut reader, &mut data, Instant::now() + PATIENCE);
    // The group of a child that has not been waited for can't be anyone else's.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
    result.map(|()| data)
}

fn read_until(reader: &mut io::PipeReader, data: &mut Vec<u8>, end: Instant) -> Result<(), String> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(format!("no answer in {} seconds", PATIENCE.as_secs())),
            Ok(_) => match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => data.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            },
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
        if data.len() as u64 > LONGEST_ANSWER {
            return Err("it does not stop talking".into());
        }
        if data.ends_with(b"\0end") {
            return Ok(());
        }
    }
}

fn read_answer(data: &[u8]) -> Result<Python, String> {
    let complain = || {
        let shown = String::from_utf8_lossy(&data[..data.len().min(4096)]).into_owned();
        match shown.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("it says {line:?}"),
            None => "it says nothing".to_owned(),
        }
    };
    let start = data.windows(MARK.len()).position(|window| window == MARK).ok_or_else(complain)?;
    let mut fields = data[start + MARK.len()..].split(|byte| *byte == 0);
    let version = fields.next().and_then(version).ok_or_else(complain)?;
    let bootstrap = fields.next().and_then(digits).ok_or_else(complain)?;
    let mut paths = fields.map(|field| PathBuf::from(OsStr::from_bytes(field)));
    let mut next = || paths.next().ok_or_else(complain);
    let (executable, prefix, exec_prefix) = (next()?, next()?, next()?);
    let mut rest: Vec<PathBuf> = paths.collect();
    if rest.pop().as_deref() != Some(Path::new("end")) {
        return Err("its answer is cut short".into());
    }
    if version < super::python::OLDEST {
        return Err(format!("it is Python {}.{}, and evalbox needs 3.8", version.0, version.1));
    }
    if !executable.is_absolute() || !is_elf(&executable) {
        return Err(format!("its sys.executable is {executable:?}, which is not a program"));
    }
    rest.push(executable.clone());
    rest.extend(installed(&prefix, &exec_prefix, version));
    if let Some(venv) = venv_of(&executable) {
        rest.extend(of_venv(&venv, version));
    }
    let identity = identity(&executable).map_err(|error| error.to_string())?;
    Ok(Python { executable, bootstrap, paths: shortest(rest), identity })
}

fn version(field: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn digits(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// Where packages are, which only `site` would have told.
fn installed(prefix: &Path, exec_prefix: &Path, version: (u32, u32)) -> Vec<PathBuf> {
    let library = format!("python{}.{}", version.0, version.1);
    let libraries = [prefix.join("lib").join(&library), exec_prefix.join("lib64").join(&library)];
    // A conda environment keeps every shared library of its packages in lib, and nothing foreign.
    let conda = ["bin", "lib", "share", "ssl", "etc"].map(|name| prefix.join(name));
    let conda = conda.into_iter().filter(|_| prefix.join("conda-meta").is_dir());
    libraries.into_iter().chain(conda).collect()
}

/// The virtual environment of an executable, found as Python finds it.
fn venv_of(executable: &Path) -> Option<PathBuf> {
    let beside = executable.parent()?;
    let above = beside.parent();
    let mut places = std::iter::once(beside).chain(above);
    places.find(|dir| dir.join("pyvenv.cfg").is_file()).map(Path::to_owned)
}

/// By name, and not the directory: it may be a project's own, with everything else in it.
fn of_venv(venv: &Path, version: (u32, u32)) -> Vec<PathBuf> {
    let library = format!("python{}.{}", version.0, version.1);
    vec![
        venv.join("pyvenv.cfg"),
        venv.join("bin"),
        venv.join("lib").join(&library),
        venv.join("lib64").join(&library),
        venv.join("share"),
    ]
}

/// The paths that exist, without those below others.
fn shortest(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    // Mapped files of other kinds: shared memory, the deleted.
    let foreign = |path: &Path| ["/dev", "/proc", "/sys"].iter().any(|dir| path.starts_with(dir));
    let mut paths: Vec<PathBuf> = paths
        .into_iter()
        .filter(|path| path.is_absolute())
        .filter_map(|path| fs::canonicalize(path).ok())
        .filter(|path| path.parent().is_some() && !foreign(path))
        .collect();
    paths.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !kept.last().is_some_and(|last| path.starts_with(last)) {
            kept.push(path);
        }
    }
    kept
}

/// The directories of this process's `PATH`.
pub(super) fn path_directories() -> Vec<PathBuf> {
    let fallback = || OsStr::from_bytes(crate::spawn::command::DEFAULT_PATH).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_else(fallback);
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect()
}

/// The files that a name may mean: itself if it is a path, else one in each directory.
pub(super) fn candidates(
    name: &Path,
    directories: impl IntoIterator<Item = PathBuf>,
) -> Vec<PathBuf> {
    if name.is_absolute() || name.components().count() != 1 || name.starts_with(Component::CurDir) {
        return vec![std::path::absolute(name).unwrap_or_else(|_| name.to_owned())];
    }
    directories.into_iter().map(|dir| dir.join(name)).collect()
}

/// Whether it can be executed, by its mode.
pub(super) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn is_elf(file: &Path) -> bool {
    let mut head = [0; 4];
    let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && &head == b"\x7fELF" && is_program(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("python3");
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, file)
    }

    #[test]
    fn what_is_no_python_is_told_apart() {
        let cases = [
            ("echo 'pyenv: python3: command not found' >&2; exit 127", "command not found"),
            ("exit 0", "says nothing"),
            (r"printf 'evalbox-probe\0003.12\00000\000/x\000/y'", "says"),
            (r"printf 'evalbox-probe\0003.12\00000\000/bin/sh\000/y\000/z\000'", "cut short"),
            (r"printf 'evalbox-probe\0003.7\00000\000/bin/sh\000/y\000/z\000end'", "needs 3.8"),
            (r"printf 'evalbox-probe\0003.12\00000\000sh\000/y\000/z\000end'", "not a program"),
            (
                r"printf 'evalbox-probe\0003.12\00000\000/etc/passwd\000/y\000/z\000end'",
                "not a program",
            ),
            ("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", "not stop"),
        ];
        for (text, problem) in cases {
            let (_dir, file) = script(text);
            let error = python(&file).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn an_answer_may_follow_chatter_and_a_process_that_stays() {
        let (_dir, file) = script(
            r"echo warning; sleep 100 & printf 'evalbox-probe\0003.12\00000\000/bin/sh\000/y\000/z\000/etc\000/etc/passwd\000end'",
        );
        let started = Instant::now();
        let python = python(&file).unwrap();
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(python.executable, Path::new("/bin/sh"));
        assert!(python.paths.contains(&"/etc".into()));
        assert!(!python.paths.contains(&"/etc/passwd".into()), "it is below /etc");
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        let dirs = || vec![PathBuf::from("/a"), PathBuf::from("/b")];
        assert_eq!(candidates(Path::new("x"), dirs()).len(), 2);
        assert_eq!(candidates(Path::new("/y/x"), dirs()), [PathBuf::from("/y/x")]);
        let here = std::env::current_dir().unwrap().join("x");
        assert_eq!(candidates(Path::new("./x"), dirs()), [here]);
    }
}
