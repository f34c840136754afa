//! The daemon's loop.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, UnlinkatFlags, getpid, unlinkat};

use super::base::Base;
use super::meter::{self, Common, Watch};
use super::orphans;
use crate::error::{LaunchError, Machine};
use crate::guard::{self, Setup};
use crate::isolation::abi::Kernel;
use crate::isolation::filter::{Arch, compile, sock_filter};
use crate::isolation::landlock::SystemGrants;
use crate::isolation::syscalls::{Profile, rule_set};
use crate::plan::Confinement;
use crate::policy::{CheckedPolicy, Operation, Operations};
use crate::spawn::workspace::{Workspace, remove};
use crate::sys::channel::{Channel, Inbox, Received};
use crate::sys::child::FIRST_OWN_FD;
use crate::sys::fd::close_all_but;
use crate::sys::process::{Side, exit_now, fork_single_threaded, reap, set_name};
use crate::wire::{Frame, Hello, ToDaemon, ToMeter, decode, encode};

const HOST: u64 = 0;
const HOST_PROCESS: u64 = 1;
const SIGNALS: u64 = 2;
/// Guards that have not ended this long after their host are ended.
const GRACE: Duration = Duration::from_secs(3);
/// What earlier daemons left behind is looked for when this one has nothing else to do.
const SWEEP_AFTER: Duration = Duration::from_secs(2);

/// Empty workspaces that are kept for the next runs.
const KEPT_EMPTY: usize = 64;

/// A guard as the daemon knows it.
#[derive(Debug)]
struct Guard {
    meter: Channel,
    /// The workspace's name below the base.
    workspace: String,
    watch: Option<Watch>,
}

/// The daemon's state.
#[derive(Debug)]
pub(crate) struct Server {
    kernel: Kernel,
    host_pidfd: OwnedFd,
    base: Base,
    common: Common,
    epoll: Epoll,
    signals: SignalFd,
    guards: HashMap<i32, Guard>,
    filters: Vec<(Profile, Vec<sock_filter>)>,
    system: SystemGrants,
    /// Names of empty workspaces.
    empty: Vec<String>,
    /// Names of workspaces that are to be removed, and the process that removes one.
    left: Vec<String>,
    remover: Option<i32>,
    inbox: Inbox,
    serial: u64,
    racy: bool,
}

impl Server {
    pub(crate) fn new(kernel: Kernel, host_pidfd: OwnedFd, base: Base) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut chld = SigSet::empty();
        chld.add(Signal::SIGCHLD);
        let signals = SignalFd::with_flags(&chld, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        epoll.add(&host_pidfd, EpollEvent::new(EpollFlags::EPOLLIN, HOST_PROCESS))?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS))?;
        Ok(Self {
            kernel,
            host_pidfd,
            base,
            common: Common::new(),
            epoll,
            signals,
            guards: HashMap::new(),
            filters: Vec::new(),
            system: SystemGrants::default(),
            empty: Vec::new(),
            left: Vec::new(),
            remover: None,
            inbox: Inbox::default(),
            serial: 0,
            racy: false,
        })
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            pid: getpid().as_raw(),
            landlock_abi: self.kernel.landlock,
            wait_killable: self.kernel.wait_killable,
            pidfd_getfd: self.kernel.pidfd_getfd,
            signal_scope: self.kernel.landlock >= 6,
            base: self.base.path.as_os_str().as_bytes().to_vec(),
        }
    }

    /// Serves until the host is gone or has closed its channel and the last run has ended.
    pub(crate) fn run(mut self, host: Channel) -> i32 {
        let mut host = Some(host);
        if let Some(channel) = &host
            && self.epoll.add(channel, EpollEvent::new(EpollFlags::EPOLLIN, HOST)).is_err()
        {
            return 1;
        }
        let mut sweep_at = Some(Instant::now() + SWEEP_AFTER);
        let mut host_gone_at: Option<Instant> = None;
        let mut events = [EpollEvent::empty(); 64];
        while host.is_some() || !self.guards.is_empty() {
            let due = [self.next_sample(), sweep_at, host_gone_at.map(|at| at + GRACE)];
            let ready = match self.epoll.wait(&mut events, timeout(due)) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(_) => break,
            };
            for event in &events[..ready] {
                match event.data() {
                    HOST => {
                        if let Some(channel) = host.take() {
                            host = self.hear_host(channel);
                        }
                    }
                    HOST_PROCESS => {
                        host = None;
                        host_gone_at.get_or_insert_with(Instant::now);
                        let _ = self.epoll.delete(&self.host_pidfd);
                    }
                    SIGNALS => self.reap_guards(),
                    pid => self.hear_guard(i32::try_from(pid).unwrap_or(0)),
                }
            }
            self.sample_due();
            if sweep_at.is_some_and(|at| Instant::now() >= at) {
                sweep_at = None;
                self.base.sweep_stale();
            }
            if host_gone_at.is_some_and(|at| at.elapsed() > GRACE) {
                self.end_guards();
            }
        }
        self.end_remover();
        self.base.remove();
        0
    }

    fn hear_host(&mut self, channel: Channel) -> Option<Channel> {
        loop {
            match channel.receive(&mut self.inbox) {
                Ok(Received::Message) => match decode(self.inbox.message()) {
                    Ok(ToDaemon::Arm(confinement)) => {
                        if let Some(host) = self.inbox.fds.pop() {
                            self.arm(Channel::from_fd(host), *confinement);
                        }
                    }
                    Ok(ToDaemon::MaskLandlock(abi)) => {
                        // Never to more than there is.
                        self.kernel.landlock = self.kernel.landlock.min(abi.max(1));
                    }
                    Ok(ToDaemon::ContinueRacily) => self.racy = cfg!(debug_assertions),
                    Err(_) => return None,
                },
                Ok(Received::Nothing) => return Some(channel),
                Ok(Received::Closed) | Err(_) => return None,
            }
        }
    }

    /// Forks a guard. A failure is told on the guard's own channel.
    fn arm(&mut self, host: Channel, confinement: Confinement) {
        if let Err(error) = self.try_arm(&host, confinement)
            && let Ok(frame) = Frame::Failed(Box::new(error)).write()
        {
            // The host may have changed its mind.
            let _ = host.send(&frame, &[], false);
        }
    }

    fn try_arm(&mut self, host: &Channel, confinement: Confinement) -> Result<(), LaunchError> {
        let failed = |what: &'static str| {
            move |errno: Errno| LaunchError::Resources { what: what.into(), errno: errno as i32 }
        };
        let profile = self.profile(&confinement);
        if confinement.system {
            self.system.refresh();
        }
        let filter = self.filter(&profile)?;
        let (name, workspace) = self.workspace().map_err(failed("workspace"))?;
        let (ours, theirs) = match Channel::pair() {
            Ok(pair) => pair,
            Err(errno) => {
                self.remove_workspace(&name);
                return Err(failed("socketpair")(errno));
            }
        };
        let daemon = getpid().as_raw();
        match fork_single_threaded() {
            Ok(Side::Child) => {
                set_name(c"evalbox-guard");
                let clone = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
                let (Ok(host), Ok(host_pidfd)) =
                    (clone(host.as_fd()), clone(self.host_pidfd.as_fd()))
                else {
                    exit_now(1)
                };
                guard::run(Setup {
                    host: Channel::from_fd(host),
                    meter: theirs,
                    host_pidfd,
                    daemon,
                    workspace,
                    confinement,
                    system: std::mem::take(&mut self.system),
                    kernel: self.kernel,
                    profile,
                    filter,
                    racy: self.racy,
                })
            }
            Ok(Side::Parent(pid)) => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(pid.unsigned_abs()));
                let added = self.epoll.add(&ours, event);
                self.guards.insert(pid, Guard { meter: ours, workspace: name, watch: None });
                added.map_err(|errno| {
                    // It is cleaned up after like any guard that dies.
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    failed("epoll")(errno)
                })
            }
            Err(errno) => {
                self.remove_workspace(&name);
                Err(failed("fork")(errno))
            }
        }
    }

    /// An empty directory: one that a finished run has left, or a new one.
    fn workspace(&mut self) -> Result<(String, Workspace), Errno> {
        while let Some(name) = self.empty.pop() {
            match Workspace::reuse(self.base.dir(), &self.base.path, &name) {
                Ok(workspace) => return Ok((name, workspace)),
                Err(_) => self.remove_workspace(&name),
            }
        }
        self.serial += 1;
        let name = self.serial.to_string();
        let workspace = Workspace::create(self.base.dir(), &self.base.path, &name)?;
        Ok((name, workspace))
    }

    fn profile(&self, confinement: &Confinement) -> Profile {
        let tcp = confinement.network.uses_tcp();
        let mut traps = BTreeSet::new();
        if !self.kernel.pidfd_getfd {
            traps.extend(["socket", "listen"]);
        }
        let judged = confinement.policy.as_ref().map_or(Operations::NONE, CheckedPolicy::trapped);
        let tcp = tcp || confinement.policy.as_ref().is_some_and(CheckedPolicy::uses_tcp);
        traps.extend(guard::judged_calls(judged));
        Profile {
            tcp,
            udp: false,
            landlock_abi: self.kernel.landlock,
            traps,
            judge_reading: judged.has(Operation::Read),
            judge_writing: judged.has(Operation::Modify) || judged.has(Operation::Create),
        }
    }

    fn filter(&mut self, profile: &Profile) -> Result<Vec<sock_filter>, LaunchError> {
        if let Some((_, filter)) = self.filters.iter().find(|(known, _)| known == profile) {
            return Ok(filter.clone());
        }
        let layer =
            |errno: Errno| LaunchError::Layer { layer: "seccomp".into(), errno: errno as i32 };
        let missing = Machine::NoUserNotification { errno: Errno::ENOSYS as i32 };
        let arch = Arch::native().ok_or(LaunchError::Machine(missing))?;
        let filter = compile(&rule_set(profile, arch)).map_err(|_| layer(Errno::E2BIG))?;
        self.filters.push((profile.clone(), filter.clone()));
        Ok(filter)
    }

    fn hear_guard(&mut self, pid: i32) {
        let Some(guard) = self.guards.get_mut(&pid) else { return };
        match guard.meter.receive(&mut self.inbox) {
            Ok(Received::Message) => match decode(self.inbox.message()) {
                Ok(ToMeter::Watch { memory, cpu, workspace }) => {
                    if let Ok(dir) = open_workspace(&self.base, &guard.workspace) {
                        let path = self.base.path.join(&guard.workspace);
                        guard.watch = Some(Watch::new(memory, cpu, workspace, dir, path));
                    }
                }
                Ok(ToMeter::Kill) => meter::kill_below(pid),
                Err(_) => {}
            },
            Ok(Received::Nothing) => {}
            // It has ended or is ending; SIGCHLD tells which.
            Ok(Received::Closed) | Err(_) => {
                let _ = self.epoll.delete(&guard.meter);
            }
        }
    }

    fn next_sample(&self) -> Option<Instant> {
        self.guards.values().filter_map(|guard| guard.watch.as_ref()).map(|watch| watch.due).min()
    }

    fn sample_due(&mut self) {
        let now = Instant::now();
        let all = || self.guards.values().filter_map(|guard| guard.watch.as_ref());
        let due = all().filter(|watch| watch.due <= now).count();
        if due == 0 {
            return;
        }
        self.common.look(u32::try_from(due).unwrap_or(u32::MAX), all());
        for (pid, guard) in &mut self.guards {
            let Some(watch) = guard.watch.as_mut().filter(|watch| watch.due <= now) else {
                continue;
            };
            for news in watch.sample(*pid, &self.common) {
                if let Ok(message) = encode(&news) {
                    // A guard that does not listen is dying.
                    let _ = guard.meter.send(&message, &[], false);
                }
            }
        }
    }

    fn reap_guards(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        let mut died = false;
        while let Ok(Some(child)) = reap() {
            if Some(child.pid) == self.remover {
                self.remover = None;
                self.remove_next();
                continue;
            }
            let Some(guard) = self.guards.remove(&child.pid) else { continue };
            let _ = self.epoll.delete(&guard.meter);
            if child.status == 0 {
                // Making and removing directories is a good part of a launch's cost.
                if self.empty.len() < KEPT_EMPTY {
                    self.empty.push(guard.workspace);
                } else {
                    self.remove_workspace(&guard.workspace);
                }
                continue;
            }
            died = true;
            // The tree first, or it would go on filling the directory.
            self.kill_orphans();
            self.remove_workspace(&guard.workspace);
        }
        if died {
            self.kill_orphans();
        }
    }

    fn kill_orphans(&self) {
        orphans::kill_all(|pid| self.guards.contains_key(&pid) || self.remover == Some(pid));
    }

    /// Removes a workspace. What is in one may take long, so another process does that.
    fn remove_workspace(&mut self, name: &str) {
        match unlinkat(self.base.dir(), name, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            // What can't be removed at all is removed with the base, or stays.
            _ => return,
        }
        self.left.push(name.to_owned());
        self.remove_next();
    }

    fn remove_next(&mut self) {
        if self.remover.is_some() {
            return;
        }
        let Some(name) = self.left.pop() else { return };
        match fork_single_threaded() {
            Ok(Side::Child) => {
                set_name(c"evalbox-remover");
                // Not even the channels of guards, which must see it if the daemon ends.
                let mut keep = [self.base.dir().as_raw_fd()];
                let code = match close_all_but(FIRST_OWN_FD, &mut keep) {
                    Ok(()) => i32::from(remove(self.base.dir(), &name).is_err()),
                    Err(_) => 1,
                };
                exit_now(code)
            }
            Ok(Side::Parent(pid)) => self.remover = Some(pid),
            // What is left is removed with the base.
            Err(_) => {}
        }
    }

    fn end_remover(&mut self) {
        if let Some(pid) = self.remover.take() {
            let pid = Pid::from_raw(pid);
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }

    fn end_guards(&mut self) {
        for pid in self.guards.keys() {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

fn open_workspace(base: &Base, name: &str) -> Result<OwnedFd, Errno> {
    use nix::fcntl::{OFlag, openat};
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(base.dir(), name, flags, nix::sys::stat::Mode::empty())
}

fn timeout(due: [Option<Instant>; 3]) -> EpollTimeout {
    let Some(at) = due.into_iter().flatten().min() else { return EpollTimeout::NONE };
    let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
}
