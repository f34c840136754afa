//! Executing a program. Nobody can do that for another process, so it is decided on a copy of the
//! arguments, let go, and looked at again when the new program stands in memory and has not run
//! yet: if it isn't what was decided on, it is killed.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::names::into_path;
use crate::guard::context::Context;
use crate::guard::decode::{ReadMemory, Target};
use crate::guard::resolve::{View, is_writable, kind_of};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::policy::{Facts, SyscallContext};
use crate::sys::memory::Memory;
use crate::sys::metadata::handle_name;
use crate::sys::ptrace;

/// Bytes of arguments that are shown.
const SHOWN: usize = 64 * 1024;
/// Scripts whose interpreters are scripts, as the kernel's.
const CHAIN: usize = 5;
/// `BINPRM_BUF_SIZE`: what the kernel reads of a file's beginning.
const HEAD: usize = 256;

/// A program that is about to be executed.
#[derive(Debug)]
pub(crate) struct Ready {
    handle: OwnedFd,
    argv: Vec<Vec<u8>>,
    mutable: bool,
    expected: Expected,
}

/// What must stand in memory afterwards.
#[derive(Debug)]
pub(crate) struct Expected {
    target: Target,
    /// The program file: of a script its interpreter.
    exe: Object,
    argv: Vec<Vec<u8>>,
    /// The script, if it is one, and how it was.
    script: Option<Version>,
}

/// A file and the state of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    object: Object,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(handle: impl AsFd) -> Result<Self, Errno> {
        let stat = fstat(handle.as_fd())?;
        Ok(Self {
            object: Object::of(handle)?,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }
}

impl Ready {
    pub(crate) fn look(
        context: &Context,
        view: View<'_>,
        target: &Target,
        argv: &[Vec<u8>],
    ) -> Result<Self, Errno> {
        let handle = view.pin(target)?;
        let mut expected = argv.to_vec();
        let mut file = handle.try_clone().map_err(|_| Errno::EMFILE)?;
        let mut name = file_name(target);
        let mut script = None;
        for depth in 0.. {
            match kind_of(&file)? {
                SFlag::S_IFREG => {}
                SFlag::S_IFLNK => return Err(Errno::ELOOP),
                _ => return Err(Errno::EACCES),
            }
            let Some((interpreter, argument)) = interpreter(&file)? else { break };
            if depth >= CHAIN {
                return Err(Errno::ELOOP);
            }
            if script.is_none() {
                script = Some(Version::of(&file)?);
            }
            let words = [Some(interpreter.clone()), argument, Some(name)];
            expected.splice(..expected.len().min(1), words.into_iter().flatten());
            let path =
                Target::Path { dirfd: libc::AT_FDCWD, path: interpreter.clone(), follow: true };
            file = view.pin(&path)?;
            name = interpreter;
        }
        let mutable = script.is_some() && is_writable(&context.writable, handle.as_fd())?;
        let expected =
            Expected { target: target.clone(), exe: Object::of(&file)?, argv: expected, script };
        Ok(Self { handle, argv: argv.to_vec(), mutable, expected })
    }

    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let mut left = SHOWN;
        let shown = self.argv.iter().map_while(|word| {
            left = left.checked_sub(word.len() + 1)?;
            Some(OsString::from_vec(word.clone()))
        });
        let argv: Vec<OsString> = shown.collect();
        let cut = argv.len() < self.argv.len();
        let context = SyscallContext::Exec {
            path: into_path(resolved(self.handle.as_fd())?),
            argv,
            mutable: self.mutable,
        };
        let facts = Facts { exists: true, directory: false, cut };
        let objects = vec![Object::of(&self.handle)?, self.expected.exe];
        Ok(Some(Subject { context, facts, objects }))
    }

    pub(crate) fn expected(self) -> Expected {
        self.expected
    }
}

impl Expected {
    /// Whether a task that has stopped after its exec is what was decided on.
    pub(crate) fn holds(&self, view: View<'_>, pid: i32) -> Result<bool, Errno> {
        let exe = openat(
            view.procfs,
            format!("{pid}/exe").as_str(),
            OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        if Object::of(&exe)? != self.exe || arguments(pid, self.argv.len())? != self.argv {
            return Ok(false);
        }
        match self.script {
            // A relative name of a descriptor that is closed by now can't be looked up again; what
            // was opened through it then is what the interpreter opens.
            Some(version) => match view.pin(&self.target) {
                Ok(now) => Ok(Version::of(&now)? == version),
                Err(_) => Ok(matches!(self.target, Target::Fd(_))),
            },
            None => Ok(true),
        }
    }
}

/// The arguments on a new program's stack, where the kernel has put them.
fn arguments(pid: i32, expected: usize) -> Result<Vec<Vec<u8>>, Errno> {
    let memory = Memory(pid);
    let stack = ptrace::stack_pointer(pid)?;
    let word = |at: u64| {
        let mut bytes = [0; 8];
        ReadMemory::read(&memory, at, &mut bytes)?;
        Ok::<_, Errno>(u64::from_ne_bytes(bytes))
    };
    let count = word(stack)?;
    if count != expected as u64 {
        return Ok(Vec::new());
    }
    let texts = (1..=count).map(|i| {
        let at = word(stack.wrapping_add(i * 8))?;
        ReadMemory::string(&memory, at, 128 * 1024)
    });
    texts.collect()
}

/// The name by which the kernel tells an interpreter of its script.
fn file_name(target: &Target) -> Vec<u8> {
    match target {
        Target::Fd(fd) => format!("/dev/fd/{fd}").into_bytes(),
        Target::Path { dirfd, path, .. }
            if *dirfd == libc::AT_FDCWD || path.first() == Some(&b'/') =>
        {
            path.clone()
        }
        Target::Path { dirfd, path, .. } => {
            [format!("/dev/fd/{dirfd}/").as_bytes(), path.as_slice()].concat()
        }
    }
}

/// An interpreter and its argument.
type FirstLine = (Vec<u8>, Option<Vec<u8>>);

/// What a script's first line says. A file that may not be read can't be
/// inspected when it runs.
fn interpreter(file: &OwnedFd) -> Result<Option<FirstLine>, Errno> {
    let name = handle_name(file.as_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let content = openat(nix::fcntl::AT_FDCWD, name.as_c_str(), flags, Mode::empty())?;
    let mut head = [0; HEAD];
    let count = nix::unistd::read(&content, &mut head)?;
    Ok(first_line(&head[..count]))
}

/// As `load_script` of the kernel reads it.
fn first_line(head: &[u8]) -> Option<FirstLine> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|b| *b == b'\n' || *b == 0).next().unwrap_or_default();
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = line.iter().position(|b| !blank(b))?;
    let line = &line[start..];
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let from = rest.iter().position(|b| !blank(b));
    let argument = from.map(|from| {
        let rest = &rest[from..];
        let end = rest.iter().rposition(|b| !blank(b)).map_or(0, |last| last + 1);
        rest[..end].to_vec()
    });
    Some((name.to_vec(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read_as_the_kernel_reads_them() {
        let line = |text: &str| first_line(text.as_bytes());
        let word = |text: &str| text.as_bytes().to_vec();
        assert_eq!(line("#!/bin/sh\nx"), Some((word("/bin/sh"), None)));
        assert_eq!(line("#! /bin/sh -e  x \n"), Some((word("/bin/sh"), Some(word("-e  x")))));
        assert_eq!(
            line("#!\t/usr/bin/env python3"),
            Some((word("/usr/bin/env"), Some(word("python3"))))
        );
        assert_eq!(line("\x7fELF"), None);
        assert_eq!(line("#!   \n"), None);
    }
}
