//! Names of a target → pinned handles, and whether a handle lies below a writable grant.
//!
//! A handle (`O_PATH`) names one object for as long as it is held, whatever happens to the path.
//! What is decided and what is done both go by it.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::decode::{Place, Target};
use crate::isolation::landlock::{WritableRoot, resolved};
use crate::policy::Facts;
use crate::sys::openat2::{RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2};

/// Links that a walk goes through at most, as the kernel's.
const LINKS: u32 = 40;
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
        self.walk(self.base(dirfd, path)?, path, follow)
    }

    fn walk(&self, base: OwnedFd, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        let text = CString::new(path).map_err(|_| Errno::EINVAL)?;
        let flags = libc::O_PATH | if follow { 0 } else { libc::O_NOFOLLOW };
        // Most paths have no link in them.
        match again(base.as_fd(), &text, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) {
            Err(Errno::ELOOP) => {}
            other => return other,
        }
        match again(base.as_fd(), &text, flags, RESOLVE_NO_MAGICLINKS) {
            // `/proc/self` was the guard's there.
            Ok(handle) if !is_procfs(handle.as_fd())? => Ok(handle),
            Ok(_) | Err(Errno::ELOOP | Errno::ENOENT | Errno::EACCES) => {
                Walk::new(*self, base, path, follow).run()
            }
            Err(errno) => Err(errno),
        }
    }

    fn base(&self, dirfd: i32, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.first() == Some(&b'/') {
            self.entry("root")
        } else if dirfd == libc::AT_FDCWD {
            self.entry("cwd")
        } else {
            self.descriptor(dirfd)
        }
    }

    /// Splits a name into the directory it lies in, pinned, and its last component, with the
    /// slashes behind it if there are any.
    pub(crate) fn parent(&self, place: &Place) -> Result<Name, Errno> {
        self.split(self.base(place.dirfd, &place.path)?, &place.path)
    }

    fn split(&self, base: OwnedFd, path: &[u8]) -> Result<Name, Errno> {
        let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        if end == 0 {
            // The root itself, which can't be made or removed: the kernel says how.
            return Ok(Name { dir: self.entry("root")?, leaf: c"/".to_owned() });
        }
        let start = path[..end].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let parent = if start == 0 { b"." } else { &path[..start] };
        let dir = self.walk(base, parent, true)?;
        if kind_of(&dir)? != SFlag::S_IFDIR {
            return Err(Errno::ENOTDIR);
        }
        Ok(Name { dir, leaf: CString::new(&path[start..]).map_err(|_| Errno::EINVAL)? })
    }

    /// The name that a file gets when `O_CREAT` makes it: links are followed also where they lead
    /// to nothing yet. `EEXIST` if there is something.
    pub(crate) fn new_name(&self, place: &Place, follow: bool) -> Result<Name, Errno> {
        let mut name = self.parent(place)?;
        for _ in 0..LINKS {
            if name.is_special() || name.leaf.to_bytes().ends_with(b"/") {
                return Err(Errno::EISDIR);
            }
            let found = match name.pin() {
                Err(Errno::ENOENT) => return Ok(name),
                other => other?,
            };
            if !follow || kind_of(&found)? != SFlag::S_IFLNK {
                return Err(Errno::EEXIST);
            }
            let text = readlinkat(&found, c"")?.into_encoded_bytes();
            let root = text.first() == Some(&b'/');
            let base = if root { self.entry("root")? } else { name.dir };
            name = self.split(base, &text)?;
        }
        Err(Errno::ELOOP)
    }

    /// The directory that relative paths start from.
    pub(crate) fn cwd(&self) -> Result<OwnedFd, Errno> {
        self.entry("cwd")
    }

    fn entry(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(self.procfs, format!("{}/{name}", self.tid).as_str(), HANDLE, Mode::empty())
    }
}

/// A name in a pinned directory.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) dir: OwnedFd,
    /// With the slashes behind it.
    pub(crate) leaf: CString,
}

impl Name {
    /// Whether it can be neither made nor removed, so that the kernel refuses whatever it is.
    pub(crate) fn is_special(&self) -> bool {
        matches!(self.bare(), b"" | b"." | b"..")
    }

    /// What has the name, links not followed.
    pub(crate) fn pin(&self) -> Result<OwnedFd, Errno> {
        let leaf = CString::new(self.bare()).map_err(|_| Errno::EINVAL)?;
        again(self.dir.as_fd(), &leaf, libc::O_PATH | libc::O_NOFOLLOW, RESOLVE_NO_MAGICLINKS)
    }

    /// Its absolute path. `ENOENT` in a directory that has been removed.
    pub(crate) fn path(&self) -> Result<Vec<u8>, Errno> {
        let mut path = resolved(self.dir.as_fd())?;
        if path.first() != Some(&b'/') || fstat(&self.dir)?.st_nlink == 0 {
            return Err(Errno::ENOENT);
        }
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend_from_slice(self.bare());
        Ok(path)
    }

    fn bare(&self) -> &[u8] {
        let leaf = self.leaf.to_bytes();
        let end = leaf.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        &leaf[..end]
    }
}

/// Everything below a directory, as relative paths. `EACCES` if that is more than `most`.
pub(crate) fn below(dir: BorrowedFd<'_>, most: usize) -> Result<Vec<(Vec<u8>, Facts)>, Errno> {
    let mut found = Vec::new();
    let mut left = vec![(Vec::new(), dir.try_clone_to_owned().map_err(|_| Errno::EMFILE)?)];
    while let Some((prefix, handle)) = left.pop() {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mut list = Dir::openat(&handle, c".", flags, Mode::empty())?;
        for entry in list.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = [prefix.as_slice(), name.to_bytes()].concat();
            let child = openat(&handle, name, HANDLE | OFlag::O_NOFOLLOW, Mode::empty())?;
            let directory = kind_of(&child)? == SFlag::S_IFDIR;
            found.push((path.clone(), Facts { exists: false, directory, cut: false }));
            if found.len() > most {
                return Err(Errno::EACCES);
            }
            if directory {
                left.push(([path.as_slice(), b"/"].concat(), child));
            }
        }
    }
    Ok(found)
}

/// What kind of thing a handle is on.
pub(crate) fn kind_of(handle: impl AsFd) -> Result<SFlag, Errno> {
    Ok(SFlag::from_bits_truncate(fstat(handle)?.st_mode & SFlag::S_IFMT.bits()))
}

/// Walks as the kernel would for the task, but through no magic link.
fn again(base: BorrowedFd<'_>, path: &CStr, flags: i32, resolve: u64) -> Result<OwnedFd, Errno> {
    loop {
        match openat2(base, path, flags, 0, resolve) {
            // A rename somewhere raced with `..`; the kernel asks to try again.
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    }
}

pub(crate) fn is_procfs(handle: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(fstatfs(handle)?.filesystem_type() == PROC_SUPER_MAGIC)
}

/// A walk a component at a time, for paths through links: `/proc/self` is the task's here, and its
/// own descriptors may be reached through their entries there.
struct Walk<'a> {
    view: View<'a>,
    here: OwnedFd,
    left: VecDeque<Vec<u8>>,
    follow: bool,
    must_be_directory: bool,
    links: u32,
}

impl<'a> Walk<'a> {
    fn new(view: View<'a>, base: OwnedFd, path: &[u8], follow: bool) -> Self {
        let left = VecDeque::new();
        let mut walk = Self { view, here: base, left, follow, must_be_directory: false, links: 0 };
        walk.enter(path);
        walk
    }

    /// Puts the components of a path, or of a link's text, in front of those that are left.
    fn enter(&mut self, path: &[u8]) {
        if self.left.is_empty() && (path.ends_with(b"/") || path.ends_with(b"/.")) {
            self.must_be_directory = true;
        }
        let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && part != b".");
        for part in parts.rev() {
            self.left.push_front(part.to_vec());
        }
    }

    fn run(mut self) -> Result<OwnedFd, Errno> {
        while let Some(part) = self.left.pop_front() {
            if kind_of(&self.here)? != SFlag::S_IFDIR {
                return Err(Errno::ENOTDIR);
            }
            let name = CString::new(part.as_slice()).map_err(|_| Errno::EINVAL)?;
            let flags = libc::O_PATH | libc::O_NOFOLLOW;
            let next = again(self.here.as_fd(), &name, flags, RESOLVE_NO_MAGICLINKS)?;
            let last = self.left.is_empty() && !self.must_be_directory;
            if kind_of(&next)? != SFlag::S_IFLNK || (last && !self.follow) {
                self.here = next;
                continue;
            }
            self.links += 1;
            if self.links > LINKS {
                return Err(Errno::ELOOP);
            }
            if is_procfs(next.as_fd())? {
                self.procfs_link(&part, &name)?;
                continue;
            }
            let text = readlinkat(&next, c"")?.into_encoded_bytes();
            if text.first() == Some(&b'/') {
                self.here = self.view.entry("root")?;
            }
            self.enter(&text);
        }
        if self.must_be_directory && kind_of(&self.here)? != SFlag::S_IFDIR {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.here)
    }

    fn procfs_link(&mut self, part: &[u8], name: &CStr) -> Result<(), Errno> {
        /// Of procfs's root directory.
        const ROOT: u64 = 1;
        let own = self.view.tid.to_string().into_bytes();
        if fstat(&self.here)?.st_ino == ROOT {
            match part {
                b"self" | b"thread-self" => self.left.push_front(own),
                // `mounts` and `net` lead through `self`.
                _ => {
                    let text = readlinkat(&self.here, name)?.into_encoded_bytes();
                    self.enter(&text);
                }
            }
            return Ok(());
        }
        // A magic link leads to the object itself. Only the task's own: what other processes have
        // open, or where the guard is, is none of its business.
        let dir = resolved(self.here.as_fd())?;
        let below = dir.strip_prefix(b"/proc/").and_then(|rest| rest.strip_prefix(&own[..]));
        if !matches!(below, Some(b"" | b"/fd")) {
            return Err(Errno::EACCES);
        }
        self.here = openat(&self.here, name, HANDLE, Mode::empty())?;
        Ok(())
    }
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
}
