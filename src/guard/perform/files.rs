//! Truncation, where Landlock does not cover it (before ABI 3): `truncate`, and `open` with
//! `O_TRUNC`. The guard proves that the file is writable and does it on the handle.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::ftruncate;

use super::Answer;
use super::names::into_path;
use crate::guard::context::{Context, Refusal, grant};
use crate::guard::decode::Target;
use crate::guard::resolve::{View, is_writable};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::plan::escape;
use crate::plan::paths::SYSTEM_DEVICES;
use crate::policy::{Facts, SyscallContext};
use crate::sys::metadata::handle_name;
use crate::sys::notify::{ContinueProof, Notification};
use crate::sys::openat2::{RESOLVE_NO_MAGICLINKS, openat2};

/// A truncation whose file is pinned.
#[derive(Debug)]
pub(crate) struct Ready {
    handle: OwnedFd,
    length: i64,
}

impl Ready {
    pub(crate) fn look(view: View<'_>, target: &Target, length: i64) -> Result<Self, Errno> {
        if length < 0 {
            return Err(Errno::EINVAL);
        }
        // The guard carries the target's own limit, set when it was made.
        if length as u64 > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
            return Err(Errno::EFBIG);
        }
        Ok(Self { handle: view.pin(target)?, length })
    }

    pub(crate) fn subject(&self) -> Result<Subject, Errno> {
        let path = into_path(resolved(self.handle.as_fd())?);
        Ok(Subject {
            context: SyscallContext::Truncate { path, length: self.length as u64 },
            facts: Facts { exists: true, directory: false, cut: false },
            objects: vec![Object::of(&self.handle)?],
        })
    }

    pub(crate) fn perform(self, context: &Context, call: &Notification) -> Result<Answer, Refusal> {
        writable_file(context, call, &self.handle)?;
        let file = reopen(&self.handle, OFlag::O_WRONLY)?;
        ftruncate(&file, self.length)?;
        Ok(Answer::Value(0))
    }
}

pub(crate) fn open_truncating(
    context: &Context,
    call: &Notification,
    view: View<'_>,
    target: &Target,
    flags: i32,
    mode: u32,
) -> Result<Answer, Refusal> {
    let flags = OFlag::from_bits_truncate(flags);
    // Where the file is opened for writing, Landlock asks for the right to write before the kernel
    // truncates, whichever file the path leads to then. So it may go on: devices and FIFOs need
    // that, which the guard doesn't open.
    if matches!(flags & OFlag::O_ACCMODE, OFlag::O_WRONLY | OFlag::O_RDWR) {
        return Ok(Answer::Proceed(ContinueProof::RegistersOnly));
    }
    let cloexec = flags.contains(OFlag::O_CLOEXEC);
    if flags.contains(OFlag::O_CREAT) {
        if let Some(fd) = create(view, target, flags, mode)? {
            return Ok(Answer::Descriptor { fd, cloexec });
        }
        if flags.contains(OFlag::O_EXCL) {
            return Err(Errno::EEXIST.into());
        }
    }
    let handle = view.pin(target)?;
    if fstat(&handle)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() {
        return device(context, call, &handle, flags);
    }
    writable_file(context, call, &handle)?;
    let access = flags & (OFlag::O_ACCMODE | OFlag::O_APPEND | OFlag::O_NONBLOCK);
    let file = reopen(&handle, access)?;
    // Kernels truncate even with O_RDONLY, which is why this call is here.
    let writer = reopen(&handle, OFlag::O_WRONLY)?;
    ftruncate(&writer, 0)?;
    Ok(Answer::Descriptor { fd: file, cloexec })
}

/// Creates the file if it is not there. Landlock bounds where.
fn create(
    view: View<'_>,
    target: &Target,
    flags: OFlag,
    mode: u32,
) -> Result<Option<OwnedFd>, Errno> {
    let Target::Path { dirfd, path, .. } = target else { return Err(Errno::EBADF) };
    let (parent, leaf) = match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (path[..=at].to_vec(), &path[at + 1..]),
        None => (b".".to_vec(), path.as_slice()),
    };
    if leaf.is_empty() || leaf == b"." || leaf == b".." {
        return Err(Errno::EISDIR);
    }
    let parent = view.pin(&Target::Path { dirfd: *dirfd, path: parent, follow: true })?;
    let leaf = std::ffi::CString::new(leaf).map_err(|_| Errno::EINVAL)?;
    let new = (flags & (OFlag::O_ACCMODE | OFlag::O_APPEND | OFlag::O_NONBLOCK))
        | OFlag::O_CREAT
        | OFlag::O_EXCL
        | OFlag::O_NOCTTY;
    let mode = mode & 0o1777 & !0o022;
    match openat2(parent.as_fd(), &leaf, new.bits(), mode, RESOLVE_NO_MAGICLINKS) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::EEXIST) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `> /dev/null` and its like: nothing is cut off, and only what is granted to every plan is opened.
fn device(
    context: &Context,
    call: &Notification,
    handle: &OwnedFd,
    flags: OFlag,
) -> Result<Answer, Refusal> {
    let path = resolved(handle.as_fd())?;
    if !SYSTEM_DEVICES.iter().any(|device| device.as_bytes() == path) {
        return Err(Refusal::Denied { errno: Errno::EACCES, target: escape(&path), grant: None });
    }
    if !context.listener.still_waiting(call.id) {
        return Err(Errno::ESRCH.into());
    }
    let fd = reopen(handle, flags & (OFlag::O_ACCMODE | OFlag::O_APPEND | OFlag::O_NONBLOCK))?;
    Ok(Answer::Descriptor { fd, cloexec: flags.contains(OFlag::O_CLOEXEC) })
}

fn writable_file(context: &Context, call: &Notification, handle: &OwnedFd) -> Result<(), Refusal> {
    if !context.listener.still_waiting(call.id) {
        return Err(Errno::ESRCH.into());
    }
    let kind = fstat(handle)?.st_mode & SFlag::S_IFMT.bits();
    if kind == SFlag::S_IFDIR.bits() {
        return Err(Errno::EISDIR.into());
    }
    if kind != SFlag::S_IFREG.bits() {
        return Err(Errno::EINVAL.into());
    }
    // From ABI 3 on Landlock asks the guard as it would ask the caller.
    if context.kernel.landlock < 3 && !is_writable(&context.writable, handle.as_fd())? {
        let path = resolved(handle.as_fd())?;
        return Err(Refusal::Denied {
            errno: Errno::EACCES,
            target: escape(&path),
            grant: grant("write", &path),
        });
    }
    Ok(())
}

/// A real descriptor on a pinned regular file. O_NONBLOCK keeps a lease from holding the guard.
fn reopen(handle: &OwnedFd, flags: OFlag) -> Result<OwnedFd, Errno> {
    let name = handle_name(handle.as_fd());
    let open = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = openat(nix::fcntl::AT_FDCWD, name.as_c_str(), open, Mode::empty())?;
    fcntl(&file, FcntlArg::F_SETFL(flags & (OFlag::O_APPEND | OFlag::O_NONBLOCK)))?;
    Ok(file)
}
