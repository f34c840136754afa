//! Programs on their way into memory: from the decision that one may be executed until it stands
//! there and is seen to be the one.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::context::{Context, Refusal};
use super::perform::exec::{Expected, Ready};
use super::resolve::View;
use crate::sys::notify::{ContinueProof, Notification};
use crate::sys::ptrace::{self, Stop};

/// Most programs stand in memory after a small part of a millisecond.
const SHORT: Duration = Duration::from_micros(50);
const SHORT_FOR: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct InFlight {
    call: Notification,
    /// The process: whichever thread executes, afterwards it has this number.
    process: i32,
    expected: Expected,
    begun: Instant,
    killed: bool,
}

/// Execs that were let go, and those that wait: of one process only one is let go at a time, since
/// two would each wait for the other's thread to end.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    in_flight: Vec<InFlight>,
    waiting: VecDeque<(Notification, i32, Ready)>,
}

impl Execs {
    /// How soon [`Execs::look`] is to be called.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let youngest = self.in_flight.iter().map(|exec| exec.begun.elapsed()).min()?;
        Some(if youngest < SHORT_FOR { SHORT } else { LONG })
    }

    /// Lets a program be executed, now or when the process's other exec is over.
    pub(crate) fn begin(&mut self, context: &Context, call: Notification, ready: Ready) {
        let process = match context.membership().process_of(call.tid) {
            Ok(process) => process,
            Err(errno) => return context.refuse(&call, Refusal::Failed(errno)),
        };
        if self.in_flight.iter().any(|exec| exec.process == process) {
            self.waiting.push_back((call, process, ready));
            return;
        }
        let expected = ready.expected();
        let traced = ptrace::seize(call.tid).and_then(|()| {
            // Before it goes on, so that it stops at the latest when the exec has failed.
            ptrace::interrupt(call.tid)
        });
        if let Err(errno) = traced {
            let target = "the caller can't be inspected".into();
            let errno = if errno == Errno::ESRCH { errno } else { Errno::EPERM };
            return context.refuse(&call, Refusal::Denied { errno, target, grant: None });
        }
        // ENOENT: the caller died meanwhile, and is reaped below.
        let _ = context.listener.proceed(call.id, ContinueProof::VerifiedAfterExec);
        self.in_flight.push(InFlight {
            call,
            process,
            expected,
            begun: Instant::now(),
            killed: false,
        });
    }

    /// Looks which programs stand in memory by now.
    pub(crate) fn look(&mut self, context: &Context) {
        if self.in_flight.is_empty() {
            return;
        }
        let mut over = false;
        self.in_flight.retain_mut(|exec| {
            let stays = !exec.is_over(context);
            over |= !stays;
            stays
        });
        if over {
            for (call, process, ready) in std::mem::take(&mut self.waiting) {
                if !context.listener.still_waiting(call.id) {
                    // The other exec has ended this thread.
                    continue;
                }
                if self.in_flight.iter().any(|exec| exec.process == process) {
                    self.waiting.push_back((call, process, ready));
                } else {
                    self.begin(context, call, ready);
                }
            }
        }
    }
}

impl InFlight {
    fn is_over(&mut self, context: &Context) -> bool {
        if self.is_dead(context) {
            return true;
        }
        let task = if ptrace::stopped(self.process) == Some(Stop::Exec) {
            self.process
        } else {
            self.call.tid
        };
        match ptrace::stopped(task) {
            Some(Stop::Exec) if !self.killed => {
                let view = View { procfs: context.procfs.as_fd(), tid: task };
                if self.expected.holds(view, task) == Ok(true) {
                    let _ = ptrace::detach(task);
                    return true;
                }
                let target = "another program than was decided on".to_owned();
                context.remember(&self.call, Errno::EPERM, target, None);
                let _ = kill(Pid::from_raw(task), Signal::SIGKILL);
                // Its parent is told only once it has been reaped here.
                self.killed = true;
                false
            }
            Some(Stop::Other) if !self.killed => {
                let _ = ptrace::detach(task);
                true
            }
            _ => false,
        }
    }

    /// Whether the task is gone. The guard's main loop reaps the first program itself, and learns
    /// from it how the run has ended.
    fn is_dead(&self, context: &Context) -> bool {
        let tasks = [self.call.tid, self.process];
        if tasks.into_iter().any(|task| task != context.target && ptrace::reap(task)) {
            return true;
        }
        !tasks.into_iter().any(crate::sys::process::exists)
    }
}
