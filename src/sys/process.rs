//! Process attributes and the daemon's fork.

use std::os::fd::RawFd;

use nix::errno::Errno;

use super::check;

/// Orphaned descendants become children of this process (`PR_SET_CHILD_SUBREAPER`).
pub(crate) fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0).into() })?;
    Ok(())
}

/// The name that `ps` shows (`PR_SET_NAME`).
pub(crate) fn set_name(name: &std::ffi::CStr) {
    // SAFETY: a C string; the kernel copies at most 16 bytes.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Parent(i32),
    Child,
}

/// `fork(2)`.
///
/// The caller must be single-threaded: then the child may do all that the parent may. The daemon
/// never starts a thread, and its main loop asserts that.
pub(crate) fn fork_single_threaded() -> Result<Side, Errno> {
    // SAFETY: with one thread no lock can be held by a thread that the child lacks.
    match check(unsafe { libc::fork().into() })? {
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid as i32)),
    }
}

/// Ends the process without running destructors or flushing anything.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: never returns and touches nothing.
    unsafe { libc::_exit(code) }
}

/// Starts `path` with `argv` as a child process with a clean environment, default signals and
/// `channel` as descriptor 3, whatever threads and memory this process has (`posix_spawn(3)`).
pub(crate) fn spawn_with_channel(
    path: &std::ffi::CStr,
    argv: &[&std::ffi::CStr],
    env: &[std::ffi::CString],
    channel: RawFd,
) -> Result<i32, Errno> {
    use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
    use nix::sys::signal::SigSet;

    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(channel, 3)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    posix_spawn(path, &actions, &attributes, argv, env).map(nix::unistd::Pid::as_raw)
}

/// Sends a signal to every process this one may signal. In a Landlock domain that scopes signals
/// that is exactly the domain, less this process; anywhere else it would be the user's session,
/// so the caller proves the scope first.
pub(crate) fn kill_all(_scope: SignalScope) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(-1, libc::SIGKILL).into() })?;
    Ok(())
}

/// Proof that signals of this process are confined: a live process of the same user outside the
/// domain could not be signalled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignalScope(());

impl SignalScope {
    /// Tries to signal `canary`, a process outside the domain which this one could otherwise
    /// signal.
    pub(crate) fn prove(canary: i32) -> Result<Self, Errno> {
        if canary <= 1 {
            return Err(Errno::ESRCH);
        }
        // SAFETY: signal 0 only asks.
        match check(unsafe { libc::kill(canary, 0).into() }) {
            Err(Errno::EPERM) => Ok(Self(())),
            Err(errno) => Err(errno),
            Ok(_) => Err(Errno::ENOTSUP),
        }
    }
}

/// Whether a thread belongs to the process with this number. Asked in one call, `tgkill(2)` with
/// signal 0, so that neither can change in between.
pub(crate) fn is_thread_of(tid: i32, process: i32) -> bool {
    // SAFETY: takes numbers only; signal 0 only asks.
    process > 0 && unsafe { libc::syscall(libc::SYS_tgkill, process, tid, 0) } == 0
}

/// Whether there is a task of this number that may be signalled.
pub(crate) fn exists(tid: i32) -> bool {
    // SAFETY: takes numbers only; signal 0 only asks.
    tid > 0 && unsafe { libc::syscall(libc::SYS_tkill, tid, 0) } == 0
}

/// The processors that a thread may run on (`sched_setaffinity(2)`).
pub(crate) fn set_affinity(tid: i32, mask: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many bytes as it is told.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, mask.len(), mask.as_ptr()) })?;
    Ok(())
}

/// The hard limit of a resource (`getrlimit(2)`).
pub(crate) fn hard_limit(resource: u32) -> u64 {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one struct.
    match check(unsafe { libc::getrlimit64(resource, std::ptr::from_mut(&mut limit)).into() }) {
        Ok(_) => limit.rlim_max,
        // An unknown resource can't be set either.
        Err(_) => 0,
    }
}

/// A child that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    pub(crate) status: i32,
}

/// Reaps one child of this thread, of any kind, without waiting. `None` if none has ended; `ECHILD`
/// if there is none at all. What other threads trace is left to them.
pub(crate) fn reap() -> Result<Option<Reaped>, Errno> {
    let flags = libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
    loop {
        let mut status = 0;
        // SAFETY: writes one int.
        let pid =
            check(unsafe { libc::waitpid(-1, std::ptr::from_mut(&mut status), flags).into() })?;
        // Stops of an own child that another thread traces come here as well.
        if pid == 0 || libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            return Ok((pid != 0).then_some(Reaped { pid: pid as i32, status }));
        }
    }
}
