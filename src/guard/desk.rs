//! Where calls are judged: by the policy's rules at once, or by the host after a while. One thread
//! looks calls up, judges them and changes names, one after the other, so that nothing the sandbox
//! does can come between a decision and its performance.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use nix::errno::Errno;
use nix::sys::eventfd::EventFd;

use super::context::{Context, Refusal};
use super::decode::Call;
use super::peek::Peek;
use super::perform::Ready;
use super::subject::Subject;
use crate::isolation::syscalls;
use crate::policy::{Answer, Decision, Matcher, Outcome, Remember, SyscallContext, Verdict};
use crate::sys::notify::Notification;
use crate::wire::{Decided, Frame, Question};

/// How often it is looked whether tasks that wait have a handler to run, or have died.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// How often a call may turn into another one while it is asked about.
const AGAIN: u32 = 3;
/// Answers that are remembered for the run.
const REMEMBERED: usize = 10_000;
/// Questions of one sandbox that are open at a time. Others wait their turn.
const OPEN: usize = 1_024;
/// Entries of a directory that is moved which are judged one by one.
const ENTRIES: usize = 4_096;

/// What the desk tells the guard's main loop.
#[derive(Debug)]
pub(crate) enum Told {
    /// For the host.
    Frame(Vec<u8>),
    /// The tree is to be killed.
    Kill,
}

/// The desk's end of the line to the main loop.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) told: Sender<Told>,
    /// Wakes the main loop.
    pub(crate) wake: Arc<EventFd>,
    pub(crate) answers: Receiver<(u64, Answer)>,
    /// Is readable when there are answers.
    pub(crate) answered: Arc<EventFd>,
}

/// What judges.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) matcher: Matcher,
    pub(crate) ask_timeout: Option<Duration>,
    pub(crate) audit: bool,
    pub(crate) peek: Peek,
    pub(crate) line: Line,
    /// Some program has set another file mode mask than the one that programs start with.
    pub(crate) umask_varies: AtomicBool,
}

/// A question, and the call that waits for its answer.
#[derive(Debug)]
struct Open {
    call: Notification,
    decoded: Call,
    subject: Subject,
    rule: Option<usize>,
    asked: Instant,
    /// The call runs a signal handler and comes back afterwards.
    away: bool,
    answer: Option<Answer>,
    again: u32,
}

/// A call whose answer has come. It must be looked up again first.
#[derive(Debug)]
pub(crate) struct Due {
    open: Open,
    answer: Answer,
}

impl Due {
    pub(crate) fn call(&self) -> (Notification, &Call) {
        (self.open.call, &self.open.decoded)
    }
}

/// What is to be done about a call.
#[derive(Debug)]
pub(crate) enum Judged {
    /// Perform it. `approved`: by a rule or an answer, and not by the grants.
    Go { ready: Ready, approved: bool },
    /// It has its answer, or will get it.
    Done,
}

#[derive(Debug)]
pub(crate) struct Desk {
    judge: Judge,
    open: HashMap<u64, Open>,
    next: u64,
    remembered: HashMap<SyscallContext, Answer>,
    /// Calls beyond the number of open questions.
    queue: VecDeque<(Notification, Call)>,
}

impl Desk {
    pub(crate) fn new(judge: Judge) -> Self {
        Self {
            judge,
            open: HashMap::new(),
            next: 0,
            remembered: HashMap::new(),
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn answered(&self) -> &EventFd {
        &self.judge.line.answered
    }

    /// Whether [`Desk::look_around`] is to be called soon.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The mask for what a task makes.
    pub(crate) fn umask(&self, tid: i32) -> u32 {
        if !self.judge.umask_varies.load(Ordering::Relaxed) {
            return super::UMASK;
        }
        self.judge.peek.umask(tid).unwrap_or(super::UMASK)
    }

    pub(crate) fn umask_set(&self, mask: u32) {
        if mask != super::UMASK {
            self.judge.umask_varies.store(true, Ordering::Relaxed);
        }
    }

    /// Judges a call that has been looked up.
    pub(crate) fn consider(
        &mut self,
        context: &Context,
        call: &Notification,
        decoded: &Call,
        ready: Ready,
        again: u32,
    ) -> Result<Judged, Refusal> {
        let begun = Instant::now();
        let Some(subject) = ready.subject()? else {
            return Ok(Judged::Go { ready, approved: false });
        };
        if let Some(id) = self.came_back(call, &subject) {
            return self.resume(context, id, call, ready, &subject);
        }
        let verdict = self.verdict(&ready, &subject)?;
        // Two calls that are shown alike need not be alike.
        let whole = !subject.facts.cut;
        let remembered = self.remembered.get(&subject.context).filter(|_| whole).cloned();
        match (verdict.outcome, remembered) {
            (Outcome::Allow, _) => {
                self.log(
                    context,
                    call,
                    &subject,
                    Decision::Allow,
                    verdict.rule,
                    None,
                    false,
                    begun,
                );
                Ok(Judged::Go { ready, approved: verdict.rule.is_some() })
            }
            (Outcome::Ask, Some(answer)) => {
                self.settle(context, call, &subject, ready, verdict.rule, &answer, begun)
            }
            (Outcome::Ask, None) if again > AGAIN => {
                let answer = Decision::Deny.reason("it changed while it was asked about");
                self.settle(context, call, &subject, ready, verdict.rule, &answer, begun)
            }
            (Outcome::Ask, None) if self.open.len() >= OPEN => {
                self.queue.push_back((*call, decoded.clone()));
                Ok(Judged::Done)
            }
            (Outcome::Ask, None) => {
                self.ask(context, call, decoded, subject, verdict.rule, again);
                Ok(Judged::Done)
            }
            (Outcome::Deny, _) => {
                let rule = verdict.rule.map(|rule| self.judge.matcher.rule(rule));
                let errno = rule.map_or(libc::EACCES, |rule| rule.errno);
                let mut answer = Decision::Deny.errno(errno);
                if let Some(reason) = rule.and_then(|rule| rule.reason.clone()) {
                    answer = answer.reason(reason);
                }
                self.settle(context, call, &subject, ready, verdict.rule, &answer, begun)
            }
            (Outcome::Kill, _) => {
                let answer = Answer::from(Decision::Kill);
                self.settle(context, call, &subject, ready, verdict.rule, &answer, begun)
            }
        }
    }

    /// A directory is renamed as if everything below it were: each name below goes to another
    /// place, where other rules may hold.
    fn verdict(&self, ready: &Ready, subject: &Subject) -> Result<Verdict, Refusal> {
        let matcher = &self.judge.matcher;
        let mut verdict = matcher.decide(&subject.context, subject.facts);
        let Ready::Names(names) = ready else { return Ok(verdict) };
        let Some((from, to, exchange)) = names.moved_directory() else { return Ok(verdict) };
        let (old, new) = (from.path()?, to.path()?);
        let mut moves = vec![(from, old.clone(), new.clone())];
        if exchange {
            let back = SyscallContext::Rename {
                from: super::perform::names::into_path(new.clone()),
                to: super::perform::names::into_path(old.clone()),
            };
            verdict = stricter(verdict, matcher.decide(&back, subject.facts));
            moves.push((to, new, old));
        }
        for (name, old, new) in moves {
            let Ok(handle) = name.pin() else { continue };
            if super::resolve::kind_of(&handle)? != nix::sys::stat::SFlag::S_IFDIR
                || !matcher.differs_below(&old, &new)
            {
                continue;
            }
            let entries = super::resolve::below(handle.as_fd(), ENTRIES)?;
            for (entry, facts) in entries {
                let at = |base: &[u8]| {
                    super::perform::names::into_path([base, b"/", entry.as_slice()].concat())
                };
                let context = SyscallContext::Rename { from: at(&old), to: at(&new) };
                verdict = stricter(verdict, matcher.decide(&context, facts));
            }
        }
        Ok(verdict)
    }

    #[allow(clippy::too_many_arguments)]
    fn settle(
        &mut self,
        context: &Context,
        call: &Notification,
        subject: &Subject,
        ready: Ready,
        rule: Option<usize>,
        answer: &Answer,
        begun: Instant,
    ) -> Result<Judged, Refusal> {
        let asked = rule.is_some_and(|rule| self.judge.matcher.rule(rule).outcome == Outcome::Ask);
        let reason = answer.reason.as_deref();
        self.log(context, call, subject, answer.decision, rule, reason, asked, begun);
        match answer.decision {
            Decision::Allow => Ok(Judged::Go { ready, approved: true }),
            Decision::Deny => {
                let errno = Errno::from_raw(answer.errno.unwrap_or(libc::EACCES));
                let mut target = subject.context.target();
                if let Some(reason) = reason {
                    target = format!("{target} ({reason})");
                }
                Err(Refusal::Denied { errno, target, grant: None })
            }
            Decision::Kill => {
                let target = subject.context.target();
                context.remember(call, Errno::EPERM, target, None);
                // The cause first, then at once, whatever the main loop is busy with; it goes on
                // until all are gone.
                self.tell(Told::Kill);
                context.closing.store(true, Ordering::Release);
                context.membership().kill_everything();
                Ok(Judged::Done)
            }
        }
    }

    fn ask(
        &mut self,
        context: &Context,
        call: &Notification,
        decoded: &Call,
        subject: Subject,
        rule: Option<usize>,
        again: u32,
    ) {
        self.next += 1;
        self.forget_old(call.tid);
        let question = Question {
            id: self.next,
            pid: context.membership().process_of(call.tid).unwrap_or(call.tid),
            syscall: syscalls::name(context.arch, call.nr).unwrap_or_default().to_owned(),
            directory: subject.facts.directory,
            context: subject.context.clone(),
        };
        let open = Open {
            call: *call,
            decoded: decoded.clone(),
            subject,
            rule,
            asked: Instant::now(),
            away: false,
            answer: None,
            again,
        };
        self.open.insert(self.next, open);
        self.frame(&Frame::Question(Box::new(question)));
    }

    /// Calls of a task that went to run a handler and never came back: it may have left them for
    /// good. A handler's own calls may be asked about as well, so the last few are kept.
    fn forget_old(&mut self, tid: i32) {
        const KEPT: usize = 8;
        let old = |open: &Open| open.away && open.call.tid == tid;
        let mut ids: Vec<u64> =
            self.open.iter().filter(|(_, open)| old(open)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        for id in ids.iter().rev().skip(KEPT) {
            self.open.remove(id);
            self.frame(&Frame::Withdrawn(*id));
        }
    }

    /// The question of a call that has been away to run a signal handler.
    fn came_back(&self, call: &Notification, subject: &Subject) -> Option<u64> {
        self.open
            .iter()
            .find(|(_, open)| {
                open.away
                    && open.call.tid == call.tid
                    && (open.call.nr, open.call.args) == (call.nr, call.args)
                    && open.subject == *subject
            })
            .map(|(id, _)| *id)
    }

    fn resume(
        &mut self,
        context: &Context,
        id: u64,
        call: &Notification,
        ready: Ready,
        subject: &Subject,
    ) -> Result<Judged, Refusal> {
        let Some(open) = self.open.get_mut(&id) else { return Ok(Judged::Done) };
        open.call = *call;
        open.away = false;
        let Some(answer) = open.answer.take() else { return Ok(Judged::Done) };
        let (rule, asked) = (open.rule, open.asked);
        self.open.remove(&id);
        self.settle(context, call, subject, ready, rule, &answer, asked)
    }

    /// Answers of the host that have come. Returns calls to be performed, each with whether it must
    /// be looked up again first.
    pub(crate) fn answers(&mut self, context: &Context) -> Vec<Due> {
        let _ = self.judge.line.answered.read();
        let mut due = Vec::new();
        while let Ok((id, answer)) = self.judge.line.answers.try_recv() {
            if answer.remember == Remember::Run
                && self.remembered.len() < REMEMBERED
                && let Some(open) = self.open.get(&id)
                && !open.subject.facts.cut
            {
                self.remembered.insert(open.subject.context.clone(), answer.clone());
            }
            match self.open.get_mut(&id) {
                Some(open) if open.away => open.answer = Some(answer),
                Some(_) => {
                    if let Some(open) = self.open.remove(&id)
                        && context.listener.still_waiting(open.call.id)
                    {
                        due.push(Due { open, answer });
                    }
                }
                // It was withdrawn, or has an answer.
                None => {}
            }
        }
        due
    }

    /// What an answer means, when its call has been looked up again: it holds if the call still is
    /// what was asked about.
    pub(crate) fn apply(
        &mut self,
        context: &Context,
        due: &Due,
        ready: Ready,
    ) -> Result<Judged, Refusal> {
        let Open { call, decoded, subject, rule, asked, again, .. } = &due.open;
        match ready.subject()? {
            Some(now) if now == *subject => {
                self.settle(context, call, subject, ready, *rule, &due.answer, *asked)
            }
            _ => self.consider(context, call, decoded, ready, again + 1),
        }
    }

    /// Looks after calls that wait: handlers run, the dead are forgotten, time runs out.
    pub(crate) fn look_around(&mut self, context: &Context) {
        let mut gone = Vec::new();
        for (id, open) in &mut self.open {
            let Notification { id: cookie, tid, .. } = open.call;
            if open.away {
                if !crate::sys::process::exists(tid) {
                    gone.push((*id, true));
                }
            } else if !context.listener.still_waiting(cookie) {
                gone.push((*id, true));
            } else if self.judge.ask_timeout.is_some_and(|limit| open.asked.elapsed() >= limit) {
                gone.push((*id, false));
            } else if self.judge.peek.has_signals(tid) && context.listener.restart(cookie).is_ok() {
                open.away = true;
            }
        }
        for (id, dead) in gone {
            self.frame(&Frame::Withdrawn(id));
            let Some(open) = self.open.remove(&id) else { continue };
            if !dead {
                let reason = Some("nobody answered in time");
                let (call, asked) = (open.call, open.asked);
                self.log(
                    context,
                    &call,
                    &open.subject,
                    Decision::Deny,
                    open.rule,
                    reason,
                    true,
                    asked,
                );
                let target = format!("{} (nobody answered in time)", open.subject.context.target());
                context
                    .refuse(&call, Refusal::Denied { errno: Errno::EACCES, target, grant: None });
            }
        }
    }

    /// Calls that waited for an open question to be answered, if there is room now.
    pub(crate) fn next_queued(&mut self) -> Option<(Notification, Call)> {
        if self.open.len() < OPEN { self.queue.pop_front() } else { None }
    }

    #[allow(clippy::too_many_arguments)]
    fn log(
        &self,
        context: &Context,
        call: &Notification,
        subject: &Subject,
        decision: Decision,
        rule: Option<usize>,
        reason: Option<&str>,
        asked: bool,
        begun: Instant,
    ) {
        if !self.judge.audit || !self.judge.matcher.concerns(&subject.context) {
            return;
        }
        let name = |rule: usize| self.judge.matcher.rule(rule).name.clone();
        let decided = Decided {
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            pid: call.tid,
            syscall: syscalls::name(context.arch, call.nr).unwrap_or_default().to_owned(),
            context: subject.context.clone(),
            decision: match decision {
                Decision::Allow => "allow",
                Decision::Deny => "deny",
                Decision::Kill => "kill",
            }
            .to_owned(),
            asked,
            rule: rule.map(name),
            reason: reason.map(str::to_owned),
            latency: begun.elapsed(),
        };
        self.frame(&Frame::Decided(Box::new(decided)));
    }

    fn frame(&self, frame: &Frame<'_>) {
        if let Ok(bytes) = frame.write() {
            self.tell(Told::Frame(bytes));
        }
    }

    fn tell(&self, told: Told) {
        // A main loop that is gone has ended the process.
        let _ = self.judge.line.told.send(told);
        let _ = self.judge.line.wake.write(1);
    }
}

fn stricter(one: Verdict, other: Verdict) -> Verdict {
    if other.outcome > one.outcome { other } else { one }
}
