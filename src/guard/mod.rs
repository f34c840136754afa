//! One sandbox's guard: a process of its own, confined by the sandbox's own Landlock rules, parent
//! and subreaper of everything in it. It performs calls on the target's behalf, passes its streams
//! on, keeps its limits, and ends when the last task has ended.

mod context;
mod control;
mod decode;
mod desk;
mod execs;
mod lane;
mod peek;
mod perform;
mod resolve;
mod serve;
mod subject;
mod tree;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::error::LaunchError;
use crate::isolation::abi::Kernel;
use crate::isolation::filter::{Arch, sock_filter};
use crate::isolation::syscalls::Profile;
use crate::isolation::{landlock, limits};
use crate::plan::{Confinement, Network};
use crate::policy::{self, CheckedPolicy, Matcher, Operation, Operations};
use crate::spawn::command;
use crate::spawn::stdio::Streams;
use crate::spawn::workspace::Workspace;
use crate::sys::channel::Channel;
use crate::sys::child::{Exec, FIRST_OWN_FD, Lockdown, clone_target};
use crate::sys::notify::Listener;
use crate::sys::process::{SignalScope, become_subreaper, exit_now, hard_limit};
use crate::sys::shared::Shared;
use crate::sys::{fd, landlock as sys_landlock};
use crate::wire::Frame;

use context::{Context, RefusedCalls};
use control::Control;
use desk::{Judge, Line, Told};
use peek::Peek;
use tree::Tasks;

/// The file mode mask that programs start with.
pub(crate) const UMASK: u32 = 0o022;
/// Messages of the desk that wait for the main loop.
const BACKLOG: usize = 1_024;
/// A target that has not locked itself down by then never will.
const LOCKDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// What the daemon hands to a guard it has forked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) host: Channel,
    pub(crate) meter: Channel,
    pub(crate) host_pidfd: OwnedFd,
    pub(crate) daemon: i32,
    pub(crate) workspace: Workspace,
    pub(crate) confinement: Confinement,
    pub(crate) system: landlock::SystemGrants,
    pub(crate) kernel: Kernel,
    pub(crate) profile: Profile,
    pub(crate) filter: Vec<sock_filter>,
    /// Judged calls are continued: see [`ToDaemon::ContinueRacily`](crate::wire::ToDaemon).
    pub(crate) racy: bool,
}

/// Becomes a sandbox's guard. The process is a fresh fork of the daemon: one thread, no
/// capabilities, all signals blocked, descriptors 3 to 5 free for the target's streams.
pub(crate) fn run(setup: Setup) -> ! {
    let Ok(host) = setup.host.as_fd().try_clone_to_owned() else { exit_now(1) };
    let code = match arm(setup, &host) {
        Ok(control) => {
            drop(host);
            control.run()
        }
        Err(error) => {
            if let Ok(frame) = Frame::Failed(Box::new(error)).write() {
                // The host may be gone; then nobody asks.
                let _ = Channel::from_fd(host).send(&frame, &[], false);
            }
            1
        }
    };
    exit_now(code)
}

/// Everything up to the target's birth. The order is fixed: each step relies on those before it,
/// and any that fails ends the sandbox.
///
/// `last_words`: where a failure is told, kept open until there can be none.
fn arm(setup: Setup, last_words: &OwnedFd) -> Result<Control, LaunchError> {
    let Setup {
        host,
        meter,
        host_pidfd,
        daemon,
        workspace,
        confinement,
        system,
        kernel,
        profile,
        filter,
        racy,
    } = setup;
    become_subreaper().map_err(resources("PR_SET_CHILD_SUBREAPER"))?;
    nix::unistd::chdir("/").map_err(resources("chdir"))?;
    let ruleset = landlock::build(&confinement, system, kernel.landlock, workspace.dir.as_fd())?;
    let mut keep: Vec<_> = [last_words, &host_pidfd, &workspace.dir, &ruleset.fd]
        .into_iter()
        .chain(&ruleset.pinned)
        .chain(ruleset.writable.iter().map(|root| &root.handle))
        .map(AsRawFd::as_raw_fd)
        .chain([host.as_fd().as_raw_fd(), meter.as_fd().as_raw_fd()])
        .collect();
    // The daemon's own descriptors: its channel to the host, the other guards'.
    fd::close_all_but(FIRST_OWN_FD, &mut keep).map_err(resources("close_range"))?;
    let procfs =
        open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(resources("/proc"))?;
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    let signals = SignalFd::with_flags(&chld, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(resources("signalfd"))?;
    let streams = Streams::pipes().map_err(resources("pipe"))?;
    let judging = match &confinement.policy {
        // While this thread may still read procfs, and look paths up.
        Some(policy) => Some(judging(policy, &ruleset, &workspace)?),
        None => None,
    };
    let layer = |layer: &'static str| {
        move |errno: Errno| LaunchError::Layer { layer: layer.into(), errno: errno as i32 }
    };
    sys_landlock::restrict_self(ruleset.fd.as_fd()).map_err(layer("Landlock"))?;
    let scope = if kernel.landlock >= 6 {
        // The daemon is outside, of the same user and alive: were it reachable, so would be the
        // user's session.
        Some(SignalScope::prove(daemon).map_err(layer("Landlock signal scope"))?)
    } else {
        None
    };
    let limits = confinement.limits;
    let rlimits = limits::rlimits(&limits, hard_limit);
    if let Some(size) = limits.file_size {
        // What the guard does for the target obeys the target's limit.
        let size = size.min(hard_limit(libc::RLIMIT_FSIZE));
        setrlimit(Resource::RLIMIT_FSIZE, size, size).map_err(resources("RLIMIT_FSIZE"))?;
    }
    let lockdown = Lockdown::leak(ruleset.fd, rlimits, filter, kernel.wait_killable)
        .map_err(layer("seccomp"))?;
    Ok(Control::new(control::Parts {
        host,
        meter,
        host_pidfd,
        signals,
        streams,
        workspace,
        limits: limits.clone(),
        terminal: confinement.terminal,
        line: judging.as_ref().map(|(_, line)| line.clone()),
        birth: Birth {
            judge: judging.map(|(judge, _)| judge),
            racy,

            lockdown,
            kernel,
            profile,
            procfs,
            writable: ruleset.writable,
            pinned: ruleset.pinned,
            network: confinement.network,
            scope,
            tasks: limits.tasks,
            open_files: limits.open_files,
        },
    }))
}

/// The main loop's end of the line to the desk.
#[derive(Debug, Clone)]
pub(crate) struct DeskLine {
    pub(crate) told: Receiver<Told>,
    pub(crate) wake: Arc<EventFd>,
    pub(crate) answers: Sender<(u64, policy::Answer)>,
    pub(crate) answered: Arc<EventFd>,
}

/// Makes what judges calls.
fn judging(
    policy: &CheckedPolicy,
    ruleset: &landlock::Ruleset,
    workspace: &Workspace,
) -> Result<(Judge, DeskLine), LaunchError> {
    let own = landlock::resolved(workspace.dir.as_fd()).map_err(resources("workspace"))?;
    let places = policy.places(own);
    let matcher = Matcher::new(policy.clone(), &places, &ruleset.covered, landlock::real_path);
    let peek = Peek::start().map_err(resources("thread"))?;
    let event = || {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_value_and_flags(0, flags).map(Arc::new).map_err(resources("eventfd"))
    };
    // A host that is behind makes the calls wait.
    let (tell, told) = bounded(BACKLOG);
    let (answer, answers) = unbounded();
    let (wake, answered) = (event()?, event()?);
    let line =
        Line { told: tell, wake: Arc::clone(&wake), answers, answered: Arc::clone(&answered) };
    let judge = Judge {
        matcher,
        ask_timeout: policy.ask_timeout,
        audit: policy.audit,
        peek,
        line,
        umask_varies: AtomicBool::new(false),
    };
    Ok((judge, DeskLine { told, wake, answers: answer, answered }))
}

/// The calls that are handed to the guard if these operations are judged. Opening goes by its flags,
/// see [`Profile::judge_reading`].
pub(crate) fn judged_calls(judged: Operations) -> impl Iterator<Item = &'static str> {
    use Operation::{Create, Delete, Exec, Metadata, Modify, Read, Rename, Signal};
    const CALLS: &[(&[Operation], &[&str])] = &[
        (&[Modify, Create], &["creat"]),
        (&[Modify], &["truncate"]),
        // The guard must know when new files get other modes than by default.
        (&[Create], &["mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "umask"]),
        (&[Delete], &["unlink", "unlinkat", "rmdir"]),
        // Under another name another rule would hold for the same content.
        (
            &[Read, Modify, Create, Delete, Rename, Metadata],
            &["rename", "renameat", "renameat2", "link", "linkat"],
        ),
        (&[Exec], &["execve", "execveat"]),
        (
            &[Signal],
            &[
                "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
                "pidfd_send_signal",
            ],
        ),
    ];
    CALLS
        .iter()
        .filter(move |(operations, _)| operations.iter().any(|one| judged.has(*one)))
        .flat_map(|(_, calls)| calls.iter().copied())
}

/// What the target and the thread that serves it are made of.
#[derive(Debug)]
struct Birth {
    judge: Option<Judge>,
    racy: bool,
    lockdown: &'static Lockdown,
    kernel: Kernel,
    profile: Profile,
    procfs: OwnedFd,
    writable: Vec<landlock::WritableRoot>,
    pinned: Vec<OwnedFd>,
    network: Network,
    scope: Option<SignalScope>,
    tasks: Option<u32>,
    open_files: u32,
}

/// A target that has locked itself down.
#[derive(Debug)]
struct Target {
    pid: i32,
    shared: &'static Shared,
    context: Arc<Context>,
}

impl Birth {
    /// Clones the target, and starts answering it. With something to execute it goes on at once,
    /// else it waits.
    fn give(self, exec: Option<&'static Exec>) -> Result<Target, LaunchError> {
        let shared = Shared::leak();
        if let Some(exec) = exec {
            shared.start(exec);
        }
        let pid = clone_target(shared, self.lockdown).map_err(resources("clone"))?;
        let end = || {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        };
        let Some(listener) = shared.wait_for_listener(LOCKDOWN_TIMEOUT) else {
            end();
            let step = shared.failed_step.load(Ordering::Acquire);
            return Err(command::explain(step, shared.failed_errno.load(Ordering::Acquire), None));
        };
        let context = Arc::new(Context {
            listener: Listener::adopt(listener),
            profile: self.profile,
            arch: Arch::native().unwrap_or(Arch::X86_64),
            kernel: self.kernel,
            procfs: self.procfs,
            listing: Mutex::new(()),
            writable: self.writable,
            network: self.network,
            judges: self.judge.is_some(),
            racy: self.racy,
            tasks: Tasks::new(self.tasks),
            scope: self.scope,
            open_files: self.open_files,
            guard: nix::unistd::getpid().as_raw(),
            target: pid,
            shared,
            closing: AtomicBool::new(false),
            sockets: perform::net::Sockets::default(),
            refused: Mutex::new(RefusedCalls::default()),
            _pinned: self.pinned,
        });
        let served = Arc::clone(&context);
        std::thread::Builder::new()
            .name("notify".into())
            .stack_size(512 * 1024)
            .spawn(move || serve::serve(&served, self.judge))
            .map_err(|error| {
                end();
                resources("thread")(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))
            })?;
        Ok(Target { pid, shared, context })
    }
}

fn resources(what: &'static str) -> impl FnOnce(Errno) -> LaunchError {
    move |errno| LaunchError::Resources { what: what.into(), errno: errno as i32 }
}
