//! Opening on behalf: the object is pinned first, judged, and then opened through its handle, with
//! the sandbox's own rights. Its descriptor goes to the caller.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::{Mode, SFlag};

use super::Answer;
use super::names::into_path;
use crate::guard::context::{Context, Refusal};
use crate::guard::decode::{Place, Target};
use crate::guard::resolve::{Name, View, is_procfs, kind_of};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::plan::escape;
use crate::plan::paths::SYSTEM_DEVICES;
use crate::policy::{Facts, OpenAccess, SyscallContext};
use crate::sys::metadata::handle_name;
use crate::sys::openat2::{RESOLVE_NO_MAGICLINKS, openat2};

/// An open whose object, or place, is pinned.
#[derive(Debug)]
pub(crate) struct Ready {
    what: What,
    flags: OFlag,
    mode: u32,
}

#[derive(Debug)]
enum What {
    There(OwnedFd),
    New(Name),
    /// `O_TMPFILE`: a file without a name in this directory.
    Unnamed(OwnedFd),
}

/// What the caller's descriptor keeps of the flags.
const KEPT: OFlag = OFlag::O_APPEND
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_SYNC)
    .union(OFlag::O_DSYNC)
    .union(OFlag::O_DIRECT)
    .union(OFlag::O_NOATIME)
    .union(OFlag::O_LARGEFILE);

impl Ready {
    pub(crate) fn look(
        view: View<'_>,
        target: &Target,
        flags: i32,
        mode: u32,
    ) -> Result<Self, Errno> {
        let flags = OFlag::from_bits_retain(flags);
        let Target::Path { dirfd, path, follow } = target else { return Err(Errno::EBADF) };
        let ready = |what| Ok(Self { what, flags, mode });
        if flags.contains(OFlag::O_TMPFILE) {
            return ready(What::Unnamed(view.pin(target)?));
        }
        let place = Place { dirfd: *dirfd, path: path.clone() };
        // What is there now may not be a moment later, and the other way round.
        for _ in 0..16 {
            match view.pin(target) {
                Err(Errno::ENOENT) if flags.contains(OFlag::O_CREAT) => {}
                found => return ready(What::There(found?)),
            }
            match view.new_name(&place, *follow) {
                Ok(name) => return ready(What::New(name)),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EAGAIN)
    }

    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let access = match self.flags & OFlag::O_ACCMODE {
            OFlag::O_RDONLY => OpenAccess::Read,
            OFlag::O_WRONLY => OpenAccess::Write,
            _ => OpenAccess::ReadWrite,
        };
        let truncate = self.flags.contains(OFlag::O_TRUNC);
        let open = |path, create: bool| {
            let truncate = truncate && !create;
            SyscallContext::Open { path: into_path(path), access, create, truncate }
        };
        if let What::There(handle) = &self.what
            && !resolved(handle.as_fd())?.starts_with(b"/")
        {
            // A pipe, say, by its entry in procfs: no file of any directory, and already the
            // program's.
            return Ok(None);
        }
        Ok(Some(match &self.what {
            What::There(handle) => {
                if self.flags.contains(OFlag::O_CREAT | OFlag::O_EXCL) {
                    return Err(Errno::EEXIST);
                }
                let directory = kind_of(handle)? == SFlag::S_IFDIR;
                if directory && (access != OpenAccess::Read || self.flags.contains(OFlag::O_CREAT))
                {
                    return Err(Errno::EISDIR);
                }
                if self.flags.contains(OFlag::O_DIRECTORY) && !directory {
                    return Err(Errno::ENOTDIR);
                }
                if kind_of(handle)? == SFlag::S_IFLNK {
                    return Err(Errno::ELOOP);
                }
                Subject {
                    context: open(resolved(handle.as_fd())?, false),
                    facts: Facts { exists: true, directory, cut: false },
                    objects: vec![Object::of(handle)?],
                }
            }
            What::New(name) => Subject {
                context: open(name.path()?, true),
                facts: Facts::default(),
                objects: vec![Object::of(&name.dir)?],
            },
            What::Unnamed(dir) => Subject {
                context: open(resolved(dir.as_fd())?, true),
                facts: Facts::default(),
                objects: vec![Object::of(dir)?],
            },
        }))
    }

    /// Whether opening may take for ever: a pipe waits for its other end.
    pub(crate) fn may_block(&self) -> bool {
        match &self.what {
            What::There(handle) => {
                !self.flags.contains(OFlag::O_NONBLOCK)
                    && self.flags & OFlag::O_ACCMODE != OFlag::O_RDWR
                    && kind_of(handle) == Ok(SFlag::S_IFIFO)
            }
            _ => false,
        }
    }

    pub(crate) fn perform(self, context: &Context, umask: u32) -> Result<Answer, Refusal> {
        let cloexec = self.flags.contains(OFlag::O_CLOEXEC);
        let kept = self.flags & (KEPT | OFlag::O_ACCMODE);
        let fd = match &self.what {
            What::There(handle) => self.reopen(context, handle)?,
            What::New(name) => {
                set_umask(umask);
                let flags = kept | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOCTTY;
                let mode = self.mode & 0o1777;
                openat2(name.dir.as_fd(), &name.leaf, flags.bits(), mode, RESOLVE_NO_MAGICLINKS)?
            }
            What::Unnamed(dir) => {
                set_umask(umask);
                let excl = self.flags & OFlag::O_EXCL;
                let flags = kept | OFlag::O_TMPFILE | excl | OFlag::O_NOCTTY;
                let mode = self.mode & 0o1777;
                openat2(dir.as_fd(), c".", flags.bits(), mode, RESOLVE_NO_MAGICLINKS)?
            }
        };
        Ok(Answer::Descriptor { fd, cloexec })
    }

    fn reopen(&self, context: &Context, handle: &OwnedFd) -> Result<OwnedFd, Refusal> {
        let kind = kind_of(handle)?;
        match kind {
            SFlag::S_IFREG | SFlag::S_IFDIR | SFlag::S_IFIFO => {}
            SFlag::S_IFSOCK => return Err(Errno::ENXIO.into()),
            _ => {
                let path = resolved(handle.as_fd())?;
                if !SYSTEM_DEVICES.iter().any(|device| device.as_bytes() == path) {
                    let target = escape(&path);
                    return Err(Refusal::Denied { errno: Errno::EACCES, target, grant: None });
                }
            }
        }
        if is_procfs(handle.as_fd())? {
            own_procfs(context, handle)?;
        }
        let kept = self.flags & (KEPT | OFlag::O_ACCMODE);
        let mut flags = kept | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        flags |= self.flags & (OFlag::O_TRUNC | OFlag::O_DIRECTORY);
        // A lease must not hold the guard up. A pipe's open waits on a lane.
        let regular = kind != SFlag::S_IFIFO;
        if regular {
            flags |= OFlag::O_NONBLOCK;
        }
        let name = handle_name(handle.as_fd());
        let fd = openat(nix::fcntl::AT_FDCWD, name.as_c_str(), flags, Mode::empty())?;
        if regular && !self.flags.contains(OFlag::O_NONBLOCK) {
            fcntl(&fd, FcntlArg::F_SETFL(kept & !OFlag::O_ACCMODE))?;
        }
        Ok(fd)
    }
}

/// Files of a process may be opened for members of the sandbox only, and never the guard's: the
/// kernel would ask about the guard's own rights here.
fn own_procfs(context: &Context, handle: &OwnedFd) -> Result<(), Refusal> {
    let path = resolved(handle.as_fd())?;
    let number = path
        .strip_prefix(b"/proc/")
        .and_then(|rest| rest.split(|b| *b == b'/').next())
        .and_then(|number| std::str::from_utf8(number).ok()?.parse::<i32>().ok());
    let Some(number) = number else { return Ok(()) };
    // The handle is older than this look, and pins what had the number then.
    if number != context.guard && context.membership().has(number) {
        return Ok(());
    }
    Err(Refusal::Denied { errno: Errno::EACCES, target: escape(&path), grant: None })
}

fn set_umask(umask: u32) {
    nix::sys::stat::umask(Mode::from_bits_truncate(umask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_may_block_and_a_file_may_not() {
        let temp = tempfile::tempdir().unwrap();
        let (file, pipe) = (temp.path().join("file"), temp.path().join("pipe"));
        std::fs::write(&file, "").unwrap();
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let ready = |path: &std::path::Path, flags| {
            let handle = nix::fcntl::open(path, OFlag::O_PATH, Mode::empty()).unwrap();
            Ready { what: What::There(handle), flags, mode: 0 }
        };
        assert!(ready(&pipe, OFlag::O_RDONLY).may_block());
        assert!(ready(&pipe, OFlag::O_WRONLY).may_block());
        assert!(!ready(&pipe, OFlag::O_RDWR).may_block());
        assert!(!ready(&pipe, OFlag::O_RDONLY | OFlag::O_NONBLOCK).may_block());
        assert!(!ready(&file, OFlag::O_RDONLY).may_block());
    }
}
