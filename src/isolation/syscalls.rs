//! The table: every system call of x86_64 and aarch64, what becomes of it, and why.
//!
//! Everything else is derived from here: the filter the kernel runs ([`rule_set`]), what the guard
//! does when a call is handed to it ([`class_for_guard`]), and the reason a user is told. A call
//! that isn't listed doesn't exist as far as the sandbox is concerned (`ENOSYS`), so that a newer
//! kernel's calls aren't let through unread and programs fall back to older ones.
//!
//! Where a decision depends on arguments, only registers are looked at. What is behind a pointer
//! can be changed by another thread after it was checked; such calls go to the guard.
//!
//! Numbers: `asm/unistd_64.h` and `asm-generic/unistd.h` of Linux 6.18. Arguments: section 2 of the
//! [manual](https://man7.org/linux/man-pages/dir_section_2.html).

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{Action, Arch, Condition, Rule, RuleSet, SeccompCmpOp, SyscallRules};

/// What the table needs to know about a run.
///
/// The default is the tightest: no network, and no Landlock to rely on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// TCP is granted, to some hosts or all.
    pub tcp: bool,
    /// UDP is granted, to some hosts or all.
    pub udp: bool,
    /// The Landlock ABI in force. What an older one doesn't cover goes to the guard.
    pub landlock_abi: u32,
    /// Calls that a supervised run wants to see, by name. Wherever the table allows them, plainly
    /// or for some arguments, they go to the guard instead. Nothing is ever loosened.
    pub traps: BTreeSet<&'static str>,
    /// Files that are opened for reading are judged by the guard. `openat` in [`Profile::traps`]
    /// would be every open; these two go by its flags.
    pub judge_reading: bool,
    /// Files that are opened for writing, or made, are judged by the guard.
    pub judge_writing: bool,
}

/// What becomes of one call, arguments and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The kernel runs it.
    Allow,
    /// The guard answers with this errno and reports it in the run's list of refused calls.
    Refuse(u16),
    /// The kernel answers with this errno and nobody is told: programs probe for this call and
    /// fall back. 0 pretends success.
    Quiet(u16),
    /// The guard performs or judges it.
    Guard,
}

impl Outcome {
    /// What the filter tells the kernel.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Allow => Action::Allow,
            Self::Quiet(errno) => Action::Errno(errno),
            Self::Refuse(_) | Self::Guard => Action::Notify,
        }
    }
}

/// What becomes of a syscall.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// [`Outcome::Allow`].
    Allow,
    /// [`Outcome::Refuse`].
    Refuse(u16),
    /// [`Outcome::Quiet`].
    Quiet(u16),
    /// [`Outcome::Guard`].
    Guard,
    /// It depends on the run or on the arguments.
    Rules(fn(&Profile, Arch) -> SyscallRules<Outcome>),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// Its name, without `sys_`.
    pub name: &'static str,
    /// Its number on x86_64.
    pub x86_64: Option<u32>,
    /// Its number on aarch64.
    pub aarch64: Option<u32>,
    /// What becomes of it.
    pub class: Class,
    /// Why.
    pub reason: &'static str,
}

impl Syscall {
    /// Its number on an architecture.
    #[must_use]
    pub const fn number(&self, arch: Arch) -> Option<u32> {
        match arch {
            Arch::X86_64 => self.x86_64,
            Arch::Aarch64 => self.aarch64,
        }
    }

    /// What becomes of it in a run, for each argument.
    #[must_use]
    pub fn outcomes(&self, profile: &Profile, arch: Arch) -> SyscallRules<Outcome> {
        let rules = match self.class {
            Class::Allow => SyscallRules::plain(Outcome::Allow),
            Class::Refuse(errno) => SyscallRules::plain(Outcome::Refuse(errno)),
            Class::Quiet(errno) => SyscallRules::plain(Outcome::Quiet(errno)),
            Class::Guard => SyscallRules::plain(Outcome::Guard),
            Class::Rules(rules) => rules(profile, arch),
        };
        if profile.traps.contains(self.name) {
            rules.map(|outcome| match outcome {
                Outcome::Allow => Outcome::Guard,
                other => other,
            })
        } else {
            rules
        }
    }
}

/// What the guard is to do with a call it was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuardClass {
    /// Answer with this errno and report it.
    Refuse(u16),
    /// Perform or judge it.
    Guard,
}

/// What the kernel's filter is made of.
#[must_use]
pub fn rule_set(profile: &Profile, arch: Arch) -> RuleSet {
    let by_number: BTreeMap<u32, SyscallRules> = table()
        .iter()
        .filter_map(|syscall| {
            let rules = syscall.outcomes(profile, arch).map(Outcome::action);
            Some((syscall.number(arch)?, rules))
        })
        .collect();
    RuleSet { arch, by_number, default: UNKNOWN.action() }
}

/// What becomes of one call.
#[must_use]
pub fn outcome(profile: &Profile, arch: Arch, nr: u32, args: &[u64; 6]) -> Outcome {
    by_number(arch, nr).map_or(UNKNOWN, |syscall| syscall.outcomes(profile, arch).decide(args))
}

/// What the guard is to do with a call it was handed.
///
/// It goes by the same rules as the filter, so it is only ever asked about calls that are
/// [`Outcome::Refuse`] or [`Outcome::Guard`]. If it is asked about another one, filter and table
/// have come apart, and it refuses.
#[must_use]
pub fn class_for_guard(profile: &Profile, arch: Arch, nr: u32, args: &[u64; 6]) -> GuardClass {
    match outcome(profile, arch, nr, args) {
        Outcome::Guard => GuardClass::Guard,
        Outcome::Refuse(errno) => GuardClass::Refuse(errno),
        Outcome::Quiet(_) | Outcome::Allow => GuardClass::Refuse(ENOSYS),
    }
}

/// All syscalls we know, in no particular order.
#[must_use]
pub const fn table() -> &'static [Syscall] {
    TABLE
}

/// The line of a number.
#[must_use]
pub fn by_number(arch: Arch, nr: u32) -> Option<&'static Syscall> {
    let index = match arch {
        Arch::X86_64 => &X86_64_LINES,
        Arch::Aarch64 => &AARCH64_LINES,
    };
    let line = index.get(usize::try_from(nr).ok()?)?;
    TABLE.get(usize::from(*line))
}

/// The name of a number.
#[must_use]
pub fn name(arch: Arch, nr: u32) -> Option<&'static str> {
    by_number(arch, nr).map(|syscall| syscall.name)
}

/// The number of a name.
#[must_use]
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    let syscall = table().iter().find(|syscall| syscall.name == name)?;
    syscall.number(arch)
}

/// What becomes of a syscall that isn't in the table.
const UNKNOWN: Outcome = Outcome::Quiet(ENOSYS);

// Linux's numbers, whatever platform this is compiled for (asm-generic/errno.h).
const EPERM: u16 = 1;
const ENOENT: u16 = 2;
const EACCES: u16 = 13;
const EINVAL: u16 = 22;
const ENOTTY: u16 = 25;
const ENOSYS: u16 = 38;
const EPROTONOSUPPORT: u16 = 93;
const EOPNOTSUPP: u16 = 95;
const EAFNOSUPPORT: u16 = 97;

/// The first numbers of Landlock ABIs that bound something ([landlock(7)]).
///
/// [landlock(7)]: https://man7.org/linux/man-pages/man7/landlock.7.html
mod abi {
    /// `truncate`, and `open` with `O_TRUNC`.
    pub(super) const TRUNCATE: u32 = 3;
    /// Signals to processes outside.
    pub(super) const SIGNALS: u32 = 6;
}

macro_rules! number {
    (-) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! table {
    ($($name:ident $x86_64:tt $aarch64:tt $class:expr, $reason:literal;)*) => {
        &[$(Syscall {
            name: stringify!($name),
            x86_64: number!($x86_64),
            aarch64: number!($aarch64),
            class: $class,
            reason: $reason,
        }),*]
    };
}

use Class::{Allow, Guard, Quiet, Refuse, Rules};

// name, x86_64, aarch64, class, reason
const TABLE: &[Syscall] = table! {
    // Reading and writing what is open already.
    read 0 63 Allow, "an open file; the right was checked when it was opened";
    write 1 64 Allow, "an open file; RLIMIT_FSIZE bounds its size";
    readv 19 65 Allow, "as read";
    writev 20 66 Allow, "as write";
    pread64 17 67 Allow, "as read";
    pwrite64 18 68 Allow, "as write";
    preadv 295 69 Allow, "as read";
    pwritev 296 70 Allow, "as write";
    preadv2 327 286 Allow, "as read";
    pwritev2 328 287 Allow, "as write";
    lseek 8 62 Allow, "an open file";
    close 3 57 Allow, "an own descriptor";
    close_range 436 436 Allow, "own descriptors";
    dup 32 23 Allow, "an own descriptor";
    dup2 33 - Allow, "an own descriptor";
    dup3 292 24 Allow, "an own descriptor";
    pipe 22 - Allow, "stays within the sandbox";
    pipe2 293 59 Allow, "stays within the sandbox";
    sendfile 40 71 Allow, "between open files";
    splice 275 76 Allow, "between open files";
    tee 276 77 Allow, "between pipes";
    vmsplice 278 75 Quiet(ENOSYS), "one small page in a pipe keeps a whole huge page, which no process's size counts";
    copy_file_range 326 285 Allow, "between open files";
    fallocate 285 47 Rules(fallocate), "a file open for writing; RLIMIT_FSIZE bounds its size, but not KEEP_SIZE";
    ftruncate 77 46 Allow, "a file open for writing";
    fadvise64 221 223 Allow, "a hint";
    readahead 187 213 Allow, "a hint";
    flock 73 32 Allow, "a lock on an open file; it may hold up programs outside, as the threat model says";
    fsync 74 82 Allow, "an open file";
    fdatasync 75 83 Allow, "an open file";
    sync 162 81 Quiet(0), "would write out what every program of the machine has changed; fsync does for own files";
    syncfs 306 267 Quiet(0), "as sync";
    sync_file_range 277 84 Allow, "an open file";
    fcntl 72 25 Rules(fcntl), "all but leases, directory notices and, where Landlock doesn't scope signals, their targets";
    ioctl 16 29 Rules(ioctl), "a list; devices and file systems answer to thousands more";

    // Opening and creating. Landlock bounds the path.
    open 2 - Rules(open), "Landlock bounds it; no new setuid or setgid files";
    openat 257 56 Rules(openat), "Landlock bounds it; no new setuid or setgid files";
    creat 85 - Rules(creat), "Landlock bounds it; no new setuid or setgid files";
    openat2 437 437 Quiet(ENOSYS), "its mode is behind a pointer; callers fall back to openat";
    mkdir 83 - Allow, "Landlock bounds it; the kernel drops set-ID bits";
    mkdirat 258 34 Allow, "Landlock bounds it; the kernel drops set-ID bits";
    mknod 133 - Rules(mknod), "files, pipes and sockets, bounded by Landlock; no devices";
    mknodat 259 33 Rules(mknodat), "files, pipes and sockets, bounded by Landlock; no devices";
    truncate 76 45 Rules(truncate), "Landlock bounds it from ABI 3 on, before that the guard";
    name_to_handle_at 303 264 Refuse(EPERM), "file handles outlive the path they were granted by";
    open_by_handle_at 304 265 Refuse(EPERM), "opens files without a path";

    // Changing directories. Landlock bounds both ends.
    rename 82 - Allow, "Landlock bounds it";
    renameat 264 38 Allow, "Landlock bounds it";
    renameat2 316 276 Allow, "Landlock bounds it";
    link 86 - Allow, "Landlock bounds it";
    linkat 265 37 Allow, "Landlock bounds it";
    symlink 88 - Allow, "Landlock bounds it";
    symlinkat 266 36 Allow, "Landlock bounds it";
    unlink 87 - Allow, "Landlock bounds it";
    unlinkat 263 35 Allow, "Landlock bounds it";
    rmdir 84 - Allow, "Landlock bounds it";

    // Looking. Names and metadata aren't secret; contents are.
    stat 4 - Allow, "metadata only";
    lstat 6 - Allow, "metadata only";
    fstat 5 80 Allow, "metadata only";
    newfstatat 262 79 Allow, "metadata only";
    statx 332 291 Allow, "metadata only";
    access 21 - Allow, "metadata only";
    faccessat 269 48 Allow, "metadata only";
    faccessat2 439 439 Allow, "metadata only";
    readlink 89 - Allow, "metadata only";
    readlinkat 267 78 Allow, "metadata only";
    statfs 137 43 Allow, "metadata only";
    fstatfs 138 44 Allow, "metadata only";
    getxattr 191 8 Allow, "metadata only";
    lgetxattr 192 9 Allow, "metadata only";
    fgetxattr 193 10 Allow, "metadata only";
    getxattrat 464 464 Allow, "metadata only";
    listxattr 194 11 Allow, "metadata only";
    llistxattr 195 12 Allow, "metadata only";
    flistxattr 196 13 Allow, "metadata only";
    listxattrat 465 465 Allow, "metadata only";
    file_getattr 468 468 Allow, "metadata only";
    getdents 78 - Allow, "an open directory; Landlock bounded its opening";
    getdents64 217 61 Allow, "an open directory; Landlock bounded its opening";
    getcwd 79 17 Allow, "its own";
    chdir 80 49 Allow, "opens nothing; every path is checked when it is used";
    fchdir 81 50 Allow, "opens nothing; every path is checked when it is used";
    umask 95 166 Allow, "its own";
    ustat 136 - Quiet(ENOSYS), "obsolete; statfs replaced it";
    sysfs 139 - Quiet(ENOSYS), "obsolete; lists the kernel's file systems";
    cachestat 451 451 Quiet(ENOSYS), "tells what others have read; a hint for databases";
    lookup_dcookie 212 18 Refuse(EPERM), "profilers only; turns cookies into host paths";

    // Changing metadata. Landlock doesn't bound it, the guard does.
    chmod 90 - Guard, "Landlock doesn't bound metadata; only below writable grants";
    fchmod 91 52 Guard, "as chmod; a descriptor from a read-only grant would do";
    fchmodat 268 53 Guard, "as chmod";
    fchmodat2 452 452 Guard, "as chmod";
    chown 92 - Guard, "Landlock doesn't bound metadata; only below writable grants";
    lchown 94 - Guard, "as chown";
    fchown 93 55 Guard, "as chown";
    fchownat 260 54 Guard, "as chown";
    utime 132 - Guard, "Landlock doesn't bound metadata; only below writable grants";
    utimes 235 - Guard, "as utime";
    futimesat 261 - Guard, "as utime";
    utimensat 280 88 Guard, "as utime";
    setxattr 188 5 Guard, "Landlock doesn't bound metadata; only below writable grants";
    lsetxattr 189 6 Guard, "as setxattr";
    fsetxattr 190 7 Guard, "as setxattr";
    removexattr 197 14 Guard, "as setxattr";
    lremovexattr 198 15 Guard, "as setxattr";
    fremovexattr 199 16 Guard, "as setxattr";
    setxattrat 463 463 Quiet(ENOSYS), "callers fall back to setxattr";
    removexattrat 466 466 Quiet(ENOSYS), "callers fall back to removexattr";
    file_setattr 469 469 Quiet(ENOSYS), "inode flags such as immutable; few callers";

    // Watching the file system.
    inotify_init 253 - Quiet(ENOSYS), "would watch directories outside the grants";
    inotify_init1 294 26 Quiet(ENOSYS), "would watch directories outside the grants";
    inotify_add_watch 254 27 Quiet(ENOSYS), "would watch directories outside the grants";
    inotify_rm_watch 255 28 Quiet(ENOSYS), "as inotify_init";
    fanotify_init 300 262 Quiet(ENOSYS), "would watch directories outside the grants";
    fanotify_mark 301 263 Quiet(ENOSYS), "would watch directories outside the grants";

    // Waiting for descriptors.
    poll 7 - Allow, "own descriptors";
    ppoll 271 73 Allow, "own descriptors";
    select 23 - Allow, "own descriptors";
    pselect6 270 72 Allow, "own descriptors";
    epoll_create 213 - Allow, "own descriptors";
    epoll_create1 291 20 Allow, "own descriptors";
    epoll_ctl 233 21 Allow, "own descriptors";
    epoll_wait 232 - Allow, "own descriptors";
    epoll_pwait 281 22 Allow, "own descriptors";
    epoll_pwait2 441 441 Allow, "own descriptors";
    eventfd 284 - Allow, "stays within the sandbox";
    eventfd2 290 19 Allow, "stays within the sandbox";
    signalfd 282 - Allow, "own signals";
    signalfd4 289 74 Allow, "own signals";
    timerfd_create 283 85 Allow, "own timers";
    timerfd_settime 286 86 Allow, "own timers";
    timerfd_gettime 287 87 Allow, "own timers";

    // Asynchronous input and output does its work where no filter sees it.
    io_uring_setup 425 425 Quiet(ENOSYS), "its operations pass no filter; callers fall back";
    io_uring_enter 426 426 Quiet(ENOSYS), "its operations pass no filter; callers fall back";
    io_uring_register 427 427 Quiet(ENOSYS), "its operations pass no filter; callers fall back";
    io_setup 206 0 Quiet(ENOSYS), "writes to memory behind the guard's back; callers fall back";
    io_destroy 207 1 Quiet(ENOSYS), "as io_setup";
    io_submit 209 2 Quiet(ENOSYS), "as io_setup";
    io_cancel 210 3 Quiet(ENOSYS), "as io_setup";
    io_getevents 208 4 Quiet(ENOSYS), "as io_setup";
    io_pgetevents 333 292 Quiet(ENOSYS), "as io_setup";

    // Memory.
    mmap 9 222 Allow, "own memory, bounded by the run's limits";
    munmap 11 215 Allow, "own memory";
    mprotect 10 226 Allow, "own memory";
    mremap 25 216 Allow, "own memory, bounded by the run's limits";
    brk 12 214 Allow, "own memory, bounded by the run's limits";
    msync 26 227 Allow, "own mappings";
    mincore 27 232 Allow, "own mappings";
    madvise 28 233 Allow, "own memory";
    mlock 149 228 Allow, "RLIMIT_MEMLOCK bounds it";
    mlock2 325 284 Allow, "RLIMIT_MEMLOCK bounds it";
    munlock 150 229 Allow, "own memory";
    mlockall 151 230 Allow, "RLIMIT_MEMLOCK bounds it";
    munlockall 152 231 Allow, "own memory";
    mseal 462 462 Allow, "own memory";
    pkey_alloc 330 289 Allow, "own memory";
    pkey_free 331 290 Allow, "own memory";
    pkey_mprotect 329 288 Allow, "own memory";
    map_shadow_stack 453 453 Allow, "own memory; a hardening";
    mbind 237 235 Allow, "own memory";
    set_mempolicy 238 237 Allow, "own memory";
    get_mempolicy 239 236 Allow, "own memory";
    set_mempolicy_home_node 450 450 Allow, "own memory";
    membarrier 324 283 Allow, "own threads";
    migrate_pages 256 238 Refuse(EPERM), "moves another process's memory";
    move_pages 279 239 Refuse(EPERM), "moves another process's memory";
    remap_file_pages 216 234 Quiet(ENOSYS), "obsolete; mmap replaced it";
    memfd_create 319 279 Quiet(ENOSYS), "memory that no process's size counts; callers fall back to files";
    memfd_secret 447 447 Quiet(ENOSYS), "memory that can't be inspected";
    userfaultfd 323 282 Quiet(ENOSYS), "stalls whoever reads the memory, the guard too";
    process_madvise 440 440 Refuse(EPERM), "another process's memory";
    process_mrelease 448 448 Refuse(EPERM), "another process's memory";
    process_vm_readv 310 270 Refuse(EPERM), "another process's memory";
    process_vm_writev 311 271 Refuse(EPERM), "another process's memory; changes arguments under the guard";

    // System V and POSIX message queues, semaphores and shared memory belong to nobody's tree.
    shmget 29 194 Quiet(ENOSYS), "reaches segments outside the sandbox and outlives it";
    shmat 30 196 Quiet(ENOSYS), "as shmget";
    shmdt 67 197 Quiet(ENOSYS), "as shmget";
    shmctl 31 195 Quiet(ENOSYS), "as shmget";
    semget 64 190 Quiet(ENOSYS), "reaches semaphores outside the sandbox and outlives it";
    semop 65 193 Quiet(ENOSYS), "as semget";
    semtimedop 220 192 Quiet(ENOSYS), "as semget";
    semctl 66 191 Quiet(ENOSYS), "as semget";
    msgget 68 186 Quiet(ENOSYS), "reaches queues outside the sandbox and outlives it";
    msgsnd 69 189 Quiet(ENOSYS), "as msgget";
    msgrcv 70 188 Quiet(ENOSYS), "as msgget";
    msgctl 71 187 Quiet(ENOSYS), "as msgget";
    mq_open 240 180 Quiet(ENOSYS), "reaches queues outside the sandbox and outlives it";
    mq_unlink 241 181 Quiet(ENOSYS), "as mq_open";
    mq_timedsend 242 182 Quiet(ENOSYS), "as mq_open";
    mq_timedreceive 243 183 Quiet(ENOSYS), "as mq_open";
    mq_notify 244 184 Quiet(ENOSYS), "as mq_open";
    mq_getsetattr 245 185 Quiet(ENOSYS), "as mq_open";

    // Tasks.
    fork 57 - Guard, "counted against the run's limit of tasks";
    vfork 58 - Guard, "counted against the run's limit of tasks";
    clone 56 220 Rules(clone), "counted; no namespaces, no child that is someone else's or that nobody is told of";
    clone3 435 435 Quiet(ENOSYS), "its flags are behind a pointer; callers fall back to clone";
    execve 59 221 Allow, "the filter and Landlock stay on";
    execveat 322 281 Allow, "the filter and Landlock stay on";
    exit 60 93 Allow, "its own";
    exit_group 231 94 Allow, "its own";
    wait4 61 260 Allow, "own children";
    waitid 247 95 Allow, "own children";
    set_tid_address 218 96 Allow, "its own";
    set_robust_list 273 99 Allow, "its own";
    get_robust_list 274 100 Allow, "asks for the right to inspect";
    rseq 334 293 Allow, "its own";
    arch_prctl 158 - Allow, "own registers";
    prctl 157 167 Rules(prctl), "a list of what concerns only the caller and loosens nothing";
    personality 135 92 Rules(personality), "the ordinary one, and asking which it is";
    pidfd_open 434 434 Allow, "a handle; what is done with it is checked";
    pidfd_getfd 438 438 Refuse(EPERM), "another process's descriptors";
    ptrace 101 117 Refuse(EPERM), "rewrites another process, and its calls after they were checked";
    kcmp 312 272 Refuse(EPERM), "tells kernel addresses apart";
    getpid 39 172 Allow, "information";
    getppid 110 173 Allow, "information";
    gettid 186 178 Allow, "information";
    getpgid 121 155 Allow, "information";
    getpgrp 111 - Allow, "information";
    getsid 124 156 Allow, "information";
    setpgid 109 154 Allow, "own children";
    setsid 112 157 Allow, "the run is ended by its domain, not by its session";

    // Signals.
    rt_sigaction 13 134 Rules(rt_sigaction), "its own; the guard makes SIGCHLD handlers restart calls, see there";
    rt_sigprocmask 14 135 Allow, "own signals";
    rt_sigreturn 15 139 Allow, "own signals";
    rt_sigpending 127 136 Allow, "own signals";
    rt_sigtimedwait 128 137 Allow, "own signals";
    rt_sigsuspend 130 133 Allow, "own signals";
    sigaltstack 131 132 Allow, "own signals";
    pause 34 - Allow, "own signals";
    restart_syscall 219 128 Allow, "goes on with a call that was checked";
    kill 62 129 Rules(signal), "Landlock scopes it from ABI 6 on, before that the guard";
    tkill 200 130 Rules(signal), "as kill";
    tgkill 234 131 Rules(signal), "as kill";
    rt_sigqueueinfo 129 138 Rules(signal), "as kill";
    rt_tgsigqueueinfo 297 240 Rules(signal), "as kill";
    pidfd_send_signal 424 424 Rules(signal), "as kill";

    // Time.
    nanosleep 35 101 Allow, "its own";
    clock_nanosleep 230 115 Allow, "its own";
    clock_gettime 228 113 Allow, "information";
    clock_getres 229 114 Allow, "information";
    gettimeofday 96 169 Allow, "information";
    time 201 - Allow, "information";
    times 100 153 Allow, "information";
    alarm 37 - Allow, "own timers";
    getitimer 36 102 Allow, "own timers";
    setitimer 38 103 Allow, "own timers";
    timer_create 222 107 Allow, "own timers";
    timer_settime 223 110 Allow, "own timers";
    timer_gettime 224 108 Allow, "own timers";
    timer_getoverrun 225 109 Allow, "own timers";
    timer_delete 226 111 Allow, "own timers";
    settimeofday 164 170 Refuse(EPERM), "the machine's clock";
    clock_settime 227 112 Refuse(EPERM), "the machine's clock";
    adjtimex 159 171 Refuse(EPERM), "the machine's clock";
    clock_adjtime 305 266 Refuse(EPERM), "the machine's clock";

    // Threads waiting for each other.
    futex 202 98 Allow, "own memory";
    futex_waitv 449 449 Allow, "own memory";
    futex_wake 454 454 Allow, "own memory";
    futex_wait 455 455 Allow, "own memory";
    futex_requeue 456 456 Allow, "own memory";

    // Scheduling.
    sched_yield 24 124 Allow, "its own";
    sched_getaffinity 204 123 Allow, "information";
    sched_getparam 143 121 Allow, "information";
    sched_getscheduler 145 120 Allow, "information";
    sched_getattr 315 275 Allow, "information";
    sched_get_priority_max 146 125 Allow, "information";
    sched_get_priority_min 147 126 Allow, "information";
    sched_rr_get_interval 148 127 Allow, "information";
    sched_setaffinity 203 122 Rules(own_pid), "its own threads only; Landlock doesn't keep other processes out";
    sched_setparam 142 118 Rules(own_pid), "its own only; Landlock doesn't keep other processes out";
    sched_setscheduler 144 119 Rules(sched_setscheduler), "its own only; an idle one would keep the guard waiting, so that is pretended";
    sched_setattr 314 274 Refuse(EPERM), "its policy is behind a pointer";
    getpriority 140 141 Allow, "information";
    setpriority 141 140 Rules(setpriority), "its own only; Landlock doesn't keep other processes out";
    ioprio_get 252 31 Allow, "information";
    ioprio_set 251 30 Rules(ioprio_set), "its own only; Landlock doesn't keep other processes out";
    getcpu 309 168 Allow, "information";

    // Limits and accounting.
    getrlimit 97 163 Allow, "information";
    setrlimit 160 164 Rules(setrlimit), "its own; hard limits only go down, and that on core files stays, or the host's crash handler is run";
    prlimit64 302 261 Rules(prlimit64), "its own only; it would cripple other processes of the user; core files as setrlimit";
    getrusage 98 165 Allow, "information";
    sysinfo 99 179 Allow, "information";
    uname 63 160 Allow, "information";
    acct 163 89 Refuse(EPERM), "the machine's accounting";
    quotactl 179 60 Refuse(EPERM), "the machine's quotas";
    quotactl_fd 443 443 Quiet(ENOSYS), "the machine's quotas";

    // Users and capabilities. There are no capabilities left, so the kernel decides.
    getuid 102 174 Allow, "information";
    geteuid 107 175 Allow, "information";
    getgid 104 176 Allow, "information";
    getegid 108 177 Allow, "information";
    getresuid 118 148 Allow, "information";
    getresgid 120 150 Allow, "information";
    getgroups 115 158 Allow, "information";
    setuid 105 146 Allow, "without capabilities only to itself";
    setgid 106 144 Allow, "without capabilities only to itself";
    setreuid 113 145 Allow, "without capabilities only to itself";
    setregid 114 143 Allow, "without capabilities only to itself";
    setresuid 117 147 Allow, "without capabilities only to itself";
    setresgid 119 149 Allow, "without capabilities only to itself";
    setfsuid 122 151 Allow, "without capabilities only to itself";
    setfsgid 123 152 Allow, "without capabilities only to itself";
    setgroups 116 159 Refuse(EPERM), "needs a capability, and dropping groups may gain access";
    capget 125 90 Allow, "information";
    capset 126 91 Allow, "there are none to gain";

    // Further confinement.
    landlock_create_ruleset 444 444 Allow, "only ever confines further";
    landlock_add_rule 445 445 Allow, "only ever confines further";
    landlock_restrict_self 446 446 Allow, "only ever confines further";
    seccomp 317 277 Refuse(EINVAL), "a filter on top would answer before the guard is asked";
    lsm_get_self_attr 459 459 Quiet(ENOSYS), "few callers";
    lsm_set_self_attr 460 460 Quiet(ENOSYS), "few callers";
    lsm_list_modules 461 461 Quiet(ENOSYS), "few callers";

    // Sockets.
    socket 41 198 Rules(socket), "unix streams; TCP and UDP as granted; nothing else, since Landlock bounds nothing else";
    socketpair 53 199 Rules(socketpair), "streams; a datagram socket could send to any unix socket";
    connect 42 203 Guard, "Landlock doesn't bound unix paths, nor hosts";
    bind 49 200 Guard, "Landlock bounds paths and ports, not addresses or abstract names; and the guard learns which sockets are the sandbox's own";
    listen 50 201 Rules(listen), "an unbound TCP socket would take a port past Landlock";
    accept 43 202 Allow, "a socket it listens on";
    accept4 288 242 Allow, "a socket it listens on";
    getsockname 51 204 Allow, "own sockets";
    getpeername 52 205 Allow, "own sockets";
    getsockopt 55 209 Allow, "own sockets";
    setsockopt 54 208 Rules(setsockopt), "all but programs for the kernel, protocols on top, and larger buffers";
    shutdown 48 210 Allow, "own sockets";
    sendto 44 206 Rules(sendto), "connected sockets; no fast open, and where UDP is granted the guard sees the address";
    sendmsg 46 211 Rules(sendmsg), "connected sockets; no fast open, and where UDP is granted the guard sees the address";
    sendmmsg 307 269 Rules(sendmmsg), "connected sockets; no fast open, and where UDP is granted the guard sees the address";
    recvfrom 45 207 Allow, "own sockets";
    recvmsg 47 212 Allow, "own sockets";
    recvmmsg 299 243 Allow, "own sockets";

    // Randomness.
    getrandom 318 278 Allow, "information";

    // Namespaces and mounts.
    unshare 272 97 Refuse(EPERM), "namespaces bring capabilities";
    setns 308 268 Refuse(EPERM), "another namespace";
    mount 165 40 Refuse(EPERM), "changes what paths mean";
    umount2 166 39 Refuse(EPERM), "changes what paths mean";
    pivot_root 155 41 Refuse(EPERM), "changes what paths mean";
    chroot 161 51 Refuse(EPERM), "changes what paths mean";
    fsopen 430 430 Refuse(EPERM), "changes what paths mean";
    fsconfig 431 431 Refuse(EPERM), "changes what paths mean";
    fsmount 432 432 Refuse(EPERM), "changes what paths mean";
    fspick 433 433 Refuse(EPERM), "changes what paths mean";
    open_tree 428 428 Refuse(EPERM), "changes what paths mean";
    open_tree_attr 467 467 Refuse(EPERM), "changes what paths mean";
    move_mount 429 429 Refuse(EPERM), "changes what paths mean";
    mount_setattr 442 442 Refuse(EPERM), "changes what paths mean";
    statmount 457 457 Quiet(ENOSYS), "the host's mounts; callers read mountinfo";
    listmount 458 458 Quiet(ENOSYS), "the host's mounts; callers read mountinfo";

    // The machine.
    bpf 321 280 Refuse(EPERM), "programs for the kernel";
    perf_event_open 298 241 Refuse(EPERM), "observes other processes and the kernel";
    add_key 248 217 Refuse(EPERM), "keyrings are the user's, not the sandbox's";
    request_key 249 218 Refuse(EPERM), "keyrings are the user's, not the sandbox's";
    keyctl 250 219 Refuse(EPERM), "keyrings are the user's, not the sandbox's";
    syslog 103 116 Refuse(EPERM), "the kernel's log";
    sethostname 170 161 Refuse(EPERM), "the machine's name";
    setdomainname 171 162 Refuse(EPERM), "the machine's name";
    vhangup 153 58 Refuse(EPERM), "the user's terminal";
    swapon 167 224 Refuse(EPERM), "the machine's memory";
    swapoff 168 225 Refuse(EPERM), "the machine's memory";
    reboot 169 142 Refuse(EPERM), "the machine";
    kexec_load 246 104 Refuse(EPERM), "another kernel";
    kexec_file_load 320 294 Refuse(EPERM), "another kernel";
    init_module 175 105 Refuse(EPERM), "code for the kernel";
    finit_module 313 273 Refuse(EPERM), "code for the kernel";
    delete_module 176 106 Refuse(EPERM), "code for the kernel";
    iopl 172 - Refuse(EPERM), "hardware";
    ioperm 173 - Refuse(EPERM), "hardware";
    nfsservctl 180 42 Refuse(EPERM), "the machine's file server";
    uselib 134 - Refuse(EPERM), "obsolete; loads a library past mmap";
    _sysctl 156 - Refuse(EPERM), "the machine's settings";
    modify_ldt 154 - Quiet(ENOSYS), "16-bit programs only";
    uretprobe 335 - Quiet(ENOSYS), "only the kernel's own trampoline calls it";

    // Reserved numbers without a call behind them.
    set_thread_area 205 - Quiet(ENOSYS), "32-bit programs only";
    get_thread_area 211 - Quiet(ENOSYS), "32-bit programs only";
    create_module 174 - Quiet(ENOSYS), "gone from the kernel";
    get_kernel_syms 177 - Quiet(ENOSYS), "gone from the kernel";
    query_module 178 - Quiet(ENOSYS), "gone from the kernel";
    getpmsg 181 - Quiet(ENOSYS), "never was in the kernel";
    putpmsg 182 - Quiet(ENOSYS), "never was in the kernel";
    afs_syscall 183 - Quiet(ENOSYS), "never was in the kernel";
    tuxcall 184 - Quiet(ENOSYS), "never was in the kernel";
    security 185 - Quiet(ENOSYS), "never was in the kernel";
    vserver 236 - Quiet(ENOSYS), "never was in the kernel";
    epoll_ctl_old 214 - Quiet(ENOSYS), "never was in the kernel";
    epoll_wait_old 215 - Quiet(ENOSYS), "never was in the kernel";
};

/// One more than the largest number in the table.
const NUMBERS: usize = 470;

/// Where each number's line is; numbers without one are beyond the table's end.
static X86_64_LINES: [u16; NUMBERS] = lines(Arch::X86_64);
static AARCH64_LINES: [u16; NUMBERS] = lines(Arch::Aarch64);

/// Evaluated by the compiler, which is also what makes a number beyond `NUMBERS` or one given
/// twice an error.
const fn lines(arch: Arch) -> [u16; NUMBERS] {
    let mut lines = [u16::MAX; NUMBERS];
    let mut line = 0;
    while line < TABLE.len() {
        if let Some(number) = TABLE[line].number(arch) {
            assert!(lines[number as usize] == u16::MAX);
            lines[number as usize] = line as u16;
        }
        line += 1;
    }
    lines
}

// Below, rules are read top to bottom and the first that matches decides. C's `int` arguments are
// compared as double words, since the kernel ignores the upper half of their registers.

fn when<const N: usize>(all_of: [Condition; N], action: Outcome) -> Rule<Outcome> {
    Rule { all_of: all_of.into(), action }
}

fn decide(rules: impl Into<Vec<Rule<Outcome>>>, otherwise: Outcome) -> SyscallRules<Outcome> {
    SyscallRules { rules: rules.into(), otherwise }
}

const fn is(arg: u8, value: u32) -> Condition {
    Condition::dword(arg, SeccompCmpOp::Eq, value as u64)
}

const fn isnt(arg: u8, value: u32) -> Condition {
    Condition::dword(arg, SeccompCmpOp::Ne, value as u64)
}

/// Those bits of the argument that `mask` picks are exactly these.
const fn bits(arg: u8, mask: u32, value: u32) -> Condition {
    Condition::dword(arg, SeccompCmpOp::MaskedEq(mask as u64), value as u64)
}

/// None of these bits is set.
const fn none_of(arg: u8, mask: u32) -> Condition {
    bits(arg, mask, 0)
}

/// One rule for each value, or for three and more in a row.
fn one_of(arg: u8, values: &[u32], outcome: Outcome) -> Vec<Rule<Outcome>> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let rows = sorted.chunk_by(|&one, &next| one.checked_add(1) == Some(next));
    let rules = rows.flat_map(|row| match row {
        &[first, _, .., last] => vec![when(
            [
                Condition::dword(arg, SeccompCmpOp::Ge, first.into()),
                Condition::dword(arg, SeccompCmpOp::Le, last.into()),
            ],
            outcome,
        )],
        few => few.iter().map(|&value| when([is(arg, value)], outcome)).collect(),
    });
    rules.collect()
}

const ALLOW: Outcome = Outcome::Allow;
const GUARD: Outcome = Outcome::Guard;

const fn refuse(errno: u16) -> Outcome {
    Outcome::Refuse(errno)
}

const fn quiet(errno: u16) -> Outcome {
    Outcome::Quiet(errno)
}

// Files.

const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;
/// The bit of `O_TMPFILE` that isn't `O_DIRECTORY`; the latter differs between architectures.
const __O_TMPFILE: u32 = 0o20_000_000;
const S_ISUID_S_ISGID: u32 = 0o6000;

fn open(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    opening(profile, 1, 2)
}

fn openat(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    opening(profile, 2, 3)
}

/// The mode counts only where a file may be created.
fn opening(profile: &Profile, flags: u8, mode: u8) -> SyscallRules<Outcome> {
    const CREATING: u32 = O_CREAT | __O_TMPFILE;
    let ordinary = none_of(mode, S_ISUID_S_ISGID);
    let rules = if profile.landlock_abi >= abi::TRUNCATE {
        vec![when([none_of(flags, CREATING)], ALLOW), when([ordinary], ALLOW)]
    } else {
        vec![
            when([none_of(flags, CREATING | O_TRUNC)], ALLOW),
            when([none_of(flags, CREATING)], GUARD),
            when([ordinary.clone(), none_of(flags, O_TRUNC)], ALLOW),
            when([ordinary], GUARD),
        ]
    };
    decide(judged(profile, flags, rules), refuse(EPERM))
}

/// Rules with what a policy wants to see taken out of what is allowed.
fn judged(profile: &Profile, flags: u8, rules: Vec<Rule<Outcome>>) -> Vec<Rule<Outcome>> {
    const O_PATH: u32 = 0o10_000_000;
    const O_ACCMODE: u32 = 3;
    let access = |mode| bits(flags, O_ACCMODE, mode);
    let mut seen = Vec::new();
    if profile.judge_reading {
        seen.extend([access(0), access(2), access(3)]);
    }
    if profile.judge_writing {
        seen.extend([access(1), access(2), access(3)]);
        seen.extend([O_CREAT, O_TRUNC, __O_TMPFILE].map(|flag| bits(flags, flag, flag)));
    }
    if seen.is_empty() {
        return rules;
    }
    // Nothing is opened with O_PATH, and its other flags don't count.
    let mut split = vec![when([bits(flags, O_PATH, O_PATH)], ALLOW)];
    for rule in rules {
        if rule.action == ALLOW {
            for condition in &seen {
                let mut all_of = rule.all_of.clone();
                all_of.push(condition.clone());
                split.push(Rule { all_of, action: GUARD });
            }
        }
        split.push(rule);
    }
    split
}

fn creat(profile: &Profile, arch: Arch) -> SyscallRules<Outcome> {
    let allowed = truncate(profile, arch).otherwise;
    decide([when([none_of(1, S_ISUID_S_ISGID)], allowed)], refuse(EPERM))
}

fn truncate(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    SyscallRules::plain(if profile.landlock_abi >= abi::TRUNCATE { ALLOW } else { GUARD })
}

fn fallocate(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    // With KEEP_SIZE blocks are taken beyond RLIMIT_FSIZE; a hole takes none.
    const KEEP_SIZE: u32 = 1;
    const PUNCH_HOLE: u32 = 2;
    let keeps = bits(1, KEEP_SIZE | PUNCH_HOLE, KEEP_SIZE);
    decide([when([keeps], quiet(EOPNOTSUPP))], ALLOW)
}

fn mknod(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    making_node(1)
}

fn mknodat(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    making_node(2)
}

fn making_node(mode: u8) -> SyscallRules<Outcome> {
    const S_IFMT: u32 = 0o170_000;
    const S_IFREG: u32 = 0o100_000;
    const S_IFIFO: u32 = 0o010_000;
    const S_IFSOCK: u32 = 0o140_000;
    // No type means a regular file.
    let types = [0, S_IFREG, S_IFIFO, S_IFSOCK];
    let allowed = types.map(|kind| when([bits(mode, S_IFMT | S_ISUID_S_ISGID, kind)], ALLOW));
    decide(allowed, refuse(EPERM))
}

fn fcntl(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const F_SETOWN: u32 = 8;
    const F_SETSIG: u32 = 10;
    const F_SETOWN_EX: u32 = 15;
    const F_SETLEASE: u32 = 1024;
    const F_NOTIFY: u32 = 1026;
    const F_SETPIPE_SZ: u32 = 1031;
    const F_SETDELEG: u32 = 1040;
    // Whoever opens a leased file waits for the holder, the guard and the host too.
    let mut rules = one_of(1, &[F_SETLEASE, F_NOTIFY, F_SETDELEG], refuse(EACCES));
    rules.push(when([is(1, F_SETPIPE_SZ)], quiet(EPERM)));
    if profile.landlock_abi < abi::SIGNALS {
        rules.extend(one_of(1, &[F_SETOWN, F_SETSIG, F_SETOWN_EX], refuse(EPERM)));
    }
    decide(rules, ALLOW)
}

fn ioctl(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    // asm-generic/ioctls.h, linux/sockios.h, linux/fs.h; the same on both architectures.
    const ALLOWED: &[u32] = &[
        0x5401,      // TCGETS
        0x5402,      // TCSETS
        0x5403,      // TCSETSW
        0x5404,      // TCSETSF
        0x5409,      // TCSBRK
        0x540a,      // TCXONC
        0x540b,      // TCFLSH
        0x540c,      // TIOCEXCL
        0x540d,      // TIOCNXCL
        0x540e,      // TIOCSCTTY
        0x540f,      // TIOCGPGRP
        0x5410,      // TIOCSPGRP
        0x5411,      // TIOCOUTQ
        0x5413,      // TIOCGWINSZ
        0x5414,      // TIOCSWINSZ
        0x541b,      // FIONREAD
        0x5420,      // TIOCPKT
        0x5421,      // FIONBIO
        0x5422,      // TIOCNOTTY
        0x5425,      // TCSBRKP
        0x5429,      // TIOCGSID
        0x802c_542a, // TCGETS2
        0x402c_542b, // TCSETS2
        0x402c_542c, // TCSETSW2
        0x402c_542d, // TCSETSF2
        0x8004_5430, // TIOCGPTN
        0x4004_5431, // TIOCSPTLCK
        0x8004_5438, // TIOCGPKT
        0x8004_5439, // TIOCGPTLCK
        0x8004_5440, // TIOCGEXCL
        0x5441,      // TIOCGPTPEER
        0x5450,      // FIONCLEX
        0x5451,      // FIOCLEX
        0x8905,      // SIOCATMARK
        0x0002,      // FIGETBSZ
        0x8008_6601, // FS_IOC_GETFLAGS
        0x801c_581f, // FS_IOC_FSGETXATTR
        0xc020_660b, // FS_IOC_FIEMAP
        0x4004_9409, // FICLONE
        0x4020_940d, // FICLONERANGE
        0xc018_9436, // FIDEDUPERANGE
    ];
    // It asks for SIGIO, which goes where F_SETOWN says.
    const FIOASYNC: u32 = 0x5452;
    // What getifaddrs and its like look at.
    const INTERFACES: &[u32] = &[
        0x8910, // SIOCGIFNAME
        0x8912, // SIOCGIFCONF
        0x8913, // SIOCGIFFLAGS
        0x8915, // SIOCGIFADDR
        0x8917, // SIOCGIFDSTADDR
        0x8919, // SIOCGIFBRDADDR
        0x891b, // SIOCGIFNETMASK
        0x891d, // SIOCGIFMETRIC
        0x8921, // SIOCGIFMTU
        0x8927, // SIOCGIFHWADDR
        0x8933, // SIOCGIFINDEX
    ];
    const REFUSED: &[u32] = &[
        0x5412,      // TIOCSTI types into the terminal
        0x541c,      // TIOCLINUX pastes into it
        0x5423,      // TIOCSETD loads line disciplines
        0x4008_6602, // FS_IOC_SETFLAGS
        0x401c_5820, // FS_IOC_FSSETXATTR
    ];
    let mut allowed = ALLOWED.to_vec();
    if profile.landlock_abi >= abi::SIGNALS {
        allowed.push(FIOASYNC);
    }
    if profile.tcp || profile.udp {
        allowed.extend(INTERFACES);
    }
    let mut rules = one_of(1, &allowed, ALLOW);
    rules.extend(one_of(1, REFUSED, refuse(EPERM)));
    decide(rules, quiet(ENOTTY))
}

// Tasks.

fn clone(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const CLONE_NEWNS: u32 = 0x0002_0000;
    const CLONE_NEWCGROUP: u32 = 0x0200_0000;
    const CLONE_NEWUTS: u32 = 0x0400_0000;
    const CLONE_NEWIPC: u32 = 0x0800_0000;
    const CLONE_NEWUSER: u32 = 0x1000_0000;
    const CLONE_NEWPID: u32 = 0x2000_0000;
    const CLONE_NEWNET: u32 = 0x4000_0000;
    const CLONE_PTRACE: u32 = 0x0000_2000;
    const CLONE_PARENT: u32 = 0x0000_8000;
    const CLONE_UNTRACED: u32 = 0x0080_0000;
    const NAMESPACES: u32 = CLONE_NEWNS
        | CLONE_NEWCGROUP
        | CLONE_NEWUTS
        | CLONE_NEWIPC
        | CLONE_NEWUSER
        | CLONE_NEWPID
        | CLONE_NEWNET;
    const REFUSED: u32 = NAMESPACES | CLONE_PTRACE | CLONE_PARENT | CLONE_UNTRACED;
    /// The signal the parent gets at the end, in the low byte of the flags.
    const CSIGNAL: u32 = 0xff;
    const SIGCHLD: u32 = 17;
    // CLONE_NEWTIME is in that byte, too, so clone can't make a time namespace.
    let clean = none_of(0, REFUSED);
    let rules = [
        when([clean.clone(), bits(0, CSIGNAL, 0)], GUARD),
        when([clean.clone(), bits(0, CSIGNAL, SIGCHLD)], GUARD),
        when([clean], refuse(EINVAL)),
    ];
    decide(rules, refuse(EPERM))
}

fn signal(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    SyscallRules::plain(if profile.landlock_abi >= abi::SIGNALS { ALLOW } else { GUARD })
}

fn prctl(_: &Profile, arch: Arch) -> SyscallRules<Outcome> {
    // linux/prctl.h
    const ALLOWED: &[u32] = &[
        1,           // PR_SET_PDEATHSIG
        2,           // PR_GET_PDEATHSIG
        3,           // PR_GET_DUMPABLE
        7,           // PR_GET_KEEPCAPS
        15,          // PR_SET_NAME
        16,          // PR_GET_NAME
        21,          // PR_GET_SECCOMP
        23,          // PR_CAPBSET_READ
        25,          // PR_GET_TSC
        27,          // PR_GET_SECUREBITS
        29,          // PR_SET_TIMERSLACK
        30,          // PR_GET_TIMERSLACK
        34,          // PR_MCE_KILL_GET
        36,          // PR_SET_CHILD_SUBREAPER
        37,          // PR_GET_CHILD_SUBREAPER
        38,          // PR_SET_NO_NEW_PRIVS
        39,          // PR_GET_NO_NEW_PRIVS
        40,          // PR_GET_TID_ADDRESS
        41,          // PR_SET_THP_DISABLE
        42,          // PR_GET_THP_DISABLE
        52,          // PR_GET_SPECULATION_CTRL
        53,          // PR_SET_SPECULATION_CTRL
        66,          // PR_GET_MDWE
        0x4155_5856, // PR_GET_AUXV
        0x5356_4d41, // PR_SET_VMA
    ];
    const ALLOWED_ON_AARCH64: &[u32] = &[
        50, // PR_SVE_SET_VL
        51, // PR_SVE_GET_VL
        54, // PR_PAC_RESET_KEYS
        56, // PR_GET_TAGGED_ADDR_CTRL
        61, // PR_PAC_GET_ENABLED_KEYS
        64, // PR_SME_GET_VL
    ];
    const REFUSED: &[u32] = &[
        8,           // PR_SET_KEEPCAPS
        22,          // PR_SET_SECCOMP, see seccomp
        24,          // PR_CAPBSET_DROP
        28,          // PR_SET_SECUREBITS
        35,          // PR_SET_MM makes /proc lie about the program
        47,          // PR_CAP_AMBIENT
        0x5961_6d61, // PR_SET_PTRACER
    ];
    const PR_SET_DUMPABLE: u32 = 4;
    let mut allowed = ALLOWED.to_vec();
    if arch == Arch::Aarch64 {
        allowed.extend(ALLOWED_ON_AARCH64);
    }
    let mut rules = one_of(0, &allowed, ALLOW);
    rules.extend(one_of(0, REFUSED, refuse(EPERM)));
    // An undumpable program couldn't be inspected by the guard, so it is left dumpable and told
    // otherwise.
    let set_dumpable = is(0, PR_SET_DUMPABLE);
    let yes = Condition::qword(1, SeccompCmpOp::Eq, 1);
    rules.push(when([set_dumpable.clone(), yes], ALLOW));
    rules.push(when([set_dumpable], quiet(0)));
    decide(rules, quiet(EINVAL))
}

fn personality(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const PER_LINUX: u32 = 0;
    const ASK: u32 = u32::MAX;
    let rules = one_of(0, &[PER_LINUX, ASK], ALLOW);
    decide(rules, refuse(EPERM))
}

/// Process 0 is the caller. Its own number, or that of one of its threads, would do as well, but a
/// filter doesn't know it; the guard does.
fn own_pid(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    decide([when([is(0, 0)], ALLOW)], GUARD)
}

const RLIMIT_CORE: u32 = 4;

fn setrlimit(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    decide([when([is(0, RLIMIT_CORE)], quiet(0))], ALLOW)
}

fn prlimit64(profile: &Profile, arch: Arch) -> SyscallRules<Outcome> {
    let mut rules = own_pid(profile, arch);
    let sets = Condition::qword(2, SeccompCmpOp::Ne, 0);
    rules.rules.insert(0, when([is(1, RLIMIT_CORE), sets], quiet(0)));
    rules
}

/// A call that waits for the guard to take it up is interrupted by a handled signal, and without
/// `SA_RESTART` fails with EINTR. No program expects that of `fork`, and SIGCHLD comes just when
/// programs fork.
fn rt_sigaction(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const SIGCHLD: u32 = 17;
    let installs = [is(0, SIGCHLD), Condition::qword(1, SeccompCmpOp::Ne, 0)];
    decide([when(installs, GUARD)], ALLOW)
}

fn sched_setscheduler(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const SCHED_BATCH: u32 = 3;
    const SCHED_IDLE: u32 = 5;
    const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;
    let own = is(0, 0);
    let policy = |policy| bits(1, !SCHED_RESET_ON_FORK, policy);
    let rules = [
        when([own.clone(), policy(SCHED_BATCH)], quiet(0)),
        when([own.clone(), policy(SCHED_IDLE)], quiet(0)),
        when([own], ALLOW),
    ];
    decide(rules, refuse(EPERM))
}

fn setpriority(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const PRIO_PROCESS: u32 = 0;
    let own = [is(0, PRIO_PROCESS), is(1, 0)];
    decide([when(own, ALLOW)], refuse(EPERM))
}

fn ioprio_set(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const IOPRIO_WHO_PROCESS: u32 = 1;
    let own = [is(0, IOPRIO_WHO_PROCESS), is(1, 0)];
    decide([when(own, ALLOW)], refuse(EPERM))
}

// Sockets.

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_NETLINK: u32 = 16;
const AF_INET6: u32 = 10;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_SEQPACKET: u32 = 5;
/// The type without `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
const SOCK_TYPE_MASK: u32 = 0xf;
const PF_UNIX: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;

/// Unix sockets that have to connect before they send: streams and sequenced packets, whose
/// numbers differ in one bit. `SOCK_RAW` is a datagram here.
fn unix_stream() -> Rule<Outcome> {
    const EITHER: u32 = SOCK_STREAM ^ SOCK_SEQPACKET;
    let of_type = bits(1, SOCK_TYPE_MASK & !EITHER, SOCK_STREAM);
    let protocol_0_or_unix = none_of(2, !PF_UNIX);
    when([is(0, AF_UNIX), of_type, protocol_0_or_unix], ALLOW)
}

fn socket(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    // Both families at once: their numbers differ in one bit.
    const EITHER: u32 = AF_INET ^ AF_INET6;
    let inet = bits(0, !EITHER, AF_INET);
    let mut rules = vec![unix_stream(), when([is(0, AF_UNIX)], refuse(EPROTONOSUPPORT))];
    // The protocol is compared whole: 262 would be MPTCP, which Landlock doesn't bound.
    let mut grant = |kind, protocol| {
        let kind = bits(1, SOCK_TYPE_MASK, kind);
        for protocol in [0, protocol] {
            rules.push(when([inet.clone(), kind.clone(), is(2, protocol)], ALLOW));
        }
    };
    if profile.tcp {
        grant(SOCK_STREAM, IPPROTO_TCP);
    }
    if profile.udp {
        grant(SOCK_DGRAM, IPPROTO_UDP);
    }
    rules.push(when([inet], refuse(EACCES)));
    // Every name look-up tries it.
    rules.push(when([is(0, AF_NETLINK)], quiet(EAFNOSUPPORT)));
    decide(rules, refuse(EAFNOSUPPORT))
}

fn socketpair(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    decide([unix_stream()], refuse(EPROTONOSUPPORT))
}

fn listen(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    SyscallRules::plain(if profile.tcp { GUARD } else { ALLOW })
}

fn setsockopt(_: &Profile, _: Arch) -> SyscallRules<Outcome> {
    const SOL_SOCKET: u32 = 1;
    const SO_ATTACH_FILTER: u32 = 26;
    const SO_ATTACH_BPF: u32 = 50;
    const SO_ATTACH_REUSEPORT_CBPF: u32 = 51;
    const SO_ATTACH_REUSEPORT_EBPF: u32 = 52;
    const PROGRAMS: &[u32] =
        &[SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF];
    const SO_SNDBUF: u32 = 7;
    const SO_RCVBUF: u32 = 8;
    const SO_SNDBUFFORCE: u32 = 32;
    const SO_RCVBUFFORCE: u32 = 33;
    const BUFFERS: &[u32] = &[SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE];
    const SOL_TCP: u32 = IPPROTO_TCP;
    const TCP_ULP: u32 = 31;
    // What the kernel says when it has no such protocol; TLS libraries fall back.
    let mut rules = vec![
        when([is(1, SOL_TCP), is(2, TCP_ULP)], quiet(ENOENT)),
        when([isnt(1, SOL_SOCKET)], ALLOW),
    ];
    rules.extend(one_of(2, PROGRAMS, refuse(EPERM)));
    // Buffers stay as large as the kernel makes them: how much is in them is counted late.
    rules.extend(one_of(2, BUFFERS, quiet(0)));
    decide(rules, ALLOW)
}

/// Fast open connects without `connect`, and Landlock doesn't see it.
const MSG_FASTOPEN: u32 = 0x2000_0000;

fn sendto(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    let plain = none_of(3, MSG_FASTOPEN);
    let no_address = Condition::qword(4, SeccompCmpOp::Eq, 0);
    if profile.udp {
        let rules = [when([plain.clone(), no_address], ALLOW), when([plain], GUARD)];
        return decide(rules, refuse(EPERM));
    }
    decide([when([plain], ALLOW)], refuse(EPERM))
}

fn sendmsg(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    sending_message(profile, 2)
}

fn sendmmsg(profile: &Profile, _: Arch) -> SyscallRules<Outcome> {
    sending_message(profile, 3)
}

/// The address is behind a pointer.
fn sending_message(profile: &Profile, flags: u8) -> SyscallRules<Outcome> {
    let allowed = if profile.udp { GUARD } else { ALLOW };
    decide([when([none_of(flags, MSG_FASTOPEN)], allowed)], refuse(EPERM))
}
