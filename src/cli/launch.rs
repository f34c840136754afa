//! Runs one plan in the place of its command: streams, signals and exit status are the program's.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Failure;
use super::options::Request;
use super::relay::Relay;
use super::streams::{Streams, arrange};
use super::terminal::{Pair, Raw};
use crate::session::{Event, Executor, Output, SandboxId};
use crate::wire::Status;

/// A program that was asked to end has this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the program is told about.
const FORWARDED: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// What is ours to see to if the program has the user's terminal.
const TERMINAL: [Signal; 2] = [Signal::SIGTSTP, Signal::SIGCONT];

/// Runs it to its end.
pub(super) fn run(request: &Request) -> Result<Output, Failure> {
    let (plan, streams) = arrange(request).map_err(failed("the standard streams"))?;
    // Before the sandbox is there, or a signal could end us and leave it running a moment longer.
    let signals = Signals::take(streams.interactive.is_some()).map_err(failed("signalfd"))?;
    // The size may have changed before we heard of it.
    streams.pairs.iter().for_each(Pair::resize);
    let raw = match &streams.interactive {
        Some(terminal) => Some(Raw::enter(terminal.as_fd()).map_err(failed("tcsetattr"))?),
        None => None,
    };
    let mut executor = Executor::for_one_run()?;
    let sandbox = executor.spawn(&plan)?;
    // Our copies of the program's ends, by which we would never see it close them.
    drop(plan);
    let left = request.limits.output.filter(|_| !request.json);
    let mut launch = Launch {
        executor,
        sandbox,
        signals,
        streams,
        raw,
        left,
        over: false,
        asked: false,
        kill_at: None,
        end: None,
    };
    let mut output = launch.follow()?;
    drop(launch);
    if let Some(runtime) = request.runtime {
        runtime.finish(&mut output);
    }
    Ok(output)
}

/// Which relays may go on.
struct Ready {
    input: bool,
    output: Vec<bool>,
}

#[derive(Debug)]
struct Launch {
    executor: Executor,
    sandbox: SandboxId,
    signals: Signals,
    streams: Streams,
    raw: Option<Raw>,
    /// Bytes of output that are still allowed.
    left: Option<u64>,
    /// More than those came.
    over: bool,
    /// The program was asked to end.
    asked: bool,
    kill_at: Option<Instant>,
    end: Option<Output>,
}

impl Launch {
    fn follow(&mut self) -> Result<Output, Failure> {
        loop {
            if let Some(output) = self.end.take_if(|_| self.streams.output.is_empty()) {
                return Ok(output);
            }
            let ready = self.wait()?;
            while let Some(signal) = self.signals.next() {
                self.hear(signal)?;
            }
            self.hear_sandbox()?;
            self.pass_on(&ready)?;
            if self.kill_at.is_some_and(|at| Instant::now() >= at) {
                self.kill_at = None;
                self.kill()?;
            }
        }
    }

    /// Waits for anything; returns which relays may go on.
    fn wait(&self) -> Result<Ready, Failure> {
        let mut fds = vec![PollFd::new(self.signals.fd.as_fd(), PollFlags::POLLIN)];
        if self.end.is_none() {
            fds.push(PollFd::new(self.executor.as_fd(), PollFlags::POLLIN));
        }
        let first = fds.len();
        let input = self.streams.input.as_ref().and_then(Relay::interest);
        let output: Vec<_> = self.streams.output.iter().map(Relay::interest).collect();
        let all = std::iter::once(&input).chain(&output);
        fds.extend(all.flatten().map(|(fd, flags)| PollFd::new(*fd, *flags)));
        let timeout = self.kill_at.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("poll")(errno)),
        }
        let mut polled = fds[first..].iter().map(|fd| fd.any().unwrap_or(false));
        let mut ready = |waits: bool| waits && polled.next().unwrap_or(false);
        let input = ready(input.is_some());
        Ok(Ready { input, output: output.iter().map(|waits| ready(waits.is_some())).collect() })
    }

    fn hear(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal {
            Signal::SIGWINCH => self.streams.pairs.iter().for_each(Pair::resize),
            Signal::SIGTSTP => {
                if let Some(raw) = &self.raw {
                    raw.restore();
                }
                raise(Signal::SIGSTOP).map_err(failed("raise"))?;
                self.take_terminal_back();
            }
            Signal::SIGCONT => self.take_terminal_back(),
            Signal::SIGTERM | Signal::SIGINT if self.end.is_some() => {
                // Only our own output is left, and nobody wants to wait for it.
                self.streams.output.clear();
            }
            Signal::SIGTERM | Signal::SIGINT if self.asked => self.kill()?,
            Signal::SIGTERM | Signal::SIGINT => self.ask_to_end(signal)?,
            Signal::SIGHUP if self.raw.is_some() && !self.asked => self.ask_to_end(signal)?,
            other => self.signal(other)?,
        }
        Ok(())
    }

    /// A shell has had the terminal meanwhile.
    fn take_terminal_back(&self) {
        if let Some(raw) = &self.raw {
            // A terminal that is gone tells so when it is read.
            let _ = raw.again();
        }
        self.streams.pairs.iter().for_each(Pair::resize);
    }

    /// Politely, and not for ever.
    fn ask_to_end(&mut self, signal: Signal) -> Result<(), Failure> {
        self.asked = true;
        self.kill_at = Some(Instant::now() + PATIENCE);
        self.signal(signal)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if self.end.is_none() {
            self.executor.signal(self.sandbox, signal as i32)?;
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), Failure> {
        if self.end.is_none() {
            self.executor.kill(self.sandbox)?;
        }
        Ok(())
    }

    fn hear_sandbox(&mut self) -> Result<(), Failure> {
        while self.end.is_none()
            && let Some(event) = self.executor.poll(Some(Duration::ZERO))?
        {
            match event {
                Event::Completed { output, .. } | Event::TimedOut { output, .. } => {
                    self.end = Some(output);
                    self.kill_at = None;
                    // Nobody is there to read it; and what is typed from now on is for others.
                    self.streams.input = None;
                }
                Event::Failed { error, .. } => return Err(error.into()),
                Event::Stdout { .. }
                | Event::Stderr { .. }
                | Event::Syscall { .. }
                | Event::Withdrawn { .. } => {}
            }
        }
        Ok(())
    }

    fn pass_on(&mut self, ready: &Ready) -> Result<(), Failure> {
        let last = self.end.is_some();
        if let Some(input) = &mut self.streams.input {
            input.step(ready.input, false);
            let hung_up = self.raw.is_some() && input.is_dry();
            if input.is_over() {
                self.streams.input = None;
            }
            if hung_up && !self.asked {
                self.ask_to_end(Signal::SIGHUP)?;
            }
        }
        let mut taken = 0;
        for (relay, ready) in self.streams.output.iter_mut().zip(&ready.output) {
            taken += relay.step(*ready, last);
        }
        self.streams.output.retain(|relay| !relay.is_over());
        if let Some(left) = &mut self.left {
            match left.checked_sub(taken as u64) {
                Some(rest) => *left = rest,
                None => {
                    let excess = taken - usize::try_from(*left).unwrap_or(taken);
                    self.left = None;
                    self.over = true;
                    self.streams.stop(excess);
                    self.kill()?;
                }
            }
        }
        if self.over
            && let Some(output) = &mut self.end
        {
            output.status = Status::OutputLimit;
        }
        Ok(())
    }
}

/// The signals that are read instead of acted upon; as before when this is dropped.
#[derive(Debug)]
struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    fn take(interactive: bool) -> Result<Self, Errno> {
        let ignored = ignored();
        let mut set = SigSet::empty();
        let own = TERMINAL.into_iter().filter(|_| interactive);
        FORWARDED
            .into_iter()
            .chain(own)
            .chain([Signal::SIGWINCH])
            // As under nohup: blocked, it would arrive all the same.
            .filter(|signal| ignored & (1 << (*signal as u32 - 1)) == 0)
            .for_each(|signal| set.add(signal));
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        match SignalFd::with_flags(&set, flags) {
            Ok(fd) => Ok(Self { fd, before }),
            Err(errno) => {
                let _ = before.thread_set_mask();
                Err(errno)
            }
        }
    }

    fn next(&self) -> Option<Signal> {
        let info = self.fd.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // It was the mask a moment ago, so it is a valid one.
        let _ = self.before.thread_set_mask();
    }
}

/// `SigIgn` of this process.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Call { call, source: errno.into() }
}
