//! The guard's main loop: host, meter, clock, streams and the end of the tree. It performs nothing
//! for the target, so that nothing the target does can hold back a deadline or a kill.

use std::collections::VecDeque;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::time::TimeVal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, read, write};

use super::desk::Told;
use super::{Birth, DeskLine, Target};
use crate::error::LaunchError;
use crate::plan::{Launch, Limits};
use crate::spawn::command;
use crate::spawn::stdio::{Streams, close_slots};
use crate::spawn::workspace::{MAX_COLLECTED, Workspace};
use crate::sys::channel::{Channel, Inbox, Received};
use crate::sys::child::Exec;
use crate::sys::process::reap;
use crate::wire::{Frame, FromMeter, Limit, Report, Status, ToMeter, Usage, decode, encode};

/// A sandbox made in advance that nobody wants goes away. The host stops using it well before.
const IDLE: Duration = Duration::from_secs(60);
/// Runs shorter than this are not measured: the daemon need not wake up for them.
const WATCH_AFTER: Duration = Duration::from_millis(10);
/// What has been killed and is not gone is killed again.
const KILL_AGAIN: Duration = Duration::from_millis(20);
/// Bytes of a stream in one frame.
const CHUNK: usize = 64 * 1024;

/// What [`Control`] is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) host: Channel,
    pub(crate) meter: Channel,
    pub(crate) host_pidfd: OwnedFd,
    pub(crate) signals: SignalFd,
    pub(crate) streams: Streams,
    pub(crate) workspace: Workspace,
    pub(crate) limits: Limits,
    pub(crate) terminal: bool,
    pub(super) line: Option<DeskLine>,
    pub(super) birth: Birth,
}

/// The loop's state.
#[derive(Debug)]
pub(crate) struct Control {
    host: Channel,
    meter: Channel,
    host_pidfd: OwnedFd,
    signals: SignalFd,
    streams: Streams,
    workspace: Workspace,
    limits: Limits,
    terminal: bool,
    /// To where calls are judged.
    line: Option<DeskLine>,
    /// What the target is made of, until it is.
    birth: Option<Birth>,
    target: Option<Target>,
    launch: Option<Launch>,
    exec: Option<&'static Exec>,
    started: Option<Instant>,
    watched: bool,
    slots_open: bool,
    /// Why the tree was killed, if it was.
    cause: Option<Status>,
    killed: bool,
    /// The wait status of the program itself.
    ended: Option<i32>,
    /// Nobody wants the result any more.
    abandoned: bool,
    outbox: VecDeque<Vec<u8>>,
    stdin: VecDeque<Vec<u8>>,
    stdin_written: usize,
    close_stdin: bool,
    produced: u64,
    peak: u64,
    inbox: Inbox,
    /// A frame with room for a piece of a stream, kept so that it need not be cleared each time.
    frame: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Host,
    HostProcess,
    Meter,
    Signals,
    Desk,
    Stdin,
    Stdout,
    Stderr,
}

impl Control {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            host,
            meter,
            host_pidfd,
            signals,
            streams,
            workspace,
            limits,
            terminal,
            line,
            birth,
        } = parts;
        Self {
            host,
            meter,
            host_pidfd,
            signals,
            streams,
            workspace,
            limits,
            terminal,
            line,
            birth: Some(birth),
            target: None,
            launch: None,
            exec: None,
            started: None,
            watched: false,
            slots_open: true,
            cause: None,
            killed: false,
            ended: None,
            abandoned: false,
            outbox: VecDeque::new(),
            stdin: VecDeque::new(),
            stdin_written: 0,
            close_stdin: false,
            produced: 0,
            peak: 0,
            inbox: Inbox::default(),
            frame: vec![0; 4_096],
        }
    }

    /// Runs the sandbox to its end. Returns the guard's exit code: 0 if nothing of the tree is
    /// left and the daemon need not look.
    pub(crate) fn run(mut self) -> i32 {
        let mut host = [PollFd::new(self.host.as_fd(), PollFlags::POLLIN)];
        if poll(&mut host, PollTimeout::ZERO) == Ok(0) {
            // Made in advance: the target waits, locked down.
            if let Err(error) = self.give_birth() {
                self.fail(error);
                return self.give_up();
            }
            crate::sys::memory::map_program();
        } else {
            self.hear_host();
        }
        loop {
            if self.abandoned {
                return self.give_up();
            }
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(_) => return self.give_up(),
            };
            if ready.is_empty() && self.launch.is_none() {
                // Nobody has wanted this sandbox for long.
                return self.give_up();
            }
            for (source, events) in ready {
                self.handle(source, events);
            }
            self.check_clock();
            if self.killed {
                self.kill_tree();
            }
            if self.abandoned {
                continue;
            }
            match self.reap_all() {
                Reaping::Going => {}
                Reaping::AllGone => return self.finish(),
            }
        }
    }

    fn wait(&self) -> Result<Vec<(Source, PollFlags)>, Errno> {
        let mut sources = Vec::with_capacity(8);
        let mut fds = Vec::with_capacity(8);
        let mut add = |source, fd, events| {
            sources.push(source);
            fds.push(PollFd::new(fd, events));
        };
        let out = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        add(Source::Host, self.host.as_fd(), PollFlags::POLLIN | out);
        add(Source::HostProcess, self.host_pidfd.as_fd(), PollFlags::POLLIN);
        add(Source::Meter, self.meter.as_fd(), PollFlags::POLLIN);
        add(Source::Signals, self.signals.as_fd(), PollFlags::POLLIN);
        if let Some(line) = &self.line
            && self.outbox.is_empty()
        {
            add(Source::Desk, line.wake.as_fd(), PollFlags::POLLIN);
        }
        if self.started.is_some() {
            let streams = &self.streams;
            // While the host does not take what there is, the program waits in its pipe.
            if self.outbox.is_empty() {
                for (source, fd) in
                    [(Source::Stdout, &streams.stdout), (Source::Stderr, &streams.stderr)]
                {
                    if let Some(fd) = fd {
                        add(source, fd.as_fd(), PollFlags::POLLIN);
                    }
                }
            }
            if let Some(fd) = streams.stdin.as_ref().filter(|_| !self.stdin.is_empty()) {
                add(Source::Stdin, fd.as_fd(), PollFlags::POLLOUT);
            }
        }
        let timeout = match self.next_deadline() {
            // Rounded up, so that the loop does not spin in the last millisecond.
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready = sources.into_iter().zip(&fds).filter_map(|(source, fd)| {
            fd.revents().filter(|events| !events.is_empty()).map(|events| (source, events))
        });
        Ok(ready.collect())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let Some(started) = self.started else { return Some(Instant::now() + IDLE) };
        let watch = (!self.watched).then_some(started + WATCH_AFTER);
        let again = self.killed.then(|| Instant::now() + KILL_AGAIN);
        [watch, again, self.deadline()].into_iter().flatten().min()
    }

    fn deadline(&self) -> Option<Instant> {
        let timeout = self.launch.as_ref()?.timeout?;
        self.started?.checked_add(timeout).filter(|_| !self.killed)
    }

    fn check_clock(&mut self) {
        let now = Instant::now();
        if self.deadline().is_some_and(|at| now >= at) {
            self.kill(Status::TimedOut);
        }
        if !self.watched && self.started.is_some_and(|at| now >= at + WATCH_AFTER) {
            self.watched = true;
            self.watch();
        }
    }

    fn watch(&self) {
        let Limits { memory, cpu, workspace, .. } = self.limits;
        let message = ToMeter::Watch { memory, cpu, workspace };
        if let Ok(bytes) = encode(&message) {
            // A daemon that is gone is noticed on the same channel.
            let _ = self.meter.send(&bytes, &[], false);
        }
    }

    fn handle(&mut self, source: Source, events: PollFlags) {
        match source {
            Source::Host => {
                if events.contains(PollFlags::POLLOUT) {
                    self.flush();
                }
                if events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                    self.hear_host();
                }
            }
            Source::HostProcess => self.abandoned = true,
            Source::Meter => self.hear_meter(),
            Source::Signals => while let Ok(Some(_)) = self.signals.read_signal() {},
            Source::Desk => self.hear_desk(),
            Source::Stdin => self.feed(),
            Source::Stdout | Source::Stderr => {
                self.pass_on(source);
            }
        }
        let left = self.target.as_ref().is_some_and(|target| target.shared.has_left());
        if self.slots_open && self.started.is_some() && left {
            self.slots_open = false;
            close_slots();
        }
    }

    fn hear_host(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        match self.host.receive(&mut inbox) {
            Ok(Received::Message) => match Frame::read(inbox.message()) {
                Ok(Frame::Go(launch)) if self.launch.is_none() => {
                    let fds = std::mem::take(&mut inbox.fds);
                    self.go(*launch, fds);
                }
                Ok(Frame::Stdin(data)) => {
                    self.stdin.push_back(data.to_vec());
                    self.feed();
                }
                Ok(Frame::CloseStdin) => {
                    self.close_stdin = true;
                    self.feed();
                }
                Ok(Frame::Kill) => self.kill(Status::Killed),
                Ok(Frame::Signal(number)) => self.forward(number),
                Ok(Frame::Answer(id, answer)) => {
                    if let Some(line) = &self.line
                        && line.answers.send((id, *answer)).is_ok()
                    {
                        let _ = line.answered.write(1);
                    }
                }
                // Not a host of ours.
                Ok(_) | Err(_) => self.abandoned = true,
            },
            Ok(Received::Nothing) => {}
            Ok(Received::Closed) | Err(_) => self.abandoned = true,
        }
        self.inbox = inbox;
    }

    fn hear_desk(&mut self) {
        let Some(line) = &self.line else { return };
        let _ = line.wake.read();
        let told: Vec<Told> = line.told.try_iter().collect();
        for told in told {
            match told {
                Told::Frame(frame) => self.post(frame),
                Told::Kill => self.kill(Status::Killed),
            }
        }
    }

    fn hear_meter(&mut self) {
        let mut inbox = Inbox::default();
        match self.meter.receive(&mut inbox) {
            Ok(Received::Message) => match decode(inbox.message()) {
                Ok(FromMeter::Peak(bytes)) => self.peak = self.peak.max(bytes),
                Ok(FromMeter::Over(limit)) => self.kill(match limit {
                    Limit::Memory => Status::OutOfMemory,
                    Limit::Cpu => Status::CpuLimit,
                    Limit::Workspace => Status::WorkspaceLimit,
                }),
                Err(_) => self.abandoned = true,
            },
            Ok(Received::Nothing) => {}
            // The daemon is gone, and with it whoever would clean up after this guard.
            Ok(Received::Closed) | Err(_) => self.abandoned = true,
        }
    }

    /// The launch: the last things that may fail, then the exec.
    fn go(&mut self, launch: Launch, fds: Vec<OwnedFd>) {
        if let Err(error) = self.prepare(&launch, fds) {
            self.fail(error);
            return;
        }
        self.launch = Some(launch);
        self.started = Some(Instant::now());
        match (&self.target, self.exec) {
            (Some(target), Some(exec)) => target.shared.start(exec),
            _ => {
                if let Err(error) = self.give_birth() {
                    self.fail(error);
                }
            }
        }
    }

    fn give_birth(&mut self) -> Result<(), LaunchError> {
        if let Some(birth) = self.birth.take() {
            self.target = Some(birth.give(self.exec)?);
        }
        Ok(())
    }

    fn prepare(&mut self, launch: &Launch, fds: Vec<OwnedFd>) -> Result<(), LaunchError> {
        self.workspace.fill(&launch.files)?;
        let exec = command::prepare(launch, &self.workspace.path, self.terminal)?;
        self.exec = Some(exec);
        self.streams.arrange(launch.stdio, fds).map_err(|errno| LaunchError::Resources {
            what: "standard streams".into(),
            errno: errno as i32,
        })
    }

    fn fail(&mut self, error: LaunchError) {
        if let Ok(frame) = Frame::Failed(Box::new(error)).write() {
            self.post(frame);
        }
        self.flush_waiting();
        self.abandoned = true;
    }

    /// A signal from the host for the program itself.
    fn forward(&self, number: i32) {
        if self.ended.is_none()
            && self.started.is_some()
            && let Some(target) = &self.target
            && let Ok(signal) = Signal::try_from(number)
        {
            let _ = kill(Pid::from_raw(target.pid), signal);
        }
    }

    fn kill(&mut self, cause: Status) {
        self.cause.get_or_insert(cause);
        self.kill_tree();
    }

    fn kill_tree(&mut self) {
        self.killed = true;
        if let Some(Target { context, .. }) = &self.target {
            context.closing.store(true, Ordering::Release);
            context.membership().kill_everything();
            if context.scope.is_none()
                && let Ok(bytes) = encode(&ToMeter::Kill)
            {
                // Programs that may not be read can't be told from strangers here.
                let _ = self.meter.send(&bytes, &[], false);
            }
        }
    }

    fn reap_all(&mut self) -> Reaping {
        loop {
            match reap() {
                Ok(Some(child)) if Some(child.pid) == self.target.as_ref().map(|t| t.pid) => {
                    self.ended = Some(child.status);
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    // The program has ended, and whatever it left behind ends with it.
                    if self.ended.is_some() {
                        self.kill_tree();
                    }
                    return Reaping::Going;
                }
                Err(Errno::ECHILD) => return Reaping::AllGone,
                Err(_) => return Reaping::Going,
            }
        }
    }

    fn feed(&mut self) {
        let Some(stdin) = &self.streams.stdin else {
            if !self.stdin.is_empty() {
                self.stdin.clear();
                self.post(vec_frame(&Frame::StdinClosed));
            }
            return;
        };
        while let Some(chunk) = self.stdin.front() {
            match write(stdin, &chunk[self.stdin_written..]) {
                Ok(count) => {
                    self.stdin_written += count;
                    if self.stdin_written == chunk.len() {
                        let taken =
                            Frame::StdinTaken(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
                        let taken = vec_frame(&taken);
                        self.stdin.pop_front();
                        self.stdin_written = 0;
                        // `post` borrows all of self.
                        if !self.send_now(&taken) {
                            self.outbox.push_back(taken);
                        }
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.stdin.clear();
                    self.streams.stdin = None;
                    self.post(vec_frame(&Frame::StdinClosed));
                    return;
                }
            }
        }
        if self.close_stdin {
            self.streams.stdin = None;
        }
    }

    /// Reads one piece of a stream and sends it. Returns whether there may be more.
    fn pass_on(&mut self, source: Source) -> bool {
        let streams = &mut self.streams;
        let (slot, tag) = match source {
            Source::Stderr => (&mut streams.stderr, b'e'),
            _ => (&mut streams.stdout, b'o'),
        };
        let Some(fd) = slot.as_ref() else { return false };
        self.frame[0] = tag;
        let count = match read(fd, &mut self.frame[1..]) {
            Ok(0) => {
                *slot = None;
                return false;
            }
            Ok(count) => count,
            Err(Errno::EAGAIN) => return false,
            Err(Errno::EINTR) => return true,
            Err(_) => {
                *slot = None;
                return false;
            }
        };
        if count + 1 == self.frame.len() && count < CHUNK {
            // A program that writes much is read in larger pieces from now on.
            self.frame.resize(CHUNK + 1, 0);
        }
        let limit = self.limits.output.unwrap_or(u64::MAX);
        let room = limit.saturating_sub(self.produced);
        self.produced = self.produced.saturating_add(count as u64);
        let kept = count.min(usize::try_from(room).unwrap_or(usize::MAX));
        let frame = &self.frame[..=kept];
        if kept > 0 && (!self.outbox.is_empty() || !self.send_now(frame)) {
            self.outbox.push_back(frame.to_vec());
        }
        if self.produced > limit {
            self.kill(Status::OutputLimit);
        }
        true
    }

    fn post(&mut self, frame: Vec<u8>) {
        if !self.outbox.is_empty() || !self.send_now(&frame) {
            self.outbox.push_back(frame);
        }
    }

    /// Whether the frame is off our hands.
    fn send_now(&self, frame: &[u8]) -> bool {
        match self.host.send(frame, &[], false) {
            Ok(()) => true,
            // The host is gone, which its own source tells.
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => true,
            // It is behind.
            Err(Errno::EAGAIN) => false,
            // The machine is out of something, memory say. Nothing may be lost for that.
            Err(_) => {
                std::thread::sleep(Duration::from_millis(1));
                false
            }
        }
    }

    fn flush(&mut self) {
        while let Some(frame) = self.outbox.front() {
            if !self.send_now(frame) {
                return;
            }
            self.outbox.pop_front();
        }
    }

    /// Sends everything, however long the host takes; gives up when it is gone.
    fn flush_waiting(&mut self) -> bool {
        loop {
            self.flush();
            if self.outbox.is_empty() {
                return true;
            }
            let mut fds = [
                PollFd::new(self.host.as_fd(), PollFlags::POLLOUT),
                PollFd::new(self.host_pidfd.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut fds, PollTimeout::NONE);
            let gone = |fd: &PollFd<'_>, flags| fd.revents().is_some_and(|r| r.intersects(flags));
            if gone(&fds[1], PollFlags::POLLIN) || gone(&fds[0], PollFlags::POLLERR) {
                return false;
            }
        }
    }

    /// The tree is gone: what is left in the pipes, the files asked for, the report.
    fn finish(&mut self) -> i32 {
        if let Some(Target { shared, .. }) = &self.target {
            let step = shared.failed_step.load(Ordering::Acquire);
            if step != 0 {
                let errno = shared.failed_errno.load(Ordering::Acquire);
                self.fail(command::explain(step, errno, self.exec));
                return self.leave();
            }
        }
        let wall = self.started.map_or(Duration::ZERO, |at| at.elapsed());
        self.hear_desk();
        // Once closed, their numbers are somebody else's.
        if std::mem::take(&mut self.slots_open) {
            close_slots();
        }
        for source in [Source::Stdout, Source::Stderr] {
            while self.pass_on(source) {
                if !self.flush_waiting() {
                    break;
                }
            }
        }
        self.send_files();
        let code = self.leave();
        let report = self.report(wall);
        self.post(vec_frame(&Frame::Completed(Box::new(report))));
        self.flush_waiting();
        code
    }

    fn send_files(&mut self) {
        let wanted = self.launch.as_ref().map(|l| l.collect.clone()).unwrap_or_default();
        for (index, path) in wanted.iter().enumerate() {
            let Some(mut file) = self.workspace.open_collected(path) else { continue };
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let mut left = MAX_COLLECTED;
            loop {
                let mut data = vec![0; CHUNK - 8];
                let count = file.read(&mut data).unwrap_or(0).min(left as usize);
                data.truncate(count);
                left -= count as u64;
                // An empty piece says that the file is there.
                self.post(vec_frame(&Frame::File(index, &data)));
                if count == 0 || !self.flush_waiting() {
                    break;
                }
            }
        }
    }

    fn report(&self, wall: Duration) -> Report {
        let (mut user, mut system, mut largest) = (Duration::ZERO, Duration::ZERO, 0);
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) {
            user = duration(usage.user_time());
            system = duration(usage.system_time());
            largest = u64::try_from(usage.max_rss()).unwrap_or(0) * 1_024;
        }
        let refused = self.target.as_ref().map(|target| {
            let mut calls =
                target.context.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *calls)
        });
        let refused = refused.unwrap_or_default();
        Report {
            status: self.cause.unwrap_or_else(|| self.natural_status()),
            usage: Usage {
                wall,
                user,
                system,
                peak_memory: self.peak.max(largest),
                tasks: self.target.as_ref().map_or(0, |target| target.context.tasks.started()),
            },
            refused: refused.list,
            refused_beyond: refused.beyond,
        }
    }

    fn natural_status(&self) -> Status {
        let any = Pid::from_raw(0);
        match WaitStatus::from_raw(any, self.ended.unwrap_or(0)) {
            Ok(WaitStatus::Signaled(_, Signal::SIGXCPU, _)) if self.used_up() => Status::CpuLimit,
            Ok(WaitStatus::Signaled(_, signal, _)) => Status::Signaled(signal as i32),
            Ok(WaitStatus::Exited(_, code)) => Status::Exited(code),
            // Real-time signals, which nix has no names for.
            _ => Status::Signaled(self.ended.unwrap_or(0) & 0x7f),
        }
    }

    /// Whether the tree has had the time it may have: anybody can send itself SIGXCPU.
    fn used_up(&self) -> bool {
        let (Some(limit), Ok(usage)) = (self.limits.cpu, getrusage(UsageWho::RUSAGE_CHILDREN))
        else {
            return false;
        };
        // The kernel's limit goes by whole ticks, and this by exact time, which may be a little less.
        let used = duration(usage.user_time()) + duration(usage.system_time());
        used + limit / 8 >= limit
    }

    /// The end without a report.
    fn give_up(&mut self) -> i32 {
        self.kill_tree();
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            match self.reap_all() {
                Reaping::AllGone => break,
                Reaping::Going if Instant::now() > end => return 1,
                Reaping::Going => {
                    let mut one = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
                    let _ = poll(&mut one, PollTimeout::from(5u8));
                    while let Ok(Some(_)) = self.signals.read_signal() {}
                    self.kill_tree();
                }
            }
        }
        self.leave()
    }

    /// Empties the workspace. Returns the guard's exit code: the daemon looks after what is left.
    fn leave(&self) -> i32 {
        i32::from(self.workspace.empty().is_err())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaping {
    Going,
    AllGone,
}

fn vec_frame(frame: &Frame<'_>) -> Vec<u8> {
    // Serialising into memory fails only for types that these are not.
    frame.write().unwrap_or_default()
}

fn duration(time: TimeVal) -> Duration {
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0)) + Duration::from_micros(micros)
}
