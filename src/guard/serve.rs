//! The thread that answers the listener.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::context::{Context, Refusal};
use super::decode::{Call, decode};
use super::lane::Lanes;
use super::perform::{Answer, files, metadata, net, signals};
use super::resolve::View;
use crate::isolation::syscalls::{self, GuardClass};
use crate::sys::memory::Memory;
use crate::sys::notify::{ContinueProof, Notification};
use crate::sys::process::is_thread_of;

/// How often sockets that are being connected are looked at.
const SETTLE_MS: u16 = 20;

/// Answers calls until the last task under the filter is gone.
pub(crate) fn serve(context: &Arc<Context>) {
    let lanes = Lanes::new();
    loop {
        let mut listener = [PollFd::new(context.listener.as_fd(), PollFlags::POLLIN)];
        let unsettled = !context.kernel.pidfd_getfd && context.sockets.unsettled();
        let wait = if unsettled { PollTimeout::from(SETTLE_MS) } else { PollTimeout::NONE };
        match poll(&mut listener, wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        if unsettled {
            context.sockets.settle();
        }
        let events = listener[0].revents().unwrap_or(PollFlags::empty());
        if events.contains(PollFlags::POLLIN) {
            match context.listener.receive() {
                Ok(call) => answer(context, &lanes, &call),
                // Its task died or was interrupted between poll and here.
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(_) => return,
            }
        } else if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return;
        }
    }
}

fn answer(context: &Arc<Context>, lanes: &Lanes, call: &Notification) {
    let class = syscalls::class_for_guard(&context.profile, context.arch, call.nr, &call.args);
    if let GuardClass::Refuse(errno) = class {
        let target = describe(context, call);
        let errno = Errno::from_raw(errno.into());
        let grant = would_allow(context, call);
        context.refuse(call, Refusal::Denied { errno, target, grant });
        return;
    }
    let result = match perform(context, lanes, call) {
        Ok(Answer::Value(value)) => context.listener.value(call.id, value),
        Ok(Answer::Descriptor { fd, cloexec }) => {
            context.listener.give_fd(call.id, fd.as_fd(), cloexec)
        }
        Ok(Answer::Proceed(proof)) => context.listener.proceed(call.id, proof),
        Ok(Answer::Later) => Ok(()),
        Err(refusal) => {
            context.refuse(call, refusal);
            Ok(())
        }
    };
    match result {
        // ENOENT: the caller died meanwhile. Nothing is owed to it.
        Ok(()) | Err(Errno::ENOENT) => {}
        // ADDFD fails when the caller's table is full; it must still get an answer.
        Err(errno) => drop(context.listener.errno(call.id, errno)),
    }
}

fn perform(context: &Arc<Context>, lanes: &Lanes, call: &Notification) -> Result<Answer, Refusal> {
    let name = syscalls::name(context.arch, call.nr).unwrap_or_default();
    let view = View { procfs: context.procfs.as_fd(), tid: call.tid };
    let decoded = decode(name, &call.args, &Memory(call.tid)).map_err(|errno| match errno {
        // Not readable at all is a matter of rights, not of the argument.
        Errno::EPERM => {
            Refusal::Denied { errno, target: "the caller can't be inspected".into(), grant: None }
        }
        other => Refusal::Failed(other),
    })?;
    let Some(decoded) = decoded else {
        return Err(Refusal::Denied { errno: Errno::ENOSYS, target: name.into(), grant: None });
    };
    match decoded {
        Call::Spawn => spawn(context, call),
        Call::Metadata { target, change } => {
            metadata::perform(context, call, view, &target, change)
        }
        Call::Connect { fd, address } => net::connect(context, lanes, call, view, fd, address),
        Call::Bind { fd, address } => net::bind(context, call, view, fd, &address),
        Call::Listen { fd, backlog } => net::listen(context, call, fd, backlog),
        Call::Socket { family, kind, protocol } => net::make(context, family, kind, protocol),
        Call::Truncate { target, length } => files::truncate(context, call, view, &target, length),
        Call::Open { target, flags, mode } => {
            files::open_truncating(context, call, view, &target, flags, mode)
        }
        Call::SignalProcess { pid } => signals::to_process(context, pid),
        Call::SignalThread { tgid, tid } => signals::to_thread(context, tgid, tid),
        Call::SignalPidfd => signals::to_pidfd(),
        Call::ChildHandler { action } => Ok(signals::restart_calls(call.tid, action)),
        Call::OwnSetting { pid } => own_setting(context, call, pid),
        Call::Affinity { tid, mask } => set_affinity(context, call, tid, &mask),
    }
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
