//! What a dead guard leaves behind. The daemon is the next subreaper, so it becomes the parent of
//! a dead guard's children; their forks fail, since the listener died with the guard.

use std::collections::HashSet;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// Rounds are bounded by the depth of the tree: each uncovers the next generation.
const MAX_ROUNDS: usize = 10_000;

/// Kills every child of this process, and what they leave behind, except the guards.
pub(crate) fn kill_all(guards: impl Fn(i32) -> bool) {
    for _ in 0..MAX_ROUNDS {
        let strays: Vec<i32> =
            children(getpid().as_raw()).into_iter().filter(|pid| !guards(*pid)).collect();
        if strays.is_empty() {
            return;
        }
        for pid in strays {
            let pid = Pid::from_raw(pid);
            let _ = kill(pid, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::__WALL));
        }
    }
}

/// Children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    children_of(pid, &tasks(pid))
}

/// The threads of a process.
pub(crate) fn tasks(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// As [`children`], of a process with these threads.
pub(crate) fn children_of(pid: i32, tasks: &[i32]) -> Vec<i32> {
    let mut found: HashSet<i32> = HashSet::new();
    for task in tasks {
        match fs::read_to_string(format!("/proc/{pid}/task/{task}/children")) {
            Ok(list) => {
                found.extend(list.split_ascii_whitespace().filter_map(|p| p.parse::<i32>().ok()))
            }
            // Kernels without CONFIG_PROC_CHILDREN, or a thread that has just ended.
            Err(_) if fs::exists(format!("/proc/{pid}/task/{task}")).unwrap_or(false) => {
                return children_by_parent(pid);
            }
            Err(_) => {}
        }
    }
    found.into_iter().collect()
}

fn children_by_parent(parent: i32) -> Vec<i32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from its end.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let me = getpid().as_raw();
        assert!(children(me).contains(&pid));
        assert!(children_by_parent(me).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children(me).contains(&pid));
    }
}
