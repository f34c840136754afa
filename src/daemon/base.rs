//! The directory that holds the workspaces of one daemon.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{geteuid, mkdtemp};

use crate::error::Machine;
use crate::plan::escape;
use crate::spawn::workspace::remove;

const PREFIX: &str = "evalbox-";
/// Younger ones may be between their creation and their lock.
const STALE: Duration = Duration::from_secs(60);

/// The directory, locked for as long as its daemon lives.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) path: PathBuf,
    dir: Flock<OwnedFd>,
}

/// Where temporary files go.
pub(crate) fn temp_dir() -> PathBuf {
    let named = std::env::var_os("TMPDIR").map(PathBuf::from);
    named.filter(|path| path.is_absolute()).unwrap_or_else(|| PathBuf::from("/tmp"))
}

impl Base {
    pub(crate) fn create(temp: &Path) -> Result<Self, Machine> {
        let wrong = |errno: Errno| Machine::Workspace {
            path: escape(temp.as_os_str().as_bytes()),
            errno: errno as i32,
        };
        let path = mkdtemp(&temp.join(format!("{PREFIX}XXXXXX"))).map_err(wrong)?;
        // The name as the kernel spells it: rules and programs see that one.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let dir = open_dir(&path).map_err(wrong)?;
        // In a directory that others may change, it may be another one by now.
        let found = fstat(&dir).map_err(wrong)?;
        if found.st_uid != geteuid().as_raw() || found.st_mode & 0o777 != 0o700 {
            return Err(wrong(Errno::EPERM));
        }
        let dir = Flock::lock(dir, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| wrong(e))?;
        Ok(Self { path, dir })
    }

    pub(crate) fn dir(&self) -> std::os::fd::BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Removes the directory and all that is in it.
    pub(crate) fn remove(&self) {
        remove_whole(&self.path);
    }

    /// Removes what daemons that were killed have left behind.
    pub(crate) fn sweep_stale(&self) {
        let Some(parent) = self.path.parent() else { return };
        let Ok(entries) = fs::read_dir(parent) else { return };
        for entry in entries.flatten() {
            let stale = entry.path() != self.path
                && own_base(&entry.path()).is_some_and(|metadata| is_old(&metadata));
            // Its daemon holds the lock as long as it lives.
            if stale
                && let Ok(dir) = open_dir(&entry.path())
                && Flock::lock(dir, FlockArg::LockExclusiveNonblock).is_ok()
            {
                remove_whole(&entry.path());
            }
        }
    }
}

/// Removes the base of a daemon that has died, if the path leads to one.
pub(crate) fn remove_own(path: &Path) {
    if path.is_absolute() && own_base(path).is_some() {
        remove_whole(path);
    }
}

/// What is there, if it is a base of this user's by name and by looks, and no link to one.
fn own_base(path: &Path) -> Option<fs::Metadata> {
    let name = path.file_name()?.as_bytes();
    if !name.starts_with(PREFIX.as_bytes()) || name.len() != PREFIX.len() + 6 {
        return None;
    }
    let found = fs::symlink_metadata(path).ok()?;
    let own = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o700;
    own.then_some(found)
}

fn is_old(metadata: &fs::Metadata) -> bool {
    let modified = metadata.modified().unwrap_or_else(|_| SystemTime::now());
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE)
}

fn remove_whole(path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return;
    };
    if let Ok(parent) = open_dir(parent) {
        // What can't be removed now is found by the next daemon.
        let _ = remove(parent.as_fd(), name);
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    open(path, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_base_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        for (name, mode) in
            [("evalbox-abcdef", 0o700), ("evalbox-others", 0o755), ("evalbox-long-name", 0o700)]
        {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), "").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink(at("evalbox-abcdef"), at("evalbox-symlnk")).unwrap();
        fs::write(at("evalbox-a_file"), "").unwrap();
        for name in ["evalbox-others", "evalbox-long-name", "evalbox-symlnk", "evalbox-a_file"] {
            remove_own(&at(name));
            assert!(at(name).symlink_metadata().is_ok(), "{name}");
        }
        assert!(at("evalbox-abcdef/file").exists());
        remove_own(&at("evalbox-abcdef"));
        assert!(!at("evalbox-abcdef").exists());
    }
}
