//! The part of the limits that the kernel keeps by itself (`getrlimit(2)`). What holds over a tree
//! is counted by the guard and the meter.

use libc::rlimit64;

use crate::plan::Limits;

const MIB: u64 = 1 << 20;

/// The limits to set on the target, each no higher than what this process may set.
pub(crate) fn rlimits(limits: &Limits, current_hard: impl Fn(u32) -> u64) -> Vec<(u32, rlimit64)> {
    let mut list = vec![
        // One byte is the one limit that a core_pattern with a pipe honours, see core(5).
        (libc::RLIMIT_CORE, 1, 1),
        (libc::RLIMIT_STACK, 8 * MIB, 64 * MIB),
        (libc::RLIMIT_NOFILE, limits.open_files.into(), limits.open_files.into()),
        (libc::RLIMIT_MSGQUEUE, 0, 0),
        (libc::RLIMIT_RTPRIO, 0, 0),
        (libc::RLIMIT_NICE, 0, 0),
        (libc::RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB),
    ];
    if let Some(size) = limits.file_size {
        list.push((libc::RLIMIT_FSIZE, size, size));
    }
    if let Some(memory) = limits.memory {
        // A single process fails with ENOMEM, which programs handle, before the meter kills the
        // tree. The slack is for what is reserved and never touched: thread stacks, arenas.
        let data = memory.saturating_add(memory.max(256 * MIB));
        list.push((libc::RLIMIT_DATA, data, data));
    }
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        list.push((libc::RLIMIT_CPU, seconds, seconds + 1));
    }
    list.into_iter()
        .map(|(resource, soft, hard)| {
            let most = current_hard(resource);
            let limit = rlimit64 { rlim_cur: soft.min(most), rlim_max: hard.min(most) };
            (resource, limit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_never_exceed_what_the_host_has() {
        let list =
            rlimits(&Limits::default(), |r| if r == libc::RLIMIT_NOFILE { 64 } else { 1 << 40 });
        let find = |r| list.iter().find(|(x, _)| *x == r).map(|(_, l)| (l.rlim_cur, l.rlim_max));
        assert_eq!(find(libc::RLIMIT_NOFILE), Some((64, 64)));
        assert_eq!(find(libc::RLIMIT_CORE), Some((1, 1)));
        assert_eq!(find(libc::RLIMIT_DATA), Some((2 << 30, 2 << 30)));
        assert_eq!(find(libc::RLIMIT_CPU), None);
    }
}
