//! Just enough of `ptrace(2)` to look at a program between its exec and its first instruction.

use nix::errno::Errno;

use super::check;

/// Where a traced task has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has executed a program, and no instruction of it has run.
    Exec,
    /// Anything else: the exec has failed.
    Other,
}

/// Attaches to a task without stopping it. It dies with the tracer's thread group.
pub(crate) fn seize(tid: i32) -> Result<(), Errno> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    // SAFETY: takes numbers only.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, 0usize, options as usize) })?;
    Ok(())
}

/// Has the task stop as soon as it is about to leave the kernel, if it has not stopped before.
pub(crate) fn interrupt(tid: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, tid, 0usize, 0usize) })?;
    Ok(())
}

/// Whether and where the task has stopped. Works also after somebody else has waited for the stop.
pub(crate) fn stopped(tid: i32) -> Option<Stop> {
    const EXEC: i32 = libc::SIGTRAP | (libc::PTRACE_EVENT_EXEC << 8);
    // SAFETY: all-zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes one siginfo.
    let answer = check(unsafe {
        libc::ptrace(libc::PTRACE_GETSIGINFO, tid, 0usize, std::ptr::from_mut(&mut info))
    });
    match answer {
        Ok(_) if info.si_code == EXEC => Some(Stop::Exec),
        // EINVAL: it is stopped by job control.
        Ok(_) | Err(Errno::EINVAL) => Some(Stop::Other),
        Err(_) => None,
    }
}

/// The stack pointer of a stopped task.
pub(crate) fn stack_pointer(tid: i32) -> Result<u64, Errno> {
    const NT_PRSTATUS: usize = 1;
    // SAFETY: all-zero is a valid value.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut place = libc::iovec {
        iov_base: std::ptr::from_mut(&mut registers).cast(),
        iov_len: std::mem::size_of::<libc::user_regs_struct>(),
    };
    // SAFETY: the kernel writes at most as many bytes as the registers have.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, std::ptr::from_mut(&mut place))
    })?;
    #[cfg(target_arch = "x86_64")]
    return Ok(registers.rsp);
    #[cfg(target_arch = "aarch64")]
    return Ok(registers.sp);
}

/// Lets a stopped task go.
pub(crate) fn detach(tid: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, tid, 0usize, 0usize) })?;
    Ok(())
}

/// Reaps a task that this thread traces, if it has died; its parent is told then. Returns whether
/// it has.
pub(crate) fn reap(tid: i32) -> bool {
    let flags = libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
    let mut status = 0;
    // SAFETY: writes one int.
    let pid = unsafe { libc::waitpid(tid, std::ptr::from_mut(&mut status), flags) };
    pid > 0 && (libc::WIFEXITED(status) || libc::WIFSIGNALED(status))
}
