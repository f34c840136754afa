//! The processes of a tree, by procfs.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::daemon::orphans::{children_of, tasks};
use crate::sys::pidfd::share_descriptors;

/// The processes below a guard at one moment.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) pids: Vec<i32>,
    /// The threads of each, its first one left out.
    threads: Vec<Vec<i32>>,
}

/// What a look at every process costs little to tell.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Never too low for memory that is mapped: shared pages count for each process.
    pub(super) most: u64,
    /// Memory that is nobody else's.
    pub(super) private: u64,
    /// Open descriptors, the same one again for each process and each thread.
    pub(super) descriptors: u64,
}

impl Tree {
    pub(super) fn below(guard: i32) -> Self {
        let mut tree = Self { pids: Vec::new(), threads: Vec::new() };
        let mut known = HashSet::new();
        let mut found = children_of(guard, &tasks(guard));
        while let Some(pid) = found.pop() {
            if known.insert(pid) {
                let mut threads = tasks(pid);
                found.extend(children_of(pid, &threads));
                threads.retain(|thread| *thread != pid);
                tree.pids.push(pid);
                tree.threads.push(threads);
            }
        }
        tree
    }

    #[cfg(test)]
    pub(super) fn of(pid: i32) -> Self {
        Self { pids: vec![pid], threads: vec![Vec::new()] }
    }

    /// Processes and threads.
    pub(super) fn tasks(&self) -> u64 {
        let threads =
            self.threads.iter().map(Vec::len).fold(self.pids.len(), usize::saturating_add);
        threads as u64
    }

    pub(super) fn sizes(&self) -> Sizes {
        let page = page();
        let mut sum = Sizes::default();
        for (pid, threads) in self.pids.iter().zip(&self.threads) {
            let Some((place, [size, all, shared])) = sizes(*pid) else { continue };
            // A page of page tables maps 512 pages, whether they are in memory or not.
            let most = all.saturating_add(size / 512).saturating_mul(page);
            sum.most = sum.most.saturating_add(most);
            let private = all.saturating_sub(shared).saturating_mul(page);
            sum.private = sum.private.saturating_add(private);
            let mut add = |place: &str| {
                sum.descriptors = sum.descriptors.saturating_add(descriptors(place));
            };
            add(&place);
            // Each may have a table of its own.
            threads.iter().for_each(|thread| add(&format!("/proc/{pid}/task/{thread}")));
        }
        sum
    }

    /// A number that changes when any thread of the tree or of the guard runs, however shortly.
    pub(super) fn ran(&self, guard: i32) -> Option<u64> {
        let time = |pid: i32, task: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).ok()?;
            stat.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        let mut sum = 0u64;
        for task in tasks(guard) {
            sum = sum.wrapping_add(time(guard, task)?);
        }
        for (pid, threads) in self.pids.iter().zip(&self.threads) {
            for task in std::iter::once(pid).chain(threads) {
                sum = sum.wrapping_add(time(*pid, *task).unwrap_or(0));
            }
        }
        Some(sum)
    }

    /// CPU time of the living, of those they have reaped, and of those the guard has reaped.
    pub(super) fn cpu(&self, guard: i32) -> Duration {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1) as u64;
        let own = self.pids.iter().map(|pid| stat_fields(*pid, 11..15));
        let total = own.fold(stat_fields(guard, 13..15), u64::saturating_add);
        Duration::from_millis(total.saturating_mul(1_000) / ticks)
    }
}

pub(super) fn page() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4_096) as u64
}

/// The first three fields of `statm`, in pages, and the directory they are from: a process whose
/// first thread has ended shows its memory and its files only at the others.
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

/// Where a process shows its memory and its files.
pub(super) fn place(pid: i32) -> String {
    sizes(pid).map_or_else(|| format!("/proc/{pid}"), |(place, _)| place)
}

/// Where a process shows its files: a thread may have descriptors of its own, in which case its
/// process doesn't show them.
pub(super) fn tables(pid: i32) -> Vec<String> {
    let mut tables = vec![place(pid)];
    for task in tasks(pid) {
        if task != pid && !share_descriptors(pid, task) {
            tables.push(format!("/proc/{pid}/task/{task}"));
        }
    }
    tables
}

fn descriptors(place: &str) -> u64 {
    let path = format!("{place}/fd");
    // Before Linux 6.2 the size says nothing.
    match fs::metadata(&path).map(|dir| std::os::unix::fs::MetadataExt::size(&dir)) {
        Ok(0) => fs::read_dir(path).map_or(0, |list| list.count() as u64),
        Ok(count) => count,
        Err(_) => 0,
    }
}

/// How many descriptors are on their way in what a socket has received (`scm_fds`).
pub(super) fn in_flight(place: &str, descriptor: &str) -> u64 {
    let info = fs::read_to_string(format!("{place}/fdinfo/{descriptor}")).unwrap_or_default();
    field(&info, "scm_fds:")
}

/// A number of `/proc/pid/status` and the like.
pub(super) fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Sums fields of `/proc/pid/stat`, counted from the state as 0.
pub(super) fn stat_fields(pid: i32, range: std::ops::Range<usize>) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let fields = rest.split_ascii_whitespace().skip(range.start).take(range.len());
    fields.map(|field| field.parse::<u64>().unwrap_or(0)).fold(0, u64::saturating_add)
}
