//! The target between its birth and its first exec: locked down, then waiting to be told what to
//! execute. It shares its memory with the guard (`CLONE_VM`), so everything is prepared before the
//! clone and the code below makes raw system calls only.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use seccompiler::sock_filter;

use super::raw::syscall5;
use super::shared::Shared;
use super::{check, seccomp};

/// Descriptors 3, 4 and 5 of the guard are what becomes the target's 0, 1 and 2.
pub(crate) const STDIO_SLOTS: [RawFd; 3] = [3, 4, 5];
/// Everything from here up is the guard's own.
pub(crate) const FIRST_OWN_FD: RawFd = 6;

const STACK: usize = 128 * 1024;

/// The step that failed, as it crosses the shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    ParentDeath = 1,
    Session,
    Limits,
    Landlock,
    Seccomp,
    Directory,
    Descriptors,
    Terminal,
    Signals,
    Exec,
}

impl Step {
    /// The step that a number stands for, if it stands for one.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        use Step::{
            Descriptors, Directory, Exec, Landlock, Limits, ParentDeath, Seccomp, Session, Signals,
            Terminal,
        };
        [
            ParentDeath, Session, Limits, Landlock, Seccomp, Directory, Descriptors, Terminal,
            Signals, Exec,
        ]
        .into_iter()
        .find(|step| *step as u32 == number)
    }
}

/// What is applied before the target waits.
#[derive(Debug)]
pub(crate) struct Lockdown {
    ruleset: RawFd,
    limits: Vec<(u32, libc::rlimit64)>,
    program: Program,
    flags: u32,
}

/// `struct sock_fprog`, with the filter it points to.
#[derive(Debug)]
#[repr(C)]
struct Program {
    len: u16,
    filter: *const sock_filter,
}

impl Lockdown {
    /// Everything a target needs. It is leaked, since the target may outlive any scope here.
    pub(crate) fn leak(
        ruleset: OwnedFd,
        limits: Vec<(u32, libc::rlimit64)>,
        filter: Vec<sock_filter>,
        wait_killable: bool,
    ) -> Result<&'static Self, Errno> {
        let len = u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
        let filter: &'static [sock_filter] = filter.leak();
        let flags = seccomp::FLAG_NEW_LISTENER
            | if wait_killable { seccomp::FLAG_WAIT_KILLABLE_RECV } else { 0 };
        Ok(Box::leak(Box::new(Self {
            ruleset: ruleset.into_raw_fd(),
            limits,
            program: Program { len, filter: filter.as_ptr() },
            flags,
        })))
    }
}

/// What the target executes.
#[derive(Debug)]
pub(crate) struct Exec {
    path: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    cwd: CString,
    terminal: bool,
    _strings: Vec<CString>,
}

// SAFETY: the pointers lead into `_strings`, which is never changed after construction.
unsafe impl Sync for Exec {}

impl Exec {
    pub(crate) fn leak(
        path: CString,
        argv: Vec<CString>,
        env: Vec<CString>,
        cwd: CString,
        terminal: bool,
    ) -> &'static Self {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv_pointers, envp) = (pointers(&argv), pointers(&env));
        // Moving a CString does not move its bytes.
        let strings = argv.into_iter().chain(env).collect();
        Box::leak(Box::new(Self {
            path,
            argv: argv_pointers,
            envp,
            cwd,
            terminal,
            _strings: strings,
        }))
    }

    pub(crate) fn path(&self) -> &CStr {
        &self.path
    }

    pub(crate) fn cwd(&self) -> &CStr {
        &self.cwd
    }
}

struct Start {
    shared: &'static Shared,
    lockdown: &'static Lockdown,
}

/// Clones the target. It locks itself down, publishes its listener in `shared` and waits there.
pub(crate) fn clone_target(
    shared: &'static Shared,
    lockdown: &'static Lockdown,
) -> Result<i32, Errno> {
    let start: &'static Start = Box::leak(Box::new(Start { shared, lockdown }));
    let stack: &'static mut [u128] = vec![0u128; STACK / 16].leak();
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own, which is never freed, and `target` makes raw
    // system calls only. `inside` is never freed either.
    let pid = check(unsafe {
        libc::clone(
            target,
            top.cast(),
            flags,
            std::ptr::from_ref(start).cast_mut().cast(),
            std::ptr::null_mut::<libc::pid_t>(),
            std::ptr::null_mut::<c_void>(),
            shared.inside.as_ptr(),
        )
        .into()
    })?;
    Ok(pid as i32)
}

extern "C" fn target(start: *mut c_void) -> c_int {
    // SAFETY: `clone_target` passes a leaked `Start`.
    let start = unsafe { &*start.cast::<Start>() };
    let shared = start.shared;
    // SAFETY: this is the cloned child, on its own stack.
    let (step, errno) = match unsafe { lock_down(shared, start.lockdown) } {
        // SAFETY: as above; the guard has set `exec` before `go`.
        Ok(()) => unsafe { execute(shared, start.lockdown) },
        Err(failure) => failure,
    };
    shared.failed_errno.store(errno as i32, Ordering::Release);
    shared.failed_step.store(step as u32, Ordering::Release);
    // SAFETY: ends this task only.
    unsafe {
        syscall5(libc::SYS_exit, 126, 0, 0, 0, 0);
    }
    126
}

type Failure = (Step, isize);

/// # Safety
/// Only in the cloned child.
unsafe fn lock_down(shared: &Shared, lockdown: &Lockdown) -> Result<(), Failure> {
    // SAFETY: numbers, and pointers into leaked memory with the kernel's layouts.
    unsafe {
        let kill = libc::SIGKILL as usize;
        let death = libc::PR_SET_PDEATHSIG as usize;
        call(Step::ParentDeath, libc::SYS_prctl, [death, kill, 0, 0])?;
        call(Step::Session, libc::SYS_setsid, [0; 4])?;
        // `struct sigaction` of the kernel: handler, flags, restorer, mask. All zero: default. All
        // signals stay blocked until the exec.
        let default = [0u64; 4];
        for signal in 1..=64usize {
            if signal != kill && signal != libc::SIGSTOP as usize {
                let action = default.as_ptr() as usize;
                call(Step::Signals, libc::SYS_rt_sigaction, [signal, action, 0, 8])?;
            }
        }
        call(Step::Signals, libc::SYS_umask, [0o022, 0, 0, 0])?;
        set_limits(lockdown, |resource| resource != libc::RLIMIT_NOFILE)?;
        let ruleset = lockdown.ruleset as usize;
        call(Step::Landlock, libc::SYS_landlock_restrict_self, [ruleset, 0, 0, 0])?;
        let program = std::ptr::from_ref(&lockdown.program) as usize;
        let listener = call(
            Step::Seccomp,
            libc::SYS_seccomp,
            [seccomp::SET_MODE_FILTER as usize, lockdown.flags as usize, program, 0],
        )?;
        shared.listener.store(listener as i32, Ordering::Release);
        let word = shared.listener.as_ptr() as usize;
        syscall5(libc::SYS_futex, word, libc::FUTEX_WAKE as usize, 1, 0, 0);
        while shared.go.load(Ordering::Acquire) == 0 {
            let word = shared.go.as_ptr() as usize;
            syscall5(libc::SYS_futex, word, libc::FUTEX_WAIT as usize, 0, 0, 0);
        }
    }
    Ok(())
}

/// # Safety
/// Only in the cloned child, after `go`.
unsafe fn execute(shared: &Shared, lockdown: &Lockdown) -> Failure {
    // SAFETY: `exec` is leaked and was published before `go`; the rest are numbers and pointers
    // into this stack with the kernel's layouts.
    let failure: Result<(), Failure> = unsafe {
        let exec = &*shared.exec.load(Ordering::Acquire);
        (|| {
            call(Step::Directory, libc::SYS_chdir, [exec.cwd.as_ptr() as usize, 0, 0, 0])?;
            // Leaves the guard's table, and closes (not cloexec) all but the three slots before
            // the program can be asked about.
            let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
            let last = u32::MAX as usize;
            let own = FIRST_OWN_FD as usize;
            call(Step::Descriptors, libc::SYS_close_range, [own, last, unshare, 0])?;
            for (number, slot) in STDIO_SLOTS.iter().enumerate() {
                call(Step::Descriptors, libc::SYS_dup3, [*slot as usize, number, 0, 0])?;
            }
            call(Step::Descriptors, libc::SYS_close_range, [3, last, 0, 0])?;
            // Not earlier: in the guard's table the listener may be beyond the target's limit.
            set_limits(lockdown, |resource| resource == libc::RLIMIT_NOFILE)?;
            if exec.terminal {
                call(Step::Terminal, libc::SYS_ioctl, [0, libc::TIOCSCTTY as usize, 0, 0])?;
            }
            let none = 0u64;
            let mask = std::ptr::from_ref(&none) as usize;
            let set = libc::SIG_SETMASK as usize;
            call(Step::Signals, libc::SYS_rt_sigprocmask, [set, mask, 0, 8])?;
            let (path, argv, envp) = (exec.path.as_ptr(), exec.argv.as_ptr(), exec.envp.as_ptr());
            let words = [path as usize, argv as usize, envp as usize, 0];
            call(Step::Exec, libc::SYS_execve, words)?;
            Ok(())
        })()
    };
    match failure {
        Err(failure) => failure,
        Ok(()) => (Step::Exec, Errno::EIO as isize),
    }
}

/// # Safety
/// Only in the cloned child.
#[inline(always)]
unsafe fn set_limits(lockdown: &Lockdown, which: fn(u32) -> bool) -> Result<(), Failure> {
    for (resource, limit) in lockdown.limits.iter().filter(|(resource, _)| which(*resource)) {
        let limit = std::ptr::from_ref(limit) as usize;
        // SAFETY: numbers, and a pointer to a leaked structure.
        unsafe { call(Step::Limits, libc::SYS_prlimit64, [0, *resource as usize, limit, 0])? };
    }
    Ok(())
}

/// # Safety
/// As for the system call named.
#[inline(always)]
unsafe fn call(step: Step, nr: i64, args: [usize; 4]) -> Result<isize, Failure> {
    let [a, b, c, d] = args;
    // SAFETY: the caller's promise.
    let answer = unsafe { syscall5(nr, a, b, c, d, 0) };
    if answer < 0 { Err((step, -answer)) } else { Ok(answer) }
}
