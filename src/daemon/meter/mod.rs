//! What a guard's tree uses. Reads procfs by pid and the workspace by handle; takes nothing from a
//! target but numbers the kernel counts. Whatever may take long is done a piece at a time.

mod files;
mod kernel;
mod memory;
mod tree;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use self::files::Look;
use self::kernel::{Buffers, Census, PIPE};
use self::memory::Exact;
use self::tree::{Sizes, Tree};
use crate::sys::memory::shared_everywhere;
use crate::sys::pidfd;
use crate::wire::{FromMeter, Limit};

/// How often a tree is measured.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);
/// What takes long may take this much of it, over all trees, and of each tree at least the other.
const SLICE: Duration = Duration::from_millis(5);
const SMALLEST_SLICE: Duration = Duration::from_millis(1);
/// A workspace is looked through at most this part of the time.
const WORKSPACE_SHARE: u32 = 20;
const WORKSPACE_INTERVAL: Duration = Duration::from_millis(100);
/// But so often at least, whatever it takes.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a tree must have slept for what others write not to be its own.
const RAN_INTERVAL: Duration = Duration::from_millis(200);
/// The exact sum of a tree's memory is taken at most this part of the time, but so often at least.
const EXACT_SHARE: u32 = 4;
const EXACT_PAUSE: Duration = Duration::from_millis(200);

/// What is measured once for all trees.
#[derive(Debug)]
pub(crate) struct Common {
    census: Census,
    shared: u64,
    /// Bytes in all workspaces together.
    workspaces: u64,
    slice: Duration,
}

impl Common {
    pub(crate) fn new() -> Self {
        Self { census: Census::new(), shared: 0, workspaces: 0, slice: SLICE }
    }

    /// Before some trees are sampled. `all` are those that are watched.
    pub(crate) fn look<'a>(&mut self, due: u32, all: impl Iterator<Item = &'a Watch>) {
        self.slice = (SLICE / due.max(1)).max(SMALLEST_SLICE);
        self.shared = shared_everywhere();
        let mut queues = false;
        self.workspaces = 0;
        for watch in all {
            self.workspaces = self.workspaces.saturating_add(watch.in_workspace);
            queues |= watch.queues;
        }
        if queues {
            self.census.advance(Instant::now() + self.slice);
        }
    }
}

/// One guard's tree.
#[derive(Debug)]
pub(crate) struct Watch {
    memory: Option<u64>,
    cpu: Option<Duration>,
    cpu_seen: Duration,
    cpu_lost: Duration,
    workspace: Option<u64>,
    dir: OwnedFd,
    path: PathBuf,
    /// The workspace is memory.
    tmpfs: bool,
    peak: u64,
    told: u64,

    in_workspace: u64,
    look: Option<Look>,
    look_due: Instant,
    /// What is free on the workspace's file system.
    free: Option<u64>,
    /// By how much that has shrunk while the tree ran.
    shrunk: u64,
    ran: Option<u64>,
    ran_due: Instant,
    /// Bytes in the other workspaces when this run began.
    elsewhere: Option<u64>,
    /// More was used than the limit when a look began.
    drop: u64,
    alarmed: bool,

    /// The least shared memory of the common.
    shared: u64,
    exact: Option<Exact>,
    exact_due: Instant,
    exact_last: u64,
    /// A sum above the limit, which is taken once more before it counts.
    doubted: Option<u64>,

    /// Whether there are descriptors that something may be queued in.
    queues: bool,
    buffers: Option<Buffers>,
    census: u64,
    in_kernel: u64,

    pub(crate) due: Instant,
}

impl Watch {
    pub(crate) fn new(
        memory: Option<u64>,
        cpu: Option<Duration>,
        workspace: Option<u64>,
        dir: OwnedFd,
        path: PathBuf,
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
            path,
            tmpfs,
            peak: 0,
            told: 0,
            in_workspace: 0,
            look: None,
            look_due: now,
            free: None,
            shrunk: 0,
            ran: None,
            ran_due: now,
            elsewhere: None,
            drop: 0,
            alarmed: false,
            shared: u64::MAX,
            exact: None,
            exact_due: now,
            exact_last: 0,
            doubted: None,
            queues: false,
            buffers: None,
            census: 0,
            in_kernel: 0,
            due: now,
        }
    }

    /// Measures once. Returns what the guard should hear.
    pub(crate) fn sample(&mut self, guard: i32, common: &Common) -> Vec<FromMeter> {
        let until = Instant::now() + common.slice;
        let tree = Tree::below(guard);
        let mut news = Vec::new();
        if self.workspace_is_over(guard, &tree, common, until) {
            news.push(FromMeter::Over(Limit::Workspace));
        }
        let used = self.memory_used(guard, &tree, common, until);
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
        self.cpu_lost = self.cpu_lost.saturating_add(self.cpu_seen.saturating_sub(now));
        self.cpu_seen = now;
        now.saturating_add(self.cpu_lost)
    }

    fn workspace_is_over(
        &mut self,
        guard: i32,
        tree: &Tree,
        common: &Common,
        until: Instant,
    ) -> bool {
        let in_memory = self.memory.filter(|_| self.tmpfs);
        let Some(limit) = self.workspace.into_iter().chain(in_memory).min() else { return false };
        let others = common.workspaces.saturating_sub(self.in_workspace);
        let others = others.saturating_sub(*self.elsewhere.get_or_insert(others));
        let drop = self.dropped(guard, tree).saturating_sub(others);
        let now = Instant::now();
        if drop <= limit {
            self.alarmed = false;
        } else if !std::mem::replace(&mut self.alarmed, true) {
            self.look_due = now;
        }
        if self.look.is_none() && now >= self.look_due {
            let suspects_in = (drop > limit).then_some(self.path.as_path());
            self.look = Some(Look::begin(self.dir.as_fd(), tree.pids.clone(), suspects_in));
            self.drop = drop;
        }
        let Some(mut look) = self.look.take() else { return false };
        let (ended, time) = in_pieces(until, || look.step());
        look.spent = look.spent.saturating_add(time);
        if !ended {
            self.look = Some(look);
            return false;
        }
        let pause = look.spent.saturating_mul(WORKSPACE_SHARE);
        self.look_due = Instant::now() + pause.clamp(WORKSPACE_INTERVAL, LONGEST_PAUSE);
        self.in_workspace = look.bytes;
        // Space that is gone from the file system and not to be found may be anybody's. It is this
        // tree's if this tree has files that can't be measured.
        let unfound = self.drop.min(drop).saturating_sub(look.bytes);
        if look.suspect && look.bytes.saturating_add(unfound) > limit {
            self.in_workspace = look.bytes.saturating_add(unfound);
        }
        self.workspace.is_some_and(|limit| self.in_workspace > limit)
    }

    /// By how much the free space of the workspace's file system has shrunk while the tree ran.
    fn dropped(&mut self, guard: i32, tree: &Tree) -> u64 {
        let Ok(fs) = fstatfs(&self.dir) else { return 0 };
        let block = u64::try_from(fs.block_size()).unwrap_or(0);
        let free = fs.blocks_free().saturating_mul(block);
        let before = self.free.replace(free).unwrap_or(free);
        self.shrunk = self.shrunk.saturating_sub(free.saturating_sub(before));
        let now = Instant::now();
        if free < before || now >= self.ran_due {
            // The guard runs whenever a process is made.
            let ran = tree.ran(guard);
            if self.ran != ran || ran.is_none() {
                self.shrunk = self.shrunk.saturating_add(before.saturating_sub(free));
            }
            self.ran = ran;
            self.ran_due = now + RAN_INTERVAL;
        }
        self.shrunk
    }

    fn memory_used(&mut self, guard: i32, tree: &Tree, common: &Common, until: Instant) -> u64 {
        let files = if self.tmpfs { self.in_workspace } else { 0 };
        let sizes = tree.sizes();
        let Some(limit) = self.memory else { return sizes.private.saturating_add(files) };
        let own = self.own_memory(guard, tree, &sizes, common, files, limit, until);
        let used = own.saturating_add(files);
        self.measure_buffers(tree, &sizes, common, limit.saturating_sub(used), until);
        used.saturating_add(self.in_kernel)
    }

    /// First a cheap sum that is never too low; only if that reaches the limit the exact one.
    #[allow(clippy::too_many_arguments)]
    fn own_memory(
        &mut self,
        guard: i32,
        tree: &Tree,
        sizes: &Sizes,
        common: &Common,
        files: u64,
        limit: u64,
        until: Instant,
    ) -> u64 {
        self.shared = self.shared.min(common.shared);
        let growth = common.shared.saturating_sub(self.shared);
        let sure = self.in_kernel.saturating_add(sizes.private);
        let unexplained = sure.saturating_add(growth) > limit;
        let much = sizes.most.saturating_add(files).saturating_add(self.in_kernel) > limit;
        if !unexplained && !much {
            (self.exact, self.doubted) = (None, None);
            self.exact_last = sizes.private;
            return sizes.private;
        }
        if self.exact.is_none() && Instant::now() >= self.exact_due {
            self.exact = Some(Exact::begin(tree, guard, if unexplained { growth } else { 0 }));
        }
        while let Some(mut exact) = self.exact.take() {
            let (ended, time) = in_pieces(until, || exact.step());
            exact.spent = exact.spent.saturating_add(time);
            if !ended {
                self.exact = Some(exact);
                break;
            }
            let used = exact.used(files);
            let over = used.saturating_add(files).saturating_add(self.in_kernel) > limit;
            match self.doubted.take() {
                None if over => {
                    // Pages whose users end meanwhile are counted for one of them after the other.
                    self.doubted = Some(used);
                    let growth = if unexplained { growth } else { 0 };
                    self.exact = Some(Exact::begin(&Tree::below(guard), guard, growth));
                }
                first => {
                    self.exact_last = used.min(first.unwrap_or(u64::MAX));
                    let pause = exact.spent.saturating_mul(EXACT_SHARE).min(EXACT_PAUSE);
                    self.exact_due = Instant::now() + pause;
                }
            }
        }
        self.exact_last
    }

    fn measure_buffers(
        &mut self,
        tree: &Tree,
        sizes: &Sizes,
        common: &Common,
        left: u64,
        until: Instant,
    ) {
        // Nothing is queued in what every program has.
        self.queues = sizes.descriptors > tree.tasks().saturating_mul(3);
        let pipes = sizes.descriptors.saturating_mul(PIPE);
        if !self.queues || common.census.latest.total.saturating_add(pipes) <= left {
            self.buffers = None;
            self.in_kernel = 0;
            return;
        }
        if self.buffers.is_none() && self.census != common.census.serial {
            self.census = common.census.serial;
            let queued = std::rc::Rc::clone(&common.census.latest);
            self.buffers = Some(Buffers::begin(tree.pids.clone(), queued));
        }
        if let Some(mut buffers) = self.buffers.take() {
            if in_pieces(until, || buffers.step()).0 {
                self.in_kernel = buffers.used();
            } else {
                self.buffers = Some(buffers);
            }
        }
    }
}

/// Does pieces of something, one at least, until the time is up. Returns whether that was all, and
/// the time it took.
fn in_pieces(until: Instant, mut step: impl FnMut() -> bool) -> (bool, Duration) {
    let begun = Instant::now();
    loop {
        let ended = step();
        let now = Instant::now();
        if ended || now >= until {
            return (ended, now - begun);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_found_and_its_memory_and_time_are_read() {
        let script = "x=$(head -c 3000000 /dev/zero | tr '\\0' x); sleep 60 & wait";
        let mut child = std::process::Command::new("bash").args(["-c", script]).spawn().unwrap();
        let me = nix::unistd::getpid().as_raw();
        std::thread::sleep(Duration::from_millis(500));
        let tree = Tree::below(me);
        assert!(tree.pids.contains(&(child.id() as i32)));
        assert!(tree.pids.len() >= 2, "the grandchild is found too");
        let only = Tree::of(child.id() as i32);
        let sizes = only.sizes();
        assert!(sizes.private > 2_000_000 && sizes.most > sizes.private);
        assert!((3..20).contains(&sizes.descriptors), "{}", sizes.descriptors);
        let mut exact = Exact::begin(&only, me, 0);
        while !exact.step() {}
        assert!(exact.used(0) > 2_000_000);
        for pid in tree.pids {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        child.wait().unwrap();
    }
}
