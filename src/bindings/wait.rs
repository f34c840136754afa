//! Waiting: without the interpreter, but not deaf to its signals.

use std::time::Duration;

use pyo3::prelude::*;

use super::errors;
use crate::error::Result;
use crate::plan::Stdin;
use crate::session::Polled;
use crate::{Decision, Event, Executor, Output, Plan, SandboxId};

/// How long the main thread waits without a look at its signals. A signal ends a wait at once; this
/// is for one that arrives just before it.
const TICK: Duration = Duration::from_millis(100);
/// How long a killed sandbox may take to be gone before it is left to its guard.
const KILL: Duration = Duration::from_secs(5);

/// The longest single wait of this thread. Only the main thread runs signal handlers.
pub(super) fn tick() -> Option<Duration> {
    (nix::unistd::gettid() == nix::unistd::getpid()).then_some(TICK)
}

/// Runs a plan on an executor of its own, so that any number of threads can.
pub(super) fn run(py: Python<'_>, plan: &Plan, decide: Option<&Py<PyAny>>) -> PyResult<Output> {
    no_pipe(py, plan)?;
    let asks = decide.is_some();
    let started = py.detach(|| {
        let checked = plan.validate()?;
        let mut executor = Executor::new()?;
        let id = executor.start(&checked, false, asks)?;
        Result::Ok((executor, id))
    });
    let (mut executor, id) = started.map_err(|error| errors::raise(py, &error))?;
    let tick = tick();
    loop {
        let polled = py.detach(|| executor.poll_interruptible(tick));
        match polled.map_err(|error| errors::raise(py, &error))? {
            Polled::Event(event) => match *event {
                Event::Completed { output, .. } | Event::TimedOut { output, .. } => {
                    return Ok(output);
                }
                Event::Failed { error, .. } => return Err(errors::raise(py, &error)),
                Event::Syscall { id: call, context, .. } => {
                    let said = match decide {
                        Some(decide) => super::supervise::ask(py, decide, &context),
                        None => Ok(Decision::Deny.into()),
                    };
                    let (answer, raised) = match said {
                        Ok(answer) => (answer, None),
                        Err(raised) => (Decision::Deny.into(), Some(raised)),
                    };
                    let sent = executor.respond(call, answer);
                    if let Some(raised) = raised {
                        py.detach(|| end(&mut executor, &[id]));
                        return Err(raised);
                    }
                    sent.map_err(|error| errors::raise(py, &error))?;
                }
                Event::Stdout { .. } | Event::Stderr { .. } | Event::Withdrawn { .. } => {}
            },
            Polled::Nothing | Polled::Interrupted => {
                if let Err(raised) = py.check_signals() {
                    py.detach(|| end(&mut executor, &[id]));
                    return Err(raised);
                }
            }
        }
    }
}

/// A plan that somebody would have to write to.
pub(super) fn no_pipe(py: Python<'_>, plan: &Plan) -> PyResult<()> {
    if matches!(plan.stdin, Stdin::Piped) {
        let message = "stdin: PIPE is for Session.spawn; nobody could write to it here";
        return Err(errors::plan(py, message.to_owned()));
    }
    Ok(())
}

/// Kills sandboxes and waits until nothing of them is alive. Their events are lost.
pub(super) fn end(executor: &mut Executor, sandboxes: &[SandboxId]) {
    for &sandbox in sandboxes {
        // Unknown: it has ended.
        let _ = executor.kill(sandbox);
    }
    let until = std::time::Instant::now() + KILL;
    while executor.active() > 0 {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() || executor.poll_interruptible(Some(left)).is_err() {
            return;
        }
    }
}
