//! Names of a target → pinned handles, and whether a handle lies below a writable grant.
//!
//! A handle (`O_PATH`) names one object for as long as it is held, whatever happens to the path.
//! What is decided and what is done both go by it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat};

use super::decode::Target;
use crate::isolation::landlock::{WritableRoot, resolved};
use crate::sys::openat2::{RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2};

const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// A task's view of the file system, through its own entries of procfs. Opening those needs the
/// right to inspect the task, which Landlock gives the guard for its own targets only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) procfs: BorrowedFd<'a>,
    pub(crate) tid: i32,
}

impl View<'_> {
    /// Pins what a call names.
    pub(crate) fn pin(&self, target: &Target) -> Result<OwnedFd, Errno> {
        match target {
            Target::Fd(fd) => self.descriptor(*fd),
            Target::Path { dirfd, path, follow } => self.path(*dirfd, path, *follow),
        }
    }

    /// Pins an open descriptor.
    pub(crate) fn descriptor(&self, fd: i32) -> Result<OwnedFd, Errno> {
        if fd < 0 {
            return Err(Errno::EBADF);
        }
        self.entry(&format!("fd/{fd}")).map_err(|errno| match errno {
            Errno::ENOENT => Errno::EBADF,
            other => other,
        })
    }

    fn path(&self, dirfd: i32, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        // The task's own descriptors, under the names that lead through `/proc/self`, which here
        // would be the guard's.
        if let Some(fd) = own_descriptor(path)
            && follow
        {
            return self.descriptor(fd);
        }
        let base = if path.first() == Some(&b'/') {
            self.entry("root")?
        } else if dirfd == libc::AT_FDCWD {
            self.entry("cwd")?
        } else {
            self.descriptor(dirfd)?
        };
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        walk(base.as_fd(), &path, follow)
    }

    /// The directory that relative paths start from.
    pub(crate) fn cwd(&self) -> Result<OwnedFd, Errno> {
        self.entry("cwd")
    }

    fn entry(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(self.procfs, format!("{}/{name}", self.tid).as_str(), HANDLE, Mode::empty())
    }
}

/// Walks as the kernel would for the task, but through no magic link.
fn walk(base: BorrowedFd<'_>, path: &CStr, follow: bool) -> Result<OwnedFd, Errno> {
    let flags = libc::O_PATH | if follow { 0 } else { libc::O_NOFOLLOW };
    let walk = |resolve| loop {
        match openat2(base, path, flags, 0, resolve) {
            // A rename somewhere raced with `..`; the kernel asks to try again.
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    };
    walk(RESOLVE_NO_MAGICLINKS)
}

/// The number in `/proc/self/fd/N` and its other spellings.
fn own_descriptor(path: &[u8]) -> Option<i32> {
    let number = [&b"/proc/self/fd/"[..], b"/proc/thread-self/fd/", b"/dev/fd/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(*prefix))?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Whether the object lies below a writable root. Proved by walking down from the root's handle
/// without following any link, and by comparing the objects, not their names: a name may end in
/// ` (deleted)` and be a real one.
pub(crate) fn is_writable(roots: &[WritableRoot], handle: BorrowedFd<'_>) -> Result<bool, Errno> {
    let object = fstat(handle)?;
    let path = resolved(handle)?;
    for root in roots {
        let place = resolved(root.handle.as_fd()).unwrap_or_else(|_| root.path.clone());
        if path == place {
            if same(&object, &fstat(&root.handle)?) {
                return Ok(true);
            }
            continue;
        }
        let Some(below) = path.strip_prefix(place.as_slice()) else { continue };
        let Some(relative) = below.strip_prefix(b"/") else { continue };
        // A file that has no name any more, opened below the root.
        if object.st_nlink == 0 && relative.ends_with(b" (deleted)") {
            return Ok(true);
        }
        let relative = CString::new(relative).map_err(|_| Errno::EINVAL)?;
        let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        match openat2(root.handle.as_fd(), &relative, flags, 0, resolve) {
            Ok(found) if same(&object, &fstat(&found)?) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Whether two handles name one object.
pub(crate) fn same(a: &FileStat, b: &FileStat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn handle(path: &Path, flags: OFlag) -> OwnedFd {
        nix::fcntl::open(path, HANDLE | flags, Mode::empty()).unwrap()
    }

    fn root(path: &Path) -> WritableRoot {
        let handle = handle(path, OFlag::empty());
        let path = resolved(handle.as_fd()).unwrap();
        WritableRoot { handle, path }
    }

    fn writable(roots: &[WritableRoot], path: &Path, flags: OFlag) -> bool {
        is_writable(roots, handle(path, flags).as_fd()).unwrap()
    }

    #[test]
    fn only_what_lies_below_a_root_is_writable() {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("in"), temp.path().join("in-not"));
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(inside.join("deep/file"), "").unwrap();
        std::fs::write(outside.join("file"), "").unwrap();
        symlink(outside.join("file"), inside.join("link")).unwrap();
        let roots = [root(&inside)];
        assert!(writable(&roots, &inside, OFlag::empty()));
        assert!(writable(&roots, &inside.join("deep/file"), OFlag::empty()));
        assert!(writable(&roots, &inside.join("link"), OFlag::O_NOFOLLOW));
        assert!(!writable(&roots, &inside.join("link"), OFlag::empty()));
        assert!(!writable(&roots, &outside.join("file"), OFlag::empty()));
        assert!(!writable(&roots, temp.path(), OFlag::empty()));
    }

    #[test]
    fn a_root_that_moves_takes_its_rights_along() {
        let temp = tempfile::tempdir().unwrap();
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("file"), "").unwrap();
        let roots = [root(&old)];
        std::fs::rename(&old, &new).unwrap();
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("file"), "").unwrap();
        assert!(writable(&roots, &new.join("file"), OFlag::empty()));
        assert!(!writable(&roots, &old.join("file"), OFlag::empty()));
    }

    #[test]
    fn deleted_is_a_name_like_any_other() {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("in"), temp.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(&outside, "").unwrap();
        std::fs::write(inside.join("x (deleted)"), "").unwrap();
        let roots = [root(&inside)];
        assert!(writable(&roots, &inside.join("x (deleted)"), OFlag::empty()));
        let gone = inside.join("gone");
        std::fs::write(&gone, "").unwrap();
        let pinned = handle(&gone, OFlag::empty());
        std::fs::remove_file(&gone).unwrap();
        assert!(is_writable(&roots, pinned.as_fd()).unwrap());
        let pinned = handle(&outside, OFlag::empty());
        std::fs::remove_file(&outside).unwrap();
        assert!(!is_writable(&roots, pinned.as_fd()).unwrap());
    }

    #[test]
    fn descriptors_are_known_by_their_procfs_names() {
        assert_eq!(own_descriptor(b"/proc/self/fd/7"), Some(7));
        assert_eq!(own_descriptor(b"/dev/fd/0"), Some(0));
        assert_eq!(own_descriptor(b"/proc/self/fd/7/x"), None);
        assert_eq!(own_descriptor(b"/proc/1/fd/7"), None);
    }
}
