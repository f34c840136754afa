//! How much a workspace holds: what has a name in it, and what a process of the tree holds open
//! without one. Looked through a piece at a time, so that no tree keeps the daemon from its other
//! work.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};

use super::tree::{in_flight, place, tables};
use crate::sys::fd::list;
use crate::sys::metadata::set_mode;

/// Deeper or larger than this counts as too large.
const MAX_DEPTH: usize = 200;
const MAX_ENTRIES: u64 = 100_000;

const DIR: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// A look through a workspace, under way.
#[derive(Debug)]
pub(super) struct Look {
    levels: Vec<Level>,
    device: Option<u64>,
    /// Processes whose open files are still to be looked at.
    processes: Vec<i32>,
    /// The path of the workspace, if the tree is to be searched for files that nobody can measure.
    suspects_in: Option<CString>,
    pub(super) bytes: u64,
    entries: u64,
    seen: HashSet<u64>,
    /// Something of the tree may hold files that were not counted.
    pub(super) suspect: bool,
    /// Time spent on it.
    pub(super) spent: Duration,
}

/// A directory and what of its list is still to be looked at.
#[derive(Debug)]
struct Level {
    dir: OwnedFd,
    list: Vec<CString>,
}

impl Look {
    pub(super) fn begin(
        dir: BorrowedFd<'_>,
        processes: Vec<i32>,
        suspects_in: Option<&Path>,
    ) -> Self {
        let mut look = Self {
            levels: Vec::new(),
            device: fstat(dir).ok().map(|own| own.st_dev),
            processes,
            suspects_in: suspects_in
                .and_then(|path| CString::new(path.as_os_str().as_bytes()).ok()),
            bytes: 0,
            entries: 0,
            seen: HashSet::new(),
            suspect: false,
            spent: Duration::ZERO,
        };
        look.descend(open_list(dir));
        look
    }

    /// Does a piece. Returns whether that was the last one.
    pub(super) fn step(&mut self) -> bool {
        if self.bytes == u64::MAX {
            return true;
        }
        if !self.levels.is_empty() {
            self.walk();
            return false;
        }
        let Some(pid) = self.processes.pop() else { return true };
        self.add_nameless(pid);
        false
    }

    fn descend(&mut self, opened: Result<OwnedFd, Errno>) {
        if let Ok(dir) = opened {
            self.levels.push(Level { dir, list: Vec::new() });
        }
    }

    /// Looks at a piece of the innermost directory's list, up to the next directory in it. Follows
    /// nothing.
    fn walk(&mut self) {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else { return };
        if level.list.is_empty() {
            level.list = list(level.dir.as_fd()).unwrap_or_default();
            if level.list.is_empty() {
                self.levels.pop();
                return;
            }
        }
        let mut below = None;
        {
            let _readable = Readable::make(level.dir.as_fd());
            while let Some(name) = level.list.pop() {
                self.entries += 1;
                if depth > MAX_DEPTH || self.entries > MAX_ENTRIES {
                    self.bytes = u64::MAX;
                    return;
                }
                let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
                let Ok(stat) = fstatat(&level.dir, name.as_c_str(), flags) else { continue };
                let is_dir = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
                if stat.st_nlink <= 1 || is_dir || self.seen.insert(stat.st_ino) {
                    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
                    self.bytes = self.bytes.saturating_add(blocks.saturating_mul(512));
                }
                if is_dir {
                    let handle =
                        openat(&level.dir, name.as_c_str(), OFlag::O_PATH | DIR, Mode::empty());
                    below = Some(handle.and_then(|handle| open_list(handle.as_fd())));
                    break;
                }
            }
        }
        if let Some(opened) = below {
            self.descend(opened);
        }
    }

    /// Files without a name that are still open: they take up space too.
    fn add_nameless(&mut self, pid: i32) {
        for place in tables(pid) {
            let Ok(fds) = fs::read_dir(format!("{place}/fd")) else {
                self.suspect = true;
                continue;
            };
            for fd in fds.flatten() {
                self.add_open(&place, &fd);
            }
        }
        if let Some(workspace) = &self.suspects_in {
            let maps = fs::read(format!("{}/maps", place(pid))).unwrap_or_default();
            // A mapping keeps the file after its descriptor is closed, and tells no size.
            self.suspect |= maps.split(|b| *b == b'\n').any(|line| {
                let path = line.iter().position(|b| *b == b'/').map(|at| &line[at..]);
                path.is_some_and(|path| {
                    path.ends_with(b" (deleted)") && path.starts_with(workspace.as_bytes())
                })
            });
        }
    }

    fn add_open(&mut self, place: &str, fd: &fs::DirEntry) {
        let Ok(link) = fs::read_link(fd.path()) else { return };
        let link = link.as_os_str().as_encoded_bytes();
        if self.suspects_in.is_some() && link.starts_with(b"socket:") {
            let number = fd.file_name();
            self.suspect |= in_flight(place, number.to_str().unwrap_or_default()) > 0;
        }
        if link.ends_with(b" (deleted)")
            && let Ok(file) = fs::metadata(fd.path())
            && file.is_file()
            && file.nlink() == 0
            && Some(file.dev()) == self.device
            && self.seen.insert(file.ino())
        {
            self.bytes = self.bytes.saturating_add(file.blocks().saturating_mul(512));
        }
    }
}

fn open_list(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let _readable = Readable::make(dir);
    openat(dir, ".", DIR, Mode::empty())
}

/// A directory that its owner can't look through is opened to him for as long as this lives, so
/// that nothing is hidden behind a mode.
struct Readable<'a> {
    dir: BorrowedFd<'a>,
    mode: u32,
}

impl<'a> Readable<'a> {
    fn make(dir: BorrowedFd<'a>) -> Option<Self> {
        let mode = fstat(dir).ok()?.st_mode & 0o7777;
        if mode & 0o500 == 0o500 {
            return None;
        }
        set_mode(dir, mode | 0o500).ok()?;
        Some(Self { dir, mode })
    }
}

impl Drop for Readable<'_> {
    fn drop(&mut self) {
        let _ = set_mode(self.dir, self.mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(path: &Path) -> Look {
        let dir: OwnedFd = fs::File::open(path).unwrap().into();
        let mut look = Look::begin(dir.as_fd(), Vec::new(), None);
        while !look.step() {}
        look
    }

    #[test]
    fn a_directory_is_measured_with_its_links_counted_once() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("a")).unwrap();
        fs::write(temp.path().join("a/file"), vec![1; 100_000]).unwrap();
        fs::hard_link(temp.path().join("a/file"), temp.path().join("again")).unwrap();
        let bytes = whole(temp.path()).bytes;
        assert!((100_000..150_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_directory_of_many_files_is_measured_in_pieces() {
        let temp = tempfile::tempdir().unwrap();
        for i in 0..3_000 {
            fs::write(temp.path().join(format!("{i:0>200}")), "x").unwrap();
        }
        let dir: OwnedFd = fs::File::open(temp.path()).unwrap().into();
        let mut look = Look::begin(dir.as_fd(), Vec::new(), None);
        let mut steps = 1;
        while !look.step() {
            steps += 1;
        }
        assert_eq!(look.entries, 3_000);
        assert!(look.bytes >= 3_000 * 512 && steps > 5, "{} {steps}", look.bytes);
    }
}
