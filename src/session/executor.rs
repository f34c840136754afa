//! Many sandboxes, one descriptor to wait on, no thread.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{Output, audit};
use crate::client::{self, Daemon};
use crate::error::{Error, Machine, Result, SessionError, Unavailable};
use crate::plan::{CheckedPlan, Confinement, Plan, Sink, Stdin};
use crate::policy::{Answer, Decision, SyscallContext};
use crate::sys::channel::{Channel, Inbox, Received};
use crate::wire::{Frame, Question, Status};

/// Bytes of standard input in one frame.
const CHUNK: usize = 64 * 1024;
/// Bytes of standard input on their way. Below the socket's buffer, so that sending never waits.
const WINDOW: usize = 2 * CHUNK;

/// A sandbox of one executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxId(pub(crate) u64);

impl SandboxId {
    /// The number in error messages.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    pub(crate) sandbox: SandboxId,
    pub(crate) call: u64,
}

impl CallId {
    /// A number that counts within its sandbox.
    #[must_use]
    pub fn number(self) -> u64 {
        self.call
    }
}

/// What happened in a sandbox.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The program wrote to standard output.
    Stdout {
        /// Where.
        sandbox: SandboxId,
        /// What.
        data: Vec<u8>,
    },
    /// The program wrote to standard error.
    Stderr {
        /// Where.
        sandbox: SandboxId,
        /// What.
        data: Vec<u8>,
    },
    /// A call waits until [`Executor::respond`] is told what becomes of it. Only the task that
    /// called waits. Without an answer it is denied when the policy's time for answers is over, and
    /// with the end of the run.
    Syscall {
        /// For the answer.
        id: CallId,
        /// Where.
        sandbox: SandboxId,
        /// The process that called.
        pid: i32,
        /// The name of the call, such as `unlinkat`.
        syscall: String,
        /// Whether it is about a directory.
        directory: bool,
        /// What it is about to do.
        context: SyscallContext,
    },
    /// A call no longer waits: its task has ended, or the time for the answer is over.
    Withdrawn {
        /// Which.
        id: CallId,
        /// Where.
        sandbox: SandboxId,
    },
    /// The run has ended and nothing of it is alive.
    Completed {
        /// Where.
        sandbox: SandboxId,
        /// Everything, the streams included.
        output: Output,
    },
    /// The run was ended by its timeout and nothing of it is alive.
    TimedOut {
        /// Where.
        sandbox: SandboxId,
        /// Everything up to then.
        output: Output,
    },
    /// The program could not be started, or its guard died.
    Failed {
        /// Where.
        sandbox: SandboxId,
        /// Why.
        error: Error,
    },
}

impl Event {
    /// The sandbox it is about.
    #[must_use]
    pub fn sandbox(&self) -> SandboxId {
        match self {
            Self::Stdout { sandbox, .. }
            | Self::Stderr { sandbox, .. }
            | Self::Syscall { sandbox, .. }
            | Self::Withdrawn { sandbox, .. }
            | Self::Completed { sandbox, .. }
            | Self::TimedOut { sandbox, .. }
            | Self::Failed { sandbox, .. } => *sandbox,
        }
    }
}

/// Runs plans. Belongs to one thread at a time and to the process that made it; every thread may
/// have its own. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Executor {
    owner: u32,
    daemon: Arc<Daemon>,
    /// Whether the daemon is the process's own, to be replaced if it dies.
    shared: bool,
    epoll: Epoll,
    running: HashMap<u64, Running>,
    serial: u64,
    events: VecDeque<Event>,
    inbox: Inbox,
    channels: Channels,
}

/// Where answers go, by sandbox.
type Channels = Arc<Mutex<HashMap<u64, Weak<Channel>>>>;

/// Answers questions of an executor's sandboxes, from any thread, while another one waits in
/// [`Executor::poll`].
#[derive(Debug, Clone)]
pub struct Responder {
    owner: u32,
    channels: Channels,
}

impl Responder {
    /// Answers a call. In any order, after any time; only the first answer counts. If the call, or
    /// its sandbox, has ended meanwhile, nothing happens.
    ///
    /// # Errors
    /// [`SessionError::UseAfterFork`], [`SessionError::Io`].
    pub fn respond(&self, id: CallId, answer: impl Into<Answer>) -> Result<()> {
        if self.owner != std::process::id() {
            return Err(SessionError::UseAfterFork { owner: self.owner }.into());
        }
        let channel = {
            let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
            channels.get(&id.sandbox.0).and_then(Weak::upgrade)
        };
        match channel {
            Some(channel) => send(&channel, &Frame::Answer(id.call, Box::new(answer.into()))),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Running {
    channel: Arc<Channel>,
    output: Output,
    collect: Vec<PathBuf>,
    stdin: Feed,
    confinement: Arc<Confinement>,
    /// Whether pieces of output become events. Not within `run`.
    streams: bool,
    /// Whether somebody answers. Within `run` nobody does.
    asks: bool,
    audit: Option<Arc<OwnedFd>>,
}

/// Standard input on its way.
#[derive(Debug, Default)]
struct Feed {
    data: VecDeque<Vec<u8>>,
    offset: usize,
    in_flight: usize,
    open: bool,
    close: bool,
}

impl Executor {
    /// An executor on this process's daemon, which is started if it isn't running.
    ///
    /// # Errors
    /// [`Error::Unavailable`], with what is missing and what to do.
    pub fn new() -> Result<Self> {
        Self::on(client::current()?, true)
    }

    /// An executor whose kernel is taken to have an older Landlock than it has: what older
    /// machines get can be tried on a new one.
    #[doc(hidden)]
    pub fn with_landlock_abi(abi: u32) -> Result<Self> {
        Self::on(Arc::new(Daemon::masked(abi)?), false)
    }

    /// An executor whose guards continue the calls they have judged, which loses races: what must
    /// not win a race is shown to win it here. Debug builds only; others ignore it.
    #[doc(hidden)]
    pub fn with_racy_continue() -> Result<Self> {
        Self::on(Arc::new(Daemon::racy()?), false)
    }

    /// An executor with a daemon of its own that makes no sandbox in advance: for a program whose
    /// one run is all it does.
    #[cfg(feature = "cli")]
    pub(crate) fn for_one_run() -> Result<Self> {
        Self::on(Arc::new(Daemon::without_spares()?), false)
    }

    fn on(daemon: Arc<Daemon>, shared: bool) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(io("epoll_create1"))?;
        Ok(Self {
            owner: std::process::id(),
            daemon,
            shared,
            epoll,
            running: HashMap::new(),
            serial: 0,
            events: VecDeque::new(),
            inbox: Inbox::default(),
            channels: Channels::default(),
        })
    }

    /// Runs a plan to its end. Events of other sandboxes wait meanwhile.
    ///
    /// # Errors
    /// As [`Executor::spawn`], and what only shows at the start: a command that isn't there, a grant
    /// that doesn't exist.
    pub fn run(&mut self, plan: &Plan) -> Result<Output> {
        match self.run_interruptible(&plan.validate()?, || Ok::<(), std::convert::Infallible>(())) {
            Ok(result) => result,
            Err(never) => match never {},
        }
    }

    /// As [`Executor::run`], and `decide` answers what the plan's policy asks about. Without it
    /// such calls are denied.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_with<A: Into<Answer>>(
        &mut self,
        plan: &Plan,
        mut decide: impl FnMut(&SyscallContext) -> A,
    ) -> Result<Output> {
        let id = self.start(&plan.validate()?, false, true)?;
        let responder = self.responder();
        loop {
            self.wait_for(None)?;
            while let Some(event) = self.next_of(id) {
                match event {
                    Event::Syscall { id, context, .. } => {
                        responder.respond(id, decide(&context))?;
                    }
                    Event::Completed { output, .. } | Event::TimedOut { output, .. } => {
                        return Ok(output);
                    }
                    Event::Failed { error, .. } => return Err(error),
                    _ => {}
                }
            }
        }
    }

    /// As [`Executor::run`], with a look at something else whenever a signal interrupts the wait.
    /// If that fails, the run is killed.
    #[doc(hidden)]
    pub fn run_interruptible<E>(
        &mut self,
        plan: &CheckedPlan,
        mut interrupted: impl FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<Result<Output>, E> {
        let id = match self.start(plan, false, false) {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match self.wait_for(None) {
                Ok(Wait::Interrupted) => {
                    if let Err(error) = interrupted() {
                        self.abandon(id);
                        return Err(error);
                    }
                }
                Ok(Wait::Ready | Wait::TimedOut) => {}
                Err(error) => return Ok(Err(error)),
            }
            while let Some(event) = self.next_of(id) {
                match event {
                    Event::Completed { output, .. } | Event::TimedOut { output, .. } => {
                        return Ok(Ok(output));
                    }
                    Event::Failed { error, .. } => return Ok(Err(error)),
                    _ => {}
                }
            }
        }
    }

    /// The next event of one sandbox. Those of the others stay in their order.
    fn next_of(&mut self, sandbox: SandboxId) -> Option<Event> {
        let at = self.events.iter().position(|event| event.sandbox() == sandbox)?;
        self.events.remove(at)
    }

    /// Starts a plan. What becomes of it comes out of [`Executor::poll`].
    ///
    /// # Errors
    /// [`Error::Plan`] for a plan that doesn't hold together, [`Error::Unavailable`] and
    /// [`Error::Session`] if the sandbox can't be made.
    pub fn spawn(&mut self, plan: impl AsRef<Plan>) -> Result<SandboxId> {
        self.start(&plan.as_ref().validate()?, true, true)
    }

    /// Starts a plan that was checked before.
    ///
    /// # Errors
    /// As [`Executor::spawn`].
    pub fn spawn_checked(&mut self, plan: &CheckedPlan) -> Result<SandboxId> {
        self.start(plan, true, true)
    }

    /// `streams`: whether pieces of output become events. `asks`: whether somebody answers.
    pub(crate) fn start(
        &mut self,
        plan: &CheckedPlan,
        streams: bool,
        asks: bool,
    ) -> Result<SandboxId> {
        self.check_owner()?;
        if plan.confinement.policy.is_some() && !self.daemon.hello.wait_killable {
            return Err(Unavailable::Machine(Machine::NoSupervision).into());
        }
        let launch =
            Frame::Go(Box::new(plan.launch.clone())).write().map_err(SessionError::Protocol)?;
        let fds = passed(plan);
        let channel = match self.launch(plan, &launch, &fds) {
            // The daemon was killed: nothing of this plan has run, so a new one may.
            Err(Error::Session(SessionError::GuardDied)) if self.shared => {
                self.daemon = client::current()?;
                self.launch(plan, &launch, &fds)?
            }
            other => other?,
        };
        self.serial += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.serial);
        self.epoll.add(&channel, event).map_err(io("epoll_ctl"))?;
        let mut stdin = Feed::default();
        match &plan.stdin {
            Stdin::Bytes(data) if !data.is_empty() => {
                stdin = Feed { open: true, close: true, ..Feed::default() };
                stdin.data.push_back(data.clone());
            }
            Stdin::Piped => stdin.open = true,
            _ => {}
        }
        let collect = plan.launch.collect.iter().map(|path| path_from(path)).collect();
        let confinement = Arc::clone(&plan.confinement);
        let output = Output::new();
        let channel = Arc::new(channel);
        self.channels().insert(self.serial, Arc::downgrade(&channel));
        let audit = plan.audit.clone();
        let mut running =
            Running { channel, output, collect, stdin, confinement, streams, asks, audit };
        running.feed()?;
        self.running.insert(self.serial, running);
        Ok(SandboxId(self.serial))
    }

    fn launch(&self, plan: &CheckedPlan, launch: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Channel> {
        loop {
            let (channel, ready) = self.daemon.sandbox(&plan.confinement, true)?;
            match channel.send(launch, fds, true) {
                // It had waited too long and went away. There may be another, and else a new one.
                Err(Errno::EPIPE | Errno::ECONNRESET) if ready => {}
                // A new one that is gone already has left the reason in the channel.
                Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => return Ok(channel),
                Err(errno) => return Err(io("sendmsg")(errno)),
            }
        }
    }

    /// The next event, waiting for it at most `timeout` (`None`: for ever). `None` if there was
    /// none in time, or if nothing runs.
    ///
    /// # Errors
    /// [`Error::Session`].
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Option<Event>> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match self.poll_interruptible(left)? {
                Polled::Event(event) => return Ok(Some(*event)),
                Polled::Nothing => return Ok(None),
                Polled::Interrupted => {}
            }
        }
    }

    /// As [`Executor::poll`], but returns when a signal handler has run.
    #[doc(hidden)]
    pub fn poll_interruptible(&mut self, timeout: Option<Duration>) -> Result<Polled> {
        self.check_owner()?;
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Polled::Event(Box::new(event)));
            }
            if self.running.is_empty() {
                return Ok(Polled::Nothing);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match self.wait_for(left)? {
                Wait::Interrupted => return Ok(Polled::Interrupted),
                Wait::TimedOut if self.events.is_empty() => return Ok(Polled::Nothing),
                // Input was passed on, say: no event, so wait on.
                Wait::Ready | Wait::TimedOut => {}
            }
        }
    }

    /// Answers a call that waits.
    ///
    /// # Errors
    /// As [`Responder::respond`].
    pub fn respond(&mut self, id: CallId, answer: impl Into<Answer>) -> Result<()> {
        self.responder().respond(id, answer)
    }

    /// For answers from other threads.
    #[must_use]
    pub fn responder(&self) -> Responder {
        Responder { owner: self.owner, channels: Arc::clone(&self.channels) }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<u64, Weak<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills a sandbox and everything in it. Its end still comes as an event.
    ///
    /// # Errors
    /// [`SessionError::UnknownSandbox`].
    pub fn kill(&mut self, sandbox: SandboxId) -> Result<()> {
        self.check_owner()?;
        self.running(sandbox)?.send(&Frame::Kill)
    }

    /// Sends a signal to the program itself.
    ///
    /// # Errors
    /// [`SessionError::UnknownSandbox`].
    pub fn signal(&mut self, sandbox: SandboxId, signal: i32) -> Result<()> {
        self.check_owner()?;
        self.running(sandbox)?.send(&Frame::Signal(signal))
    }

    /// Writes to standard input. Never waits: what the program has not read yet is kept.
    ///
    /// # Errors
    /// [`SessionError::UnknownSandbox`]; [`SessionError::StdinClosed`] if the plan has no piped
    /// input or the program has closed it.
    pub fn write_stdin(&mut self, sandbox: SandboxId, data: &[u8]) -> Result<()> {
        self.check_owner()?;
        let running = self.running(sandbox)?;
        if !running.stdin.open || running.stdin.close {
            return Err(SessionError::StdinClosed.into());
        }
        if !data.is_empty() {
            running.stdin.data.push_back(data.to_vec());
        }
        running.feed()
    }

    /// Ends standard input, after what was written.
    ///
    /// # Errors
    /// [`SessionError::UnknownSandbox`].
    pub fn close_stdin(&mut self, sandbox: SandboxId) -> Result<()> {
        self.check_owner()?;
        let running = self.running(sandbox)?;
        if running.stdin.open && !running.stdin.close {
            running.stdin.close = true;
            running.feed()?;
        }
        Ok(())
    }

    /// How many sandboxes are running.
    #[must_use]
    pub fn active(&self) -> usize {
        self.running.len()
    }

    fn running(&mut self, sandbox: SandboxId) -> Result<&mut Running> {
        self.running
            .get_mut(&sandbox.0)
            .ok_or_else(|| SessionError::UnknownSandbox(sandbox.0).into())
    }

    fn check_owner(&self) -> Result<()> {
        if self.owner == std::process::id() {
            Ok(())
        } else {
            Err(SessionError::UseAfterFork { owner: self.owner }.into())
        }
    }

    /// Drops a sandbox: its guard notices and ends it.
    pub(crate) fn abandon(&mut self, sandbox: SandboxId) {
        if let Some(running) = self.running.remove(&sandbox.0) {
            let _ = self.epoll.delete(&*running.channel);
            self.channels().remove(&sandbox.0);
            running.end();
        }
        self.events.retain(|event| event.sandbox() != sandbox);
    }

    fn wait_for(&mut self, timeout: Option<Duration>) -> Result<Wait> {
        if !self.events.is_empty() {
            return Ok(Wait::Ready);
        }
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            Some(left) => {
                let left = left + if left.is_zero() { left } else { Duration::from_micros(999) };
                EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
            }
        };
        let mut ready = [EpollEvent::empty(); 64];
        let count = match self.epoll.wait(&mut ready, timeout) {
            Ok(0) => return Ok(Wait::TimedOut),
            Ok(count) => count,
            Err(Errno::EINTR) => return Ok(Wait::Interrupted),
            Err(errno) => return Err(io("epoll_wait")(errno)),
        };
        for event in &ready[..count] {
            self.hear(event.data());
        }
        Ok(Wait::Ready)
    }

    /// One frame of one sandbox.
    fn hear(&mut self, id: u64) {
        let Some(mut running) = self.running.remove(&id) else { return };
        let sandbox = SandboxId(id);
        let mut inbox = std::mem::take(&mut self.inbox);
        let heard = running.channel.receive(&mut inbox);
        let over = match heard {
            Ok(Received::Message) => match Frame::read(inbox.message()) {
                Ok(frame) => self.take(sandbox, &mut running, frame),
                Err(error) => Some(failed(sandbox, SessionError::Protocol(error).into())),
            },
            Ok(Received::Nothing) => None,
            Ok(Received::Closed) => Some(failed(sandbox, SessionError::GuardDied.into())),
            Err(errno) => Some(failed(sandbox, io("recvmsg")(errno))),
        };
        self.inbox = inbox;
        match over {
            None => {
                self.running.insert(id, running);
            }
            Some(event) => {
                let _ = self.epoll.delete(&*running.channel);
                self.channels().remove(&id);
                // Afterwards, so that it takes no time from the run itself.
                if !matches!(event, Event::Failed { .. }) {
                    self.daemon.keep_ready(&running.confinement);
                }
                self.events.push_back(event);
            }
        }
    }

    /// Returns the last event of a sandbox.
    fn take(
        &mut self,
        sandbox: SandboxId,
        running: &mut Running,
        frame: Frame<'_>,
    ) -> Option<Event> {
        match frame {
            Frame::Stdout(data) => {
                running.output.stdout.extend_from_slice(data);
                if running.streams {
                    self.events.push_back(Event::Stdout { sandbox, data: data.to_vec() });
                }
            }
            Frame::Stderr(data) => {
                running.output.stderr.extend_from_slice(data);
                if running.streams {
                    self.events.push_back(Event::Stderr { sandbox, data: data.to_vec() });
                }
            }
            Frame::StdinTaken(count) => {
                let stdin = &mut running.stdin;
                stdin.in_flight = stdin.in_flight.saturating_sub(count as usize);
                if let Err(error) = running.feed() {
                    return Some(failed(sandbox, error));
                }
            }
            Frame::StdinClosed => running.stdin = Feed::default(),
            Frame::File(index, data) => {
                if let Some(path) = running.collect.get(usize::from(index)) {
                    running.output.files.entry(path.clone()).or_default().extend_from_slice(data);
                }
            }
            Frame::Question(question) if running.asks => {
                let Question { id: call, pid, syscall, directory, context } = *question;
                let id = CallId { sandbox, call };
                self.events.push_back(Event::Syscall {
                    id,
                    sandbox,
                    pid,
                    syscall,
                    directory,
                    context,
                });
            }
            Frame::Question(question) => {
                let answer = Decision::Deny.reason("there is nobody to ask");
                let sent = running.send(&Frame::Answer(question.id, Box::new(answer)));
                if let Err(error) = sent {
                    return Some(failed(sandbox, error));
                }
            }
            Frame::Withdrawn(call) => {
                let id = CallId { sandbox, call };
                self.events.push_back(Event::Withdrawn { id, sandbox });
            }
            Frame::Decided(decided) => {
                if let Some(file) = &running.audit
                    && let Err(error) = audit::write(file.as_fd(), &decided)
                {
                    return Some(failed(sandbox, io("write")(error)));
                }
            }
            Frame::Failed(error) => return Some(failed(sandbox, unwrap(*error))),
            Frame::Completed(report) => {
                let mut output = std::mem::replace(&mut running.output, Output::new());
                output.status = report.status;
                output.truncated = report.status == Status::OutputLimit;
                output.refused = report.refused;
                output.refused_beyond = report.refused_beyond;
                output.usage = report.usage;
                return Some(match report.status {
                    Status::TimedOut => Event::TimedOut { sandbox, output },
                    _ => Event::Completed { sandbox, output },
                });
            }
            Frame::Go(_)
            | Frame::Stdin(_)
            | Frame::CloseStdin
            | Frame::Kill
            | Frame::Signal(_)
            | Frame::Answer(..) => {
                let error = SessionError::Protocol(postcard::Error::DeserializeBadEnum);
                return Some(failed(sandbox, error.into()));
            }
        }
        None
    }
}

/// What [`Executor::poll_interruptible`] found.
#[doc(hidden)]
#[derive(Debug)]
pub enum Polled {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing in time, or nothing runs.
    Nothing,
    /// A signal handler ran.
    Interrupted,
}

enum Wait {
    Ready,
    TimedOut,
    Interrupted,
}

impl Running {
    /// Sends what fits into the window.
    fn feed(&mut self) -> Result<()> {
        let Self { stdin, channel, .. } = self;
        while stdin.in_flight < WINDOW
            && let Some(front) = stdin.data.front()
        {
            let end = front.len().min(stdin.offset + CHUNK);
            let chunk = &front[stdin.offset..end];
            send(channel, &Frame::Stdin(chunk))?;
            stdin.in_flight += chunk.len();
            stdin.offset = end;
            if end == front.len() {
                stdin.data.pop_front();
                stdin.offset = 0;
            }
        }
        if stdin.open && stdin.close && stdin.data.is_empty() {
            stdin.open = false;
            send(channel, &Frame::CloseStdin)?;
        }
        Ok(())
    }

    fn send(&self, frame: &Frame<'_>) -> Result<()> {
        send(&self.channel, frame)
    }

    /// Ends a run that nobody looks at any more. Never waits.
    fn end(&self) {
        if let Ok(frame) = Frame::Kill.write() {
            // A guard that can't be told sees the channel close.
            let _ = self.channel.send(&frame, &[], false);
        }
    }
}

fn send(channel: &Channel, frame: &Frame<'_>) -> Result<()> {
    let bytes = frame.write().map_err(SessionError::Protocol)?;
    match channel.send(&bytes, &[], true) {
        // The guard has ended: its last frame tells how.
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(io("sendmsg")(errno)),
    }
}

/// Descriptors that travel with the launch, in the order of the streams.
fn passed(plan: &CheckedPlan) -> Vec<BorrowedFd<'_>> {
    let stdin = match &plan.stdin {
        Stdin::Fd(fd) => Some(fd.as_fd()),
        _ => None,
    };
    let sinks = [&plan.stdout, &plan.stderr].into_iter().filter_map(|sink| match sink {
        Sink::Fd(fd) => Some(fd.as_fd()),
        _ => None,
    });
    stdin.into_iter().chain(sinks).collect()
}

/// The layer an error belongs to, wherever it was found.
fn unwrap(error: crate::error::LaunchError) -> Error {
    use crate::error::{LaunchError, Unavailable};
    match error {
        LaunchError::Plan(error) => Error::Plan(error),
        LaunchError::Machine(machine) => Error::Unavailable(Unavailable::Machine(machine)),
        other => Error::Launch(other),
    }
}

fn failed(sandbox: SandboxId, error: Error) -> Event {
    Event::Failed { sandbox, error }
}

fn path_from(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn io(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| match errno {
        Errno::EMFILE | Errno::ENFILE => client::no_descriptors(errno),
        errno => SessionError::Io { call, source: errno.into() }.into(),
    }
}

impl Drop for Executor {
    /// Closing the channels is not enough where a forked child of this process holds them, too.
    fn drop(&mut self) {
        if self.check_owner().is_ok() {
            for running in self.running.values() {
                running.end();
            }
        }
    }
}

impl AsFd for Executor {
    /// Readable when [`Executor::poll`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl AsRawFd for Executor {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRef<Plan> for Plan {
    fn as_ref(&self) -> &Plan {
        self
    }
}
