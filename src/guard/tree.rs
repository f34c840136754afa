//! The tree of tasks below a guard: who belongs to it, how many there are, how it ends.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::signal::kill;
use nix::sys::stat::fstatat;
use nix::unistd::{Pid, Whence, lseek};

use crate::sys::pidfd;
use crate::sys::process::{SignalScope, is_thread_of, kill_all};

/// A fork that was let go may not have happened yet when tasks are counted.
const IN_FLIGHT: Duration = Duration::from_millis(10);

/// How the guard knows its own: by what it may signal, or, where signals aren't scoped, by what
/// it may inspect. Both are what Landlock lets a domain do to itself and nothing outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership<'a> {
    pub(crate) procfs: BorrowedFd<'a>,
    /// Held while `procfs` is listed.
    pub(crate) listing: &'a Mutex<()>,
    pub(crate) scope: Option<SignalScope>,
    pub(crate) guard: i32,
}

impl Membership<'_> {
    /// Whether a process belongs to the sandbox.
    pub(crate) fn has(&self, pid: i32) -> bool {
        if pid <= 1 || pid == self.guard {
            return false;
        }
        if self.scope.is_some() {
            return kill(Pid::from_raw(pid), None).is_ok();
        }
        match readlinkat(self.procfs, format!("{pid}/cwd").as_str()) {
            Ok(_) => true,
            // A zombie has no directory any more; a stranger is refused before that is seen.
            Err(Errno::ENOENT) => self.threads(pid).is_some(),
            Err(_) => false,
        }
    }

    /// Threads of a process, as the link count of its task directory says.
    fn threads(&self, pid: i32) -> Option<u32> {
        let path = format!("{pid}/task");
        let links =
            fstatat(self.procfs, path.as_str(), nix::fcntl::AtFlags::empty()).ok()?.st_nlink;
        Some((links as u32).saturating_sub(2))
    }

    /// Every process of the sandbox.
    pub(crate) fn processes(&self) -> Result<Vec<i32>, Errno> {
        // Duplicates of a descriptor share its place in the listing: another thread that starts
        // over would have this one miss processes. A new one can't be opened in the guard's domain.
        let _alone = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        lseek(self.procfs, 0, Whence::SeekSet)?;
        let list = self.procfs.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        let mut list = Dir::from_fd(list)?;
        let pids = list
            .iter()
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
            .filter(|pid| self.has(*pid));
        Ok(pids.collect())
    }

    /// Processes and threads of the sandbox. Zombies count: they use up pids.
    pub(crate) fn count_tasks(&self) -> Result<u32, Errno> {
        Ok(self.processes()?.iter().map(|pid| self.threads(*pid).unwrap_or(0).max(1)).sum())
    }

    /// The process that a thread belongs to.
    pub(crate) fn process_of(&self, tid: i32) -> Result<i32, Errno> {
        // Most calls come from a process's first thread.
        if self.scope.is_some() && is_thread_of(tid, tid) {
            return Ok(tid);
        }
        let is_in = |pid: &i32| {
            let path = format!("{pid}/task/{tid}");
            fstatat(self.procfs, path.as_str(), nix::fcntl::AtFlags::empty()).is_ok()
        };
        self.processes()?.into_iter().find(is_in).ok_or(Errno::ESRCH)
    }

    /// Whether two threads are of one process at the moment: a thread may end, and its number
    /// become another's.
    pub(crate) fn share_process(&self, tid: i32, other: i32) -> bool {
        let path = format!("{tid}/task/{other}");
        fstatat(self.procfs, path.as_str(), nix::fcntl::AtFlags::empty()).is_ok()
    }

    /// Kills one process of the sandbox, and no other that has got its number since.
    fn kill(&self, pid: i32) -> Result<(), Errno> {
        let pinned = pidfd::open(pid)?;
        // If what has the number now is the sandbox's, then what is pinned is that, or has ended.
        if self.has(pid) { pidfd::kill(pinned.as_fd()) } else { Err(Errno::ESRCH) }
    }

    /// Kills everything in the sandbox. Without a signal scope, forks must be held back meanwhile.
    pub(crate) fn kill_everything(&self) {
        if let Some(scope) = self.scope {
            // ESRCH: nothing is left.
            let _ = kill_all(scope);
            return;
        }
        // Whoever is missed in one round, because it appeared behind the listing, is found in the
        // next. Forks wait for an answer that doesn't come, so the rounds come to an end.
        for _ in 0..64 {
            let Ok(alive) = self.processes() else { return };
            let killed = alive.iter().filter(|pid| self.kill(**pid).is_ok());
            if killed.count() == 0 {
                return;
            }
        }
    }
}

/// The limit on tasks.
#[derive(Debug)]
pub(crate) struct Tasks {
    limit: Option<u32>,
    /// Never too low: everything let go since the last count, and what that count found.
    now: AtomicU32,
    started: AtomicU32,
    recent: Mutex<Vec<(i32, Instant)>>,
}

impl Tasks {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Self {
            limit,
            now: AtomicU32::new(1),
            started: AtomicU32::new(1),
            recent: Mutex::new(Vec::new()),
        }
    }

    /// How many were started.
    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether one more may start. Called by the listener's thread only.
    pub(crate) fn admit(&self, caller: i32, membership: &Membership<'_>) -> bool {
        let Some(limit) = self.limit else {
            self.started.fetch_add(1, Ordering::Relaxed);
            return true;
        };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        // A task has one call in flight, so its earlier fork has happened.
        recent.retain(|(tid, at)| *tid != caller && begun.duration_since(*at) < IN_FLIGHT);
        if self.now.load(Ordering::Relaxed) >= limit {
            let counted = membership.count_tasks().unwrap_or(u32::MAX);
            let in_flight = u32::try_from(recent.len()).unwrap_or(u32::MAX);
            self.now.store(counted.saturating_add(in_flight), Ordering::Relaxed);
            if self.now.load(Ordering::Relaxed) >= limit {
                return false;
            }
        }
        self.now.fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        recent.push((caller, begun));
        true
    }
}

impl super::context::Context {
    /// Who belongs to this guard.
    pub(crate) fn membership(&self) -> Membership<'_> {
        Membership {
            procfs: self.procfs.as_fd(),
            listing: &self.listing,
            scope: self.scope,
            guard: self.guard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn listings_do_not_disturb_each_other() {
        let procfs = File::open("/proc").unwrap();
        let listing = Mutex::new(());
        let membership =
            Membership { procfs: procfs.as_fd(), listing: &listing, scope: None, guard: 0 };
        // Of the user running this, and alive throughout.
        let me = std::process::id() as i32;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(membership.processes().unwrap().contains(&me));
                }
            });
            for _ in 0..300 {
                let found = membership.processes().unwrap();
                assert_eq!(found.iter().filter(|pid| **pid == me).count(), 1);
            }
            done.store(true, Ordering::Relaxed);
            other.join().unwrap();
        });
    }
}
