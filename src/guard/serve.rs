//! The thread that answers the listener.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::context::{Context, Refusal};
use super::decode::{Call, decode};
use super::desk::{Desk, Judge, Judged, LOOK};
use super::execs::Execs;
use super::lane::Lanes;
use super::perform::{Answer, Ready, files, net, open, signals};
use super::resolve::View;
use crate::isolation::syscalls::{self, GuardClass};
use crate::sys::memory::Memory;
use crate::sys::notify::{ContinueProof, Notification};
use crate::sys::process::is_thread_of;

/// How often sockets that are being connected are looked at.
const SETTLE: Duration = Duration::from_millis(20);
/// Opens of pipes that wait for their other end.
const PIPES: usize = 64;

/// Answers calls until the last task under the filter is gone.
pub(crate) fn serve(context: &Arc<Context>, judge: Option<Judge>) {
    let mut server = Server {
        context: Arc::clone(context),
        lanes: Lanes::new(),
        desk: judge.map(Desk::new),
        execs: Execs::default(),
        pipes: Arc::default(),
        looked: Instant::now(),
    };
    while server.step() {}
}

struct Server {
    context: Arc<Context>,
    lanes: Lanes,
    desk: Option<Desk>,
    execs: Execs,
    pipes: Arc<AtomicUsize>,
    /// When calls that wait were last looked after.
    looked: Instant,
}

impl Server {
    /// Waits for something to do and does it. Returns whether there may be more.
    fn step(&mut self) -> bool {
        let context = Arc::clone(&self.context);
        let unsettled = !context.kernel.pidfd_getfd && context.sockets.unsettled();
        let mut fds = vec![PollFd::new(context.listener.as_fd(), PollFlags::POLLIN)];
        if let Some(desk) = &self.desk {
            fds.push(PollFd::new(desk.answered().as_fd(), PollFlags::POLLIN));
        }
        let looks = self.desk.as_ref().is_some_and(Desk::is_open).then_some(LOOK);
        let wait = [unsettled.then_some(SETTLE), looks, self.execs.wait()];
        let wait = wait.into_iter().flatten().min().map(TimeSpec::from_duration);
        match ppoll(&mut fds, wait, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
        let ready = |at: usize| fds.get(at).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let (events, answered) = (ready(0), ready(1));
        if unsettled {
            context.sockets.settle();
        }
        self.look_at_execs();
        if !answered.is_empty() {
            self.hear_host();
        }
        if looks.is_some()
            && self.looked.elapsed() >= LOOK
            && let Some(desk) = &mut self.desk
        {
            desk.look_around(&context);
            self.looked = Instant::now();
        }
        if events.contains(PollFlags::POLLIN) {
            match context.listener.receive() {
                Ok(call) => self.answer(&call),
                // Its task died or was interrupted between poll and here.
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(_) => return false,
            }
        } else if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return false;
        }
        true
    }

    fn answer(&mut self, call: &Notification) {
        let context = Arc::clone(&self.context);
        let class = syscalls::class_for_guard(&context.profile, context.arch, call.nr, &call.args);
        if let GuardClass::Refuse(errno) = class {
            let target = describe(&context, call);
            let errno = Errno::from_raw(errno.into());
            let grant = would_allow(&context, call);
            context.refuse(call, Refusal::Denied { errno, target, grant });
            return;
        }
        let result = decoded(&context, call).and_then(|decoded| self.judge(call, &decoded));
        self.reply(call, result);
    }

    fn reply(&self, call: &Notification, result: Result<Answer, Refusal>) {
        let listener = &self.context.listener;
        let sent = match result {
            Ok(Answer::Value(value)) => listener.value(call.id, value),
            Ok(Answer::Descriptor { fd, cloexec }) => {
                listener.give_fd(call.id, fd.as_fd(), cloexec)
            }
            Ok(Answer::Proceed(proof)) => listener.proceed(call.id, proof),
            Ok(Answer::Later) => Ok(()),
            Err(refusal) => {
                self.context.refuse(call, refusal);
                Ok(())
            }
        };
        match sent {
            // ENOENT: the caller died meanwhile. Nothing is owed to it.
            Ok(()) | Err(Errno::ENOENT) => {}
            // ADDFD fails when the caller's table is full; it must still get an answer.
            Err(errno) => drop(listener.errno(call.id, errno)),
        }
    }

    fn judge(&mut self, call: &Notification, decoded: &Call) -> Result<Answer, Refusal> {
        let context = Arc::clone(&self.context);
        if matches!(decoded, Call::Exec { .. }) && context.is_first_exec(call.tid) {
            // The plan's own program, executed by code of ours.
            return Ok(Answer::Proceed(ContinueProof::NothingDecided));
        }
        let ready = self.look(call, decoded)?;
        let Some(desk) = &mut self.desk else {
            return self.perform(call, decoded, ready, false);
        };
        let judged = desk.consider(&context, call, decoded, ready, 0)?;
        self.follow(call, decoded, judged)
    }

    fn follow(
        &mut self,
        call: &Notification,
        decoded: &Call,
        judged: Judged,
    ) -> Result<Answer, Refusal> {
        match judged {
            Judged::Go { .. } if cfg!(debug_assertions) && self.context.racy => {
                Ok(Answer::Proceed(ContinueProof::NothingDecided))
            }
            Judged::Go { ready, approved } => self.perform(call, decoded, ready, approved),
            Judged::Done => Ok(Answer::Later),
        }
    }

    /// Pins what a call names, and makes sure that it still was the caller's then.
    fn look(&self, call: &Notification, decoded: &Call) -> Result<Ready, Refusal> {
        let context = &self.context;
        let view = View { procfs: context.procfs.as_fd(), tid: call.tid };
        let ready = Ready::look(context, call, view, decoded)?;
        if context.listener.still_waiting(call.id) { Ok(ready) } else { Err(Errno::ESRCH.into()) }
    }

    /// Answers of the host.
    fn hear_host(&mut self) {
        let context = Arc::clone(&self.context);
        let Some(desk) = &mut self.desk else { return };
        for due in desk.answers(&context) {
            let (call, decoded) = due.call();
            let result = self.look(&call, decoded).and_then(|ready| {
                let Some(desk) = &mut self.desk else { return Ok(Answer::Later) };
                let judged = desk.apply(&context, &due, ready)?;
                self.follow(&call, decoded, judged)
            });
            self.reply(&call, result);
        }
        while let Some((call, decoded)) = self.desk.as_mut().and_then(Desk::next_queued) {
            let result = self.judge(&call, &decoded);
            self.reply(&call, result);
        }
    }

    fn perform(
        &mut self,
        call: &Notification,
        decoded: &Call,
        ready: Ready,
        approved: bool,
    ) -> Result<Answer, Refusal> {
        let context = Arc::clone(&self.context);
        let umask = || self.desk.as_ref().map_or(super::UMASK, |desk| desk.umask(call.tid));
        match ready {
            Ready::Names(ready) => ready.perform(umask()),
            Ready::Open(ready) if ready.may_block() => self.open_pipe(call, ready),
            Ready::Open(ready) => ready.perform(&context, umask()),
            Ready::Truncate(ready) => ready.perform(&context, call),
            Ready::Metadata(ready) => ready.perform(&context),
            Ready::Connect(ready) => ready.perform(&context, &self.lanes, approved),
            Ready::Bind(ready) => ready.perform(&context, umask(), approved),
            Ready::Listen(ready) => ready.perform(&context, approved),
            Ready::Exec(ready) => {
                self.execs.begin(&context, *call, ready);
                Ok(Answer::Later)
            }
            Ready::Other(_) => self.other(call, decoded),
        }
    }

    /// A pipe's open waits for the other end, which may be opened through here as well.
    fn open_pipe(&self, call: &Notification, ready: open::Ready) -> Result<Answer, Refusal> {
        if self.pipes.fetch_add(1, Ordering::AcqRel) >= PIPES {
            self.pipes.fetch_sub(1, Ordering::AcqRel);
            return Err(Errno::EAGAIN.into());
        }
        let (context, call, pipes) = (Arc::clone(&self.context), *call, Arc::clone(&self.pipes));
        let job = move || {
            let opened = ready.perform(&context, super::UMASK);
            pipes.fetch_sub(1, Ordering::AcqRel);
            let sent = match opened {
                Ok(Answer::Descriptor { fd, cloexec }) => {
                    context.listener.give_fd(call.id, fd.as_fd(), cloexec)
                }
                Ok(_) => context.listener.errno(call.id, Errno::EIO),
                Err(refusal) => {
                    context.refuse(&call, refusal);
                    Ok(())
                }
            };
            if let Err(errno) = sent {
                // ENOENT: the caller died meanwhile.
                let _ = context.listener.errno(call.id, errno);
            }
        };
        let thread = std::thread::Builder::new().name("pipe".into()).stack_size(64 * 1024);
        match thread.spawn(job) {
            Ok(_) => Ok(Answer::Later),
            Err(_) => Err(Errno::EAGAIN.into()),
        }
    }

    fn look_at_execs(&mut self) {
        let context = Arc::clone(&self.context);
        self.execs.look(&context);
    }

    /// Calls of which nothing need be pinned.
    fn other(&mut self, call: &Notification, decoded: &Call) -> Result<Answer, Refusal> {
        let context = Arc::clone(&self.context);
        let view = View { procfs: context.procfs.as_fd(), tid: call.tid };
        match decoded {
            Call::Spawn { .. } => spawn(&context, call),
            Call::Socket { family, kind, protocol } => {
                net::make(&context, *family, *kind, *protocol)
            }
            Call::Open { target, flags, mode } => {
                files::open_truncating(&context, call, view, target, *flags, *mode)
            }
            Call::Umask { mask } => {
                if let Some(desk) = &self.desk {
                    desk.umask_set(*mask);
                }
                Ok(Answer::Proceed(ContinueProof::RegistersOnly))
            }
            // Landlock scopes them, so only a policy can have wanted to see them.
            Call::SignalProcess { .. } | Call::SignalThread { .. }
                if context.kernel.landlock >= 6 =>
            {
                Ok(Answer::Proceed(ContinueProof::RegistersOnly))
            }
            Call::SignalProcess { pid, .. } => signals::to_process(&context, *pid),
            Call::SignalThread { tgid, tid, .. } => signals::to_thread(&context, *tgid, *tid),
            Call::SignalPidfd { .. } => signals::to_pidfd(),
            Call::ChildHandler { action } => Ok(signals::restart_calls(call.tid, *action)),
            Call::OwnSetting { pid } => own_setting(&context, call, *pid),
            Call::Affinity { tid, mask } => set_affinity(&context, call, *tid, mask),
            // Pinned and performed by their own.
            Call::Names(_)
            | Call::Truncate { .. }
            | Call::Metadata { .. }
            | Call::Connect { .. }
            | Call::Bind { .. }
            | Call::Listen { .. }
            | Call::Exec { .. } => Err(Errno::ENOSYS.into()),
        }
    }
}

fn decoded(context: &Context, call: &Notification) -> Result<Call, Refusal> {
    let name = syscalls::name(context.arch, call.nr).unwrap_or_default();
    let decoded = decode(name, &call.args, &Memory(call.tid)).map_err(|errno| match errno {
        // Not readable at all is a matter of rights, not of the argument.
        Errno::EPERM => {
            Refusal::Denied { errno, target: "the caller can't be inspected".into(), grant: None }
        }
        other => Refusal::Failed(other),
    })?;
    decoded.ok_or_else(|| Refusal::Denied {
        errno: Errno::ENOSYS,
        target: name.into(),
        grant: None,
    })
}

fn spawn(context: &Context, call: &Notification) -> Result<Answer, Refusal> {
    if context.closing.load(Ordering::Acquire) {
        return Ok(Answer::Later);
    }
    if context.tasks.admit(call.tid, &context.membership()) {
        // The flags were judged by the filter, and they are in registers.
        return Ok(Answer::Proceed(ContinueProof::RegistersOnly));
    }
    Err(Refusal::Denied {
        errno: Errno::EAGAIN,
        target: "one more process or thread".into(),
        grant: Some("limits.tasks".into()),
    })
}

/// Limits and priority of the caller itself, under its number.
fn own_setting(context: &Context, call: &Notification, pid: i32) -> Result<Answer, Refusal> {
    if is_caller(context, call, pid) {
        return Ok(Answer::Proceed(ContinueProof::RegistersOnly));
    }
    let target = format!("process {pid}");
    Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None })
}

/// Whether a number is the caller's thread or its process. Both stay its own for as long as it
/// waits in a call, whatever its other threads do: the process has its number until the last
/// thread has ended.
fn is_caller(context: &Context, call: &Notification, pid: i32) -> bool {
    (pid == call.tid || is_thread_of(call.tid, pid)) && context.listener.still_waiting(call.id)
}

/// The processors of a thread. Thread libraries and OpenMP set those of the threads they start, so
/// the caller's siblings count, too.
///
/// A sibling may end, and its number become that of a process outside. The kernel can't be told
/// which thread is meant but by its number, so this is done here and not left to the caller, who
/// could wait between this look and the call until the number has come round: what is left is the
/// moment between two calls of the guard, and there a mask of processors of another process of the
/// same user.
fn set_affinity(
    context: &Context,
    call: &Notification,
    tid: i32,
    mask: &[u8],
) -> Result<Answer, Refusal> {
    if is_caller(context, call, tid) {
        return Ok(Answer::Proceed(ContinueProof::RegistersOnly));
    }
    if !context.membership().share_process(call.tid, tid)
        || !context.listener.still_waiting(call.id)
    {
        let target = format!("process {tid}");
        return Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None });
    }
    Ok(Answer::Value(crate::sys::process::set_affinity(tid, mask).map(|()| 0)?))
}

/// The grant that would have let a call through that the table refuses.
fn would_allow(context: &Context, call: &Notification) -> Option<String> {
    let [family, kind, ..] = call.args.map(|arg| arg as i32);
    let stream =
        matches!(family, libc::AF_INET | libc::AF_INET6) && kind & 0xf == libc::SOCK_STREAM;
    let name = syscalls::name(context.arch, call.nr);
    // Where to is not known yet.
    (name == Some("socket") && stream && !context.profile.tcp)
        .then(|| "connect(\"address:port\")".to_owned())
}

/// What a refused call was about, from its registers only.
fn describe(context: &Context, call: &Notification) -> String {
    let [a, b, c, ..] = call.args;
    match syscalls::name(context.arch, call.nr).unwrap_or_default() {
        "socket" | "socketpair" => {
            format!("family {} type {} protocol {}", a as i32, b as i32 & 0xf, c as i32)
        }
        "clone" => format!("flags {a:#x}"),
        "prctl" => format!("option {}", a as i32),
        "ioctl" => format!("request {:#x}", b as u32),
        "fcntl" => format!("command {}", b as i32),
        "setsockopt" => format!("level {} option {}", b as i32, c as i32),
        "sched_setscheduler" | "ptrace" | "process_vm_readv" | "process_vm_writev" => {
            format!("process {}", a as i32)
        }
        "setpriority" | "ioprio_set" => format!("process {}", b as i32),
        "open" | "openat" | "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" => {
            "set-user-ID or set-group-ID mode, or a device".into()
        }
        _ => String::new(),
    }
}
