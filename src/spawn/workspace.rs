//! The private directory of one run. The daemon makes it and removes it; the guard fills and
//! empties it.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat, write};

use crate::error::LaunchError;
use crate::plan::{FileSpec, escape};
use crate::sys::openat2::{RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2};

/// The largest file that is brought back.
pub(crate) const MAX_COLLECTED: u64 = 64 << 20;
/// Each level holds a descriptor while it is emptied, so what is deeper is moved up first.
const MAX_DEPTH: usize = 100;

const DIR: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// A workspace: a handle on it and its absolute path.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) dir: OwnedFd,
    pub(crate) path: PathBuf,
}

impl Workspace {
    /// Makes `base/name`, readable to this user only.
    pub(crate) fn create(
        base: BorrowedFd<'_>,
        base_path: &Path,
        name: &str,
    ) -> Result<Self, Errno> {
        mkdirat(base, name, Mode::S_IRWXU)?;
        let dir = openat(base, name, DIR, Mode::empty())?;
        Ok(Self { dir, path: base_path.join(name) })
    }

    /// Takes `base/name` into use again. The guard of its last run has emptied it, so what is left
    /// is what that run may have done to the directory itself.
    pub(crate) fn reuse(base: BorrowedFd<'_>, base_path: &Path, name: &str) -> Result<Self, Errno> {
        fchmodat(base, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
        let dir = openat(base, name, DIR, Mode::empty())?;
        if crate::sys::metadata::has_xattrs(dir.as_fd())? {
            return Err(Errno::EEXIST);
        }
        nix::sys::stat::futimens(&dir, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?;
        Ok(Self { dir, path: base_path.join(name) })
    }

    /// Writes the plan's files, making directories as needed.
    pub(crate) fn fill(&self, files: &[FileSpec]) -> Result<(), LaunchError> {
        for file in files {
            self.write_file(file).map_err(|errno| LaunchError::File {
                path: escape(&file.path),
                errno: errno as i32,
            })?;
        }
        Ok(())
    }

    fn write_file(&self, file: &FileSpec) -> Result<(), Errno> {
        let mut parent = self.dir.try_clone().map_err(|_| Errno::EMFILE)?;
        let mut parts: Vec<&[u8]> = file.path.split(|b| *b == b'/').collect();
        let leaf = parts.pop().ok_or(Errno::EINVAL)?;
        for part in parts {
            let name = OsStr::from_bytes(part);
            match mkdirat(&parent, name, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            parent = openat(&parent, name, DIR, Mode::empty())?;
        }
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::from_bits_truncate(0o644);
        let out = openat(&parent, OsStr::from_bytes(leaf), flags, mode)?;
        let mut rest = file.data.as_slice();
        while !rest.is_empty() {
            match write(&out, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Opens a file of the workspace for reading, whatever the program has put in its way.
    pub(crate) fn open_collected(&self, path: &[u8]) -> Option<std::fs::File> {
        let path = CString::new(path).ok()?;
        // The program is dead, but its files are hostile: a FIFO would block, a symlink leave.
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        let file = openat2(self.dir.as_fd(), &path, flags, 0, resolve).ok()?;
        let file = std::fs::File::from(file);
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some(file)
    }

    /// Removes everything inside.
    pub(crate) fn empty(&self) -> Result<(), Errno> {
        if crate::sys::fd::is_empty_dir(self.dir.as_fd())? {
            return Ok(());
        }
        empty_whole(self.dir.as_fd())
    }
}

/// Removes everything below a directory, without ever following a link out of it.
fn empty_whole(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    let _ = nix::sys::stat::fchmod(dir, Mode::S_IRWXU);
    loop {
        let mut deep = 0;
        empty(dir, dir, 0, &mut deep)?;
        if deep == 0 {
            return Ok(());
        }
    }
}

/// Removes what is below `dir`, but moves what is too deep up into `top`, and counts it.
fn empty(
    top: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    depth: usize,
    deep: &mut u64,
) -> Result<(), Errno> {
    let mut entries = Dir::openat(dir, ".", DIR, Mode::empty())?;
    let names: Vec<(CString, Option<Type>)> = entries
        .iter()
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .filter(|(name, _)| name.as_bytes() != b"." && name.as_bytes() != b"..")
        .collect();
    for (name, kind) in names {
        if kind == Some(Type::Directory) {
            remove_directory(top, dir, &name, depth, deep)?;
        } else {
            match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                // Not every file system says in the listing what an entry is.
                Err(Errno::EISDIR) => remove_directory(top, dir, &name, depth, deep)?,
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Removes a directory and everything below it.
fn remove_directory(
    top: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
    deep: &mut u64,
) -> Result<(), Errno> {
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
        Err(Errno::ENOENT) => return Ok(()),
        other => return other,
    }
    let child = open_anyway(parent, name)?;
    if depth >= MAX_DEPTH {
        return move_up(top, parent, name, deep);
    }
    empty(top, child.as_fd(), depth + 1, deep)?;
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)
}

/// Gives a directory that is too deep a place and a name of its own in `top`.
fn move_up(
    top: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    name: &CStr,
    deep: &mut u64,
) -> Result<(), Errno> {
    loop {
        *deep += 1;
        let own = format!(".deep-{deep}");
        match renameat(parent, name, top, own.as_str()) {
            // Only an empty directory is replaced; anything else has the name already.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            other => return other,
        }
    }
}

/// Opens a directory whatever its mode, and makes it one that can be emptied.
fn open_anyway(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let child = match openat(parent, name, DIR, Mode::empty()) {
        Err(Errno::EACCES) => {
            let all = Mode::S_IRWXU;
            fchmodat(parent, name, all, FchmodatFlags::FollowSymlink)?;
            openat(parent, name, DIR, Mode::empty())?
        }
        other => other?,
    };
    // A directory without the write bit can be opened and not emptied.
    let _ = nix::sys::stat::fchmod(&child, Mode::S_IRWXU);
    Ok(child)
}

/// Removes `base/name` and everything below it.
pub(crate) fn remove(base: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    match unlinkat(base, name.as_c_str(), UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
        Err(Errno::ENOENT) => return Ok(()),
        other => return other,
    }
    empty_whole(open_anyway(base, &name)?.as_fd())?;
    unlinkat(base, name.as_c_str(), UnlinkatFlags::RemoveDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn workspace(root: &Path) -> Workspace {
        let base = nix::fcntl::open(root, DIR, Mode::empty()).unwrap();
        Workspace::create(base.as_fd(), root, "w").unwrap()
    }

    #[test]
    fn emptying_takes_everything_and_follows_nothing() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("keep"), "x").unwrap();
        let w = workspace(root.path());
        std::fs::create_dir_all(w.path.join("a/b/c")).unwrap();
        std::fs::write(w.path.join("a/b/file"), "x").unwrap();
        symlink(&outside, w.path.join("a/link")).unwrap();
        std::fs::set_permissions(w.path.join("a/b"), PermissionsExt::from_mode(0o0)).unwrap();
        w.empty().unwrap();
        assert_eq!(std::fs::read_dir(&w.path).unwrap().count(), 0);
        assert!(outside.join("keep").exists());
    }

    #[test]
    fn files_are_written_below_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let w = workspace(root.path());
        let file = |path: &str| FileSpec { path: path.into(), data: b"data".to_vec() };
        w.fill(&[file("x/y/z"), file("top")]).unwrap();
        assert_eq!(std::fs::read(w.path.join("x/y/z")).unwrap(), b"data");
        symlink("/tmp", w.path.join("out")).unwrap();
        assert!(w.fill(&[file("out/evil")]).is_err());
    }

    #[test]
    fn collecting_refuses_links_fifos_and_directories() {
        let root = tempfile::tempdir().unwrap();
        let w = workspace(root.path());
        std::fs::write(w.path.join("plain"), "x").unwrap();
        symlink("/etc/passwd", w.path.join("link")).unwrap();
        nix::unistd::mkfifo(&w.path.join("fifo"), Mode::S_IRWXU).unwrap();
        assert!(w.open_collected(b"plain").is_some());
        for bad in [&b"link"[..], b"fifo", b".", b"absent", b"../w/plain"] {
            assert!(w.open_collected(bad).is_none());
        }
    }
}

#[cfg(test)]
mod deep {
    use super::*;

    #[test]
    fn trees_of_any_depth_are_emptied() {
        let root = tempfile::tempdir().unwrap();
        let base = nix::fcntl::open(root.path(), DIR, Mode::empty()).unwrap();
        let w = Workspace::create(base.as_fd(), root.path(), "w").unwrap();
        let mut dir = w.dir.try_clone().unwrap();
        for _ in 0..900 {
            mkdirat(&dir, "d", Mode::S_IRWXU).unwrap();
            dir = openat(&dir, "d", DIR, Mode::empty()).unwrap();
        }
        remove(base.as_fd(), "w").unwrap();
        assert!(!w.path.exists());
    }
}
