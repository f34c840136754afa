//! The memory of a tree, exactly: shared pages once, swapped pages, page tables, and shared memory
//! that is in nobody's page tables. A process at a time.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use super::tree::{Tree, field, page, place, stat_fields};

/// A sum, under way.
#[derive(Debug)]
pub(super) struct Exact {
    processes: Vec<i32>,
    /// By how much shared memory of the whole machine has grown in this run's time, if that is to
    /// be explained.
    growth: u64,
    used: u64,
    /// Of that, shared memory.
    shared: u64,
    /// Shared anonymous mappings: how far into each one the tree's mappings reach.
    mapped: HashMap<u64, u64>,
    faults: u64,
    unreadable: bool,
    /// Time spent on it.
    pub(super) spent: Duration,
}

impl Exact {
    pub(super) fn begin(tree: &Tree, guard: i32, growth: u64) -> Self {
        Self {
            processes: tree.pids.clone(),
            growth,
            used: 0,
            shared: 0,
            mapped: HashMap::new(),
            // Faults of those that the guard has reaped.
            faults: if growth > 0 { stat_fields(guard, 8..9) } else { 0 },
            unreadable: false,
            spent: Duration::ZERO,
        }
    }

    /// Does a process. Returns whether that was the last one.
    pub(super) fn step(&mut self) -> bool {
        let Some(pid) = self.processes.pop() else { return true };
        let place = place(pid);
        let add = |sum: &mut u64, kib: u64| *sum = sum.saturating_add(kib.saturating_mul(1_024));
        match fs::read_to_string(format!("{place}/smaps_rollup")) {
            Ok(rollup) => {
                for name in ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"] {
                    add(&mut self.used, field(&rollup, name));
                }
                add(&mut self.shared, field(&rollup, "Pss_Shmem:"));
            }
            // A program that may not be inspected counts in full.
            Err(_) => {
                self.unreadable = true;
                let statm = fs::read_to_string(format!("{place}/statm")).unwrap_or_default();
                let pages = statm.split_ascii_whitespace().nth(1).and_then(|f| f.parse().ok());
                let bytes = pages.map_or(0, |pages: u64| pages.saturating_mul(page()));
                self.used = self.used.saturating_add(bytes);
            }
        }
        // Page tables are memory too, and reading untouched memory takes one per 2 MiB and nothing
        // else.
        let status = fs::read_to_string(format!("{place}/status")).unwrap_or_default();
        add(&mut self.used, field(&status, "VmPTE:"));
        if self.growth > 0 {
            self.faults = self.faults.saturating_add(stat_fields(pid, 7..9));
            let maps = fs::read(format!("{place}/maps")).unwrap_or_default();
            for (inode, reach) in maps.split(|b| *b == b'\n').filter_map(shared_anonymous) {
                let known = self.mapped.entry(inode).or_default();
                *known = reach.max(*known);
            }
        }
        false
    }

    /// Bytes in use. `files` are those of a workspace that is in memory, and counted elsewhere.
    pub(super) fn used(&self, files: u64) -> u64 {
        self.used.saturating_add(self.hidden(files))
    }

    /// Shared memory that is in no page table. No process may ask for it, but the machine knows
    /// its own sum: what that has grown by is this tree's if this tree has such memory, and no
    /// more than its mappings reach or its page faults can have made.
    fn hidden(&self, files: u64) -> u64 {
        if self.mapped.is_empty() && !self.unreadable {
            return 0;
        }
        let reach = self.mapped.values().fold(0, |sum: u64, reach| sum.saturating_add(*reach));
        let made = self.faults.saturating_mul(page());
        self.growth.saturating_sub(self.shared).saturating_sub(files).min(reach.max(made))
    }
}

/// Inode and end of a mapping of shared anonymous memory, from a line of `/proc/pid/maps`.
fn shared_anonymous(line: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    if !line.ends_with("/dev/zero (deleted)") {
        return None;
    }
    let mut fields = line.split_ascii_whitespace();
    let (range, mode, offset, _, inode) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if !mode.ends_with('s') {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let length = hex(to)?.saturating_sub(hex(from)?);
    Some((inode.parse().ok()?, hex(offset)?.saturating_add(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_shared_anonymous_memory_are_recognised() {
        let line = b"7f0000000000-7f0000200000 rw-s 00100000 00:01 4242    /dev/zero (deleted)";
        assert_eq!(shared_anonymous(line), Some((4242, 0x30_0000)));
        let private = b"7f0000000000-7f0000200000 rw-p 00000000 00:01 4242    /dev/zero (deleted)";
        assert_eq!(shared_anonymous(private), None);
        for line in [&b""[..], b"\xff", b"x /dev/zero (deleted)", b"1 2 3 4 5 /dev/zero (deleted)"]
        {
            assert_eq!(shared_anonymous(line), None);
        }
    }
}
