//! What a guard's tree uses. Reads procfs by pid and the workspace by handle; takes nothing from a
//! target but numbers the kernel counts.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{SysconfVar, sysconf};

use super::orphans::children;
use crate::sys::metadata::set_mode;
use crate::sys::pidfd;
use crate::wire::{FromMeter, Limit};

/// How often a tree is measured.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);
/// A workspace is looked through at most this part of the time.
const WORKSPACE_SHARE: u32 = 20;
const WORKSPACE_INTERVAL: Duration = Duration::from_millis(100);
/// Deeper or larger than this counts as too large.
const MAX_DEPTH: usize = 200;
const MAX_ENTRIES: u64 = 1_000_000;

/// One guard's tree.
#[derive(Debug)]
pub(crate) struct Watch {
    memory: Option<u64>,
    cpu: Option<Duration>,
    cpu_seen: Duration,
    cpu_lost: Duration,
    workspace: Option<u64>,
    dir: OwnedFd,
    /// The workspace is memory.
    tmpfs: bool,
    peak: u64,
    told: u64,
    in_workspace: u64,
    workspace_due: Instant,
    pub(crate) due: Instant,
}

impl Watch {
    pub(crate) fn new(
        memory: Option<u64>,
        cpu: Option<Duration>,
        workspace: Option<u64>,
        dir: OwnedFd,
    ) -> Self {
        let tmpfs = fstatfs(&dir).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC);
        let now = Instant::now();
        Self {
            memory,
            cpu,
            cpu_seen: Duration::ZERO,
            cpu_lost: Duration::ZERO,
            workspace,
            dir,
            tmpfs,
            peak: 0,
            told: 0,
            in_workspace: 0,
            workspace_due: now,
            due: now,
        }
    }

    /// Measures once. Returns what the guard should hear.
    pub(crate) fn sample(&mut self, guard: i32) -> Vec<FromMeter> {
        let tree = Tree::below(guard);
        let mut news = Vec::new();
        if self.workspace.is_some() && Instant::now() >= self.workspace_due {
            self.look_through(&tree);
            if self.workspace.is_some_and(|limit| self.in_workspace > limit) {
                news.push(FromMeter::Over(Limit::Workspace));
            }
        }
        let files = if self.tmpfs { self.in_workspace } else { 0 };
        let memory = tree.memory(self.memory.map(|limit| limit.saturating_sub(files)));
        let used = memory.saturating_add(files);
        self.peak = self.peak.max(used);
        if self.memory.is_some_and(|limit| used > limit) {
            news.push(FromMeter::Over(Limit::Memory));
        }
        if let Some(limit) = self.cpu
            && self.cpu_used(tree.cpu(guard)) > limit
        {
            news.push(FromMeter::Over(Limit::Cpu));
        }
        if !news.is_empty() || self.peak > self.told.saturating_add(self.told / 16) {
            self.told = self.peak;
            news.insert(0, FromMeter::Peak(self.peak));
        }
        self.due = Instant::now() + INTERVAL;
        news
    }

    /// Adds what was used by processes that nobody has waited for (`SIGCHLD` ignored): with them
    /// their time is gone from the sum.
    fn cpu_used(&mut self, now: Duration) -> Duration {
        self.cpu_lost += self.cpu_seen.saturating_sub(now);
        self.cpu_seen = now;
        now + self.cpu_lost
    }

    fn look_through(&mut self, tree: &Tree) {
        let begun = Instant::now();
        let mut count = Count::default();
        if let Ok(dir) = self.dir.try_clone() {
            count.add(dir, 0);
        }
        if let Ok(own) = nix::sys::stat::fstat(&self.dir) {
            tree.add_deleted(own.st_dev, &mut count);
        }
        self.in_workspace = count.bytes;
        let pause = (begun.elapsed() * WORKSPACE_SHARE).max(WORKSPACE_INTERVAL);
        self.workspace_due = Instant::now() + pause;
    }
}

/// Kills every process below a guard. Their forks are held back meanwhile.
pub(crate) fn kill_below(guard: i32) {
    let found = Tree::below(guard).pids.into_iter();
    let pinned: Vec<_> = found.filter_map(|pid| Some((pid, pidfd::open(pid).ok()?))).collect();
    // A number that was another's when it was pinned is no longer below.
    let still = Tree::below(guard).pids;
    for (_, process) in pinned.iter().filter(|(pid, _)| still.contains(pid)) {
        let _ = pidfd::kill(process.as_fd());
    }
}

/// The processes below a guard at one moment.
struct Tree {
    pids: Vec<i32>,
}

impl Tree {
    fn below(guard: i32) -> Self {
        let mut pids = children(guard);
        let mut next = 0;
        while let Some(pid) = pids.get(next).copied() {
            next += 1;
            for child in children(pid) {
                if !pids.contains(&child) {
                    pids.push(child);
                }
            }
        }
        Self { pids }
    }

    /// Bytes in use. First a cheap sum that is never too low; only if that reaches the limit the
    /// exact one, in which shared pages count once.
    fn memory(&self, limit: Option<u64>) -> u64 {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4_096) as u64;
        let (mut most, mut private) = (0, 0);
        let mut processes = Vec::with_capacity(self.pids.len());
        for pid in &self.pids {
            let Some((place, [size, all, shared])) = sizes(*pid) else { continue };
            // A page of page tables maps 512 pages, whether they are in memory or not.
            most += (all + size / 512) * page;
            private += all.saturating_sub(shared) * page;
            processes.push((place, all * page));
        }
        if limit.is_some_and(|limit| most > limit) {
            let used = |(place, all): &(String, u64)| {
                // A program that may not be inspected counts in full.
                proportional(place).unwrap_or(*all) + page_tables(place)
            };
            processes.iter().map(used).sum()
        } else {
            private
        }
    }

    /// CPU time of the living, of those they have reaped, and of those the guard has reaped.
    fn cpu(&self, guard: i32) -> Duration {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1) as u64;
        let own: u64 = self.pids.iter().map(|pid| cpu_fields(*pid, 11..15)).sum();
        let total = own + cpu_fields(guard, 13..15);
        Duration::from_millis(total * 1_000 / ticks)
    }

    /// Files without a name that are still open: they take up space too.
    fn add_deleted(&self, device: u64, count: &mut Count) {
        for pid in &self.pids {
            let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
            for fd in fds.flatten() {
                let Ok(link) = fs::read_link(fd.path()) else { continue };
                if !link.as_os_str().as_encoded_bytes().ends_with(b" (deleted)") {
                    continue;
                }
                if let Ok(file) = fs::metadata(fd.path())
                    && file.is_file()
                    && file.nlink() == 0
                    && file.dev() == device
                    && count.seen.insert(file.ino())
                {
                    count.bytes = count.bytes.saturating_add(file.blocks() * 512);
                }
            }
        }
    }
}

/// The first three fields of `statm`, in pages, and the directory they are from: a process whose
/// first thread has ended shows its memory only at the others.
fn sizes(pid: i32) -> Option<(String, [u64; 3])> {
    let read = |place: String| {
        let statm = fs::read_to_string(format!("{place}/statm")).ok()?;
        let mut fields = statm.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0));
        let sizes = [(); 3].map(|()| fields.next().unwrap_or(0));
        (sizes[0] > 0).then_some((place, sizes))
    };
    read(format!("/proc/{pid}")).or_else(|| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        tasks.flatten().find_map(|task| read(task.path().to_str()?.to_owned()))
    })
}

/// `Pss_Anon + Pss_Shmem + SwapPss` of `smaps_rollup`: each page divided by its users.
fn proportional(place: &str) -> Option<u64> {
    let rollup = fs::read_to_string(format!("{place}/smaps_rollup")).ok()?;
    let field = |name: &str| kib(&rollup, name);
    Some((field("Pss_Anon:") + field("Pss_Shmem:") + field("SwapPss:")) * 1_024)
}

/// Page tables are memory too, and reading untouched memory takes one per 2 MiB and nothing else.
fn page_tables(place: &str) -> u64 {
    let status = fs::read_to_string(format!("{place}/status")).unwrap_or_default();
    kib(&status, "VmPTE:") * 1_024
}

fn kib(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Sums fields of `/proc/pid/stat`, counted from the state as 0.
fn cpu_fields(pid: i32, range: std::ops::Range<usize>) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let fields = rest.split_ascii_whitespace().skip(range.start).take(range.len());
    fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum()
}

/// A directory that its owner can't look through is opened to him for as long as this lives, so
/// that nothing is hidden behind a mode.
struct Readable<'a> {
    dir: &'a OwnedFd,
    mode: u32,
}

impl<'a> Readable<'a> {
    fn make(dir: &'a OwnedFd) -> Option<Self> {
        let mode = nix::sys::stat::fstat(dir).ok()?.st_mode & 0o7777;
        if mode & 0o500 == 0o500 {
            return None;
        }
        set_mode(dir.as_fd(), mode | 0o500).ok()?;
        Some(Self { dir, mode })
    }
}

impl Drop for Readable<'_> {
    fn drop(&mut self) {
        let _ = set_mode(self.dir.as_fd(), self.mode);
    }
}

#[derive(Debug, Default)]
struct Count {
    bytes: u64,
    entries: u64,
    seen: HashSet<u64>,
}

impl Count {
    /// Adds what is below a directory. Follows nothing.
    fn add(&mut self, dir: OwnedFd, depth: usize) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let _readable = Readable::make(&dir);
        let Ok(mut list) = Dir::openat(dir.as_fd(), ".", flags, Mode::empty()) else { return };
        for entry in list.iter().flatten() {
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            self.entries += 1;
            if depth > MAX_DEPTH || self.entries > MAX_ENTRIES {
                self.bytes = u64::MAX;
                return;
            }
            let Ok(stat) = fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_nlink <= 1
                || entry.file_type() == Some(Type::Directory)
                || self.seen.insert(stat.st_ino)
            {
                self.bytes =
                    self.bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
            }
            let handle = OFlag::O_PATH | flags;
            if entry.file_type() == Some(Type::Directory)
                && let Ok(below) = openat(dir.as_fd(), name, handle, Mode::empty())
            {
                self.add(below, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_measured_with_its_links_counted_once() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("a")).unwrap();
        fs::write(temp.path().join("a/file"), vec![1; 100_000]).unwrap();
        fs::hard_link(temp.path().join("a/file"), temp.path().join("again")).unwrap();
        let mut count = Count::default();
        count.add(fs::File::open(temp.path()).unwrap().into(), 0);
        assert!((100_000..150_000).contains(&count.bytes), "{}", count.bytes);
    }

    #[test]
    fn a_tree_is_found_and_its_memory_and_time_are_read() {
        let script = "x=$(head -c 3000000 /dev/zero | tr '\\0' x); sleep 60 & wait";
        let mut child = std::process::Command::new("bash").args(["-c", script]).spawn().unwrap();
        let me = nix::unistd::getpid().as_raw();
        std::thread::sleep(Duration::from_millis(500));
        let tree = Tree::below(me);
        assert!(tree.pids.contains(&(child.id() as i32)));
        assert!(tree.pids.len() >= 2, "the grandchild is found too");
        let only = Tree { pids: vec![child.id() as i32] };
        assert!(only.memory(None) > 2_000_000);
        assert!(only.memory(Some(1)) > 2_000_000, "the exact sum");
        for pid in tree.pids {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        child.wait().unwrap();
    }
}
