//! Rules → a program.

use std::collections::BTreeMap;
use std::fmt;

use super::bpf::*;
use super::*;

/// Why a rule set can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// The program would be longer than [`MAX_INSTRUCTIONS`].
    TooLong,
    /// A condition looks at an argument that no syscall has.
    NoSuchArgument {
        /// The syscall with that rule.
        nr: u32,
        /// The argument.
        arg: u8,
    },
    /// A rule has more than [`MAX_CONDITIONS`].
    TooManyConditions {
        /// The syscall with that rule.
        nr: u32,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the filter is longer than the kernel's {MAX_INSTRUCTIONS} instructions")
            }
            Self::NoSuchArgument { nr, arg } => {
                write!(f, "a rule for syscall {nr} looks at argument {arg}, the last one is 5")
            }
            Self::TooManyConditions { nr } => {
                write!(f, "a rule for syscall {nr} has more than {MAX_CONDITIONS} conditions")
            }
        }
    }
}

impl std::error::Error for FilterError {}

/// Compiles a rule set. The result passes [`verify`] and, for every call, [`interpret`] returns
/// what [`RuleSet::decide`] says.
///
/// Calls treated alike for all arguments are decided without loading an argument, so the kernel's
/// bitmap can answer the allowed ones without running the program.
///
/// # Errors
///
/// See [`FilterError`].
pub fn compile(set: &RuleSet) -> Result<Vec<sock_filter>, FilterError> {
    let default = SyscallRules::plain(set.default);
    let mut known = BTreeMap::new();
    for (&nr, rules) in &set.by_number {
        check(nr, rules)?;
        // Numbers with the x32 bit never get as far as the tree.
        if set.arch != Arch::X86_64 || nr < X32_SYSCALL_BIT {
            known.insert(nr, simplified(rules));
        }
    }
    let runs = runs(&known, &default);

    let mut program = Assembler::default();
    let tree = program.tree(&runs)?;
    let kill = program.ret(Action::KillProcess)?;
    if set.arch == Arch::X86_64 {
        let skipped = program.ret(set.default)?;
        let x32 = program.branch(JEQ_K, SKIPPED, skipped, kill)?;
        program.branch(JGE_K, X32_SYSCALL_BIT, x32, tree)?;
    } else {
        program.fall_into(tree)?;
    }
    let load_nr = program.push(LOAD, OFFSET_NR)?;
    program.branch(JEQ_K, set.arch.audit(), load_nr, kill)?;
    program.push(LOAD, OFFSET_ARCH)?;
    Ok(program.finish())
}

/// A filter that allows exactly these syscalls of the native architecture, for any argument, and
/// answers `EPERM` to all others.
///
/// Numbers that can't be syscalls here (negative, or 1024 and more) are ignored. On an
/// architecture we don't know, where the numbers would mean nothing, the filter kills.
#[must_use]
pub fn build_whitelist_filter(syscalls: &[i64]) -> Vec<sock_filter> {
    const LIMIT: u32 = 1024;
    const EPERM: u16 = 1;

    let allowed = syscalls.iter().filter_map(|&nr| u32::try_from(nr).ok());
    let allowed = allowed.filter(|&nr| nr < LIMIT);
    let by_number = allowed.map(|nr| (nr, SyscallRules::plain(Action::Allow))).collect();
    let set = |arch| RuleSet { arch, by_number, default: Action::Errno(EPERM) };
    // 1024 numbers can't make more than 1024 runs, which is far from too long.
    Arch::native().and_then(|arch| compile(&set(arch)).ok()).unwrap_or_else(|| {
        vec![sock_filter { code: RET_K, jt: 0, jf: 0, k: Action::KillProcess.into() }]
    })
}

/// Refuses what the compiler can't express.
fn check(nr: u32, rules: &SyscallRules) -> Result<(), FilterError> {
    for rule in &rules.rules {
        if rule.all_of.len() > MAX_CONDITIONS {
            return Err(FilterError::TooManyConditions { nr });
        }
        if let Some(bad) = rule.all_of.iter().find(|condition| condition.arg > 5) {
            return Err(FilterError::NoSuchArgument { nr, arg: bad.arg });
        }
    }
    Ok(())
}

/// The same rules without those that can't change the outcome, so that equal treatment compares
/// equal.
fn simplified(rules: &SyscallRules) -> SyscallRules {
    let always = rules.rules.iter().position(|rule| rule.all_of.is_empty());
    let otherwise = always.and_then(|at| rules.rules.get(at)).map_or(rules.otherwise, |r| r.action);
    let live = rules.rules.iter().take(always.unwrap_or(rules.rules.len()));
    let mut live: Vec<Rule> = live.cloned().collect();
    while live.pop_if(|last| last.action == otherwise).is_some() {}
    SyscallRules { rules: live, otherwise }
}

/// Cuts all numbers into maximal runs of equal treatment, each named by its first number.
fn runs<'a>(
    known: &'a BTreeMap<u32, SyscallRules>,
    default: &'a SyscallRules,
) -> Vec<(u32, &'a SyscallRules)> {
    let mut runs: Vec<(u32, &SyscallRules)> = Vec::new();
    let mut extend = |first: u32, rules| {
        if runs.last().is_none_or(|&(_, last)| last != rules) {
            runs.push((first, rules));
        }
    };
    let mut next = Some(0);
    for (&nr, rules) in known {
        match next {
            Some(gap) if gap < nr => extend(gap, default),
            _ => {}
        }
        extend(nr, rules);
        next = nr.checked_add(1);
    }
    if let Some(gap) = next {
        extend(gap, default);
    }
    runs
}

/// Where an instruction is, counted from the end of the program.
type Label = usize;

/// What the accumulator holds, if known: the word at this offset, with all but these bits cleared.
type Held = Option<(u32, u32)>;

/// A rule, or what is left of it when some of its conditions are known to hold.
type Tail<'a> = (&'a [Condition], Action);

/// How far a conditional jump reaches; its offset is a byte.
const REACH: usize = 255;

/// Builds the program from its last instruction to its first. Jumps only go forward, so that every
/// target is known by the time something jumps to it.
#[derive(Default)]
struct Assembler {
    reversed: Vec<sock_filter>,
    /// The copy of each RET nearest to the front.
    returns: BTreeMap<u32, Label>,
    /// The argument blocks so far: equal ones are shared.
    blocks: Vec<(SyscallRules, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u16, k: u32) -> Result<Label, FilterError> {
        self.insert(sock_filter { code, jt: 0, jf: 0, k })
    }

    fn insert(&mut self, instruction: sock_filter) -> Result<Label, FilterError> {
        let label = self.reversed.len();
        if label >= MAX_INSTRUCTIONS {
            return Err(FilterError::TooLong);
        }
        self.reversed.push(instruction);
        Ok(label)
    }

    /// The instructions that the next one pushed would have to skip to get to `target`.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len().saturating_sub(target + 1)
    }

    /// A label with the effect of `target` that the next instruction reaches.
    fn within(&mut self, target: Label, reach: usize) -> Result<Label, FilterError> {
        if self.distance(target) <= reach {
            return Ok(target);
        }
        match self.reversed.get(target) {
            Some(&sock_filter { code: RET_K, k, .. }) => match self.returns.get(&k) {
                Some(&copy) if self.distance(copy) <= reach => Ok(copy),
                _ => self.fresh_ret(k),
            },
            _ => self.jump(target),
        }
    }

    fn jump(&mut self, target: Label) -> Result<Label, FilterError> {
        // Can't fail: distances are below MAX_INSTRUCTIONS.
        let offset = u32::try_from(self.distance(target)).map_err(|_| FilterError::TooLong)?;
        self.push(JUMP, offset)
    }

    /// Makes sure that what is pushed next is followed by `target`.
    fn fall_into(&mut self, target: Label) -> Result<Label, FilterError> {
        self.within(target, 0)
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Result<Label, FilterError> {
        // One less for the first, because making the second reachable may push an instruction.
        let yes = self.within(yes, REACH - 1)?;
        let no = self.within(no, REACH)?;
        let offset = |distance| u8::try_from(distance).map_err(|_| FilterError::TooLong);
        let (jt, jf) = (offset(self.distance(yes))?, offset(self.distance(no))?);
        self.insert(sock_filter { code, jt, jf, k })
    }

    fn ret(&mut self, action: Action) -> Result<Label, FilterError> {
        let k = action.into();
        match self.returns.get(&k) {
            Some(&label) => Ok(label),
            None => self.fresh_ret(k),
        }
    }

    fn fresh_ret(&mut self, k: u32) -> Result<Label, FilterError> {
        let label = self.push(RET_K, k)?;
        self.returns.insert(k, label);
        Ok(label)
    }

    /// The decision for a number in the accumulator that lies in one of these runs.
    fn tree(&mut self, runs: &[(u32, &SyscallRules)]) -> Result<Label, FilterError> {
        match runs {
            [] => self.ret(Action::KillProcess),
            [(_, rules)] => self.leaf(rules),
            _ => {
                let (left, right) = runs.split_at(runs.len() / 2);
                let first = right.first().map_or(0, |&(first, _)| first);
                let yes = self.tree(right)?;
                let no = self.tree(left)?;
                self.branch(JGE_K, first, yes, no)
            }
        }
    }

    fn leaf(&mut self, rules: &SyscallRules) -> Result<Label, FilterError> {
        if let Some((_, label)) = self.blocks.iter().find(|(known, _)| known == rules) {
            return Ok(*label);
        }
        let otherwise = self.ret(rules.otherwise)?;
        if rules.rules.is_empty() {
            return Ok(otherwise);
        }
        let tails: Vec<Tail> = rules.rules.iter().map(|r| (&*r.all_of, r.action)).collect();
        let label = self.rules(&tails, otherwise, None)?;
        self.blocks.push((rules.clone(), label));
        Ok(label)
    }

    /// The first of these rules that matches, or `otherwise`, when the accumulator holds `entry`.
    fn rules(
        &mut self,
        rules: &[Tail<'_>],
        otherwise: Label,
        entry: Held,
    ) -> Result<Label, FilterError> {
        // Forward, to know what the accumulator holds where each group is entered …
        let mut groups = Vec::new();
        let mut held = entry;
        let mut next = otherwise;
        for group in Groups(rules) {
            let Some((condition, tails)) = split(group) else {
                // No condition left: it matches, and what follows is never reached.
                next = match group.first() {
                    Some(&(_, action)) => self.ret(action)?,
                    None => otherwise,
                };
                break;
            };
            let steps = steps(condition);
            let (yes, fallen) = (exits(&steps, held).0, falls_group(&steps, &tails, held));
            groups.push((steps, tails, held, yes));
            held = fallen.unwrap_or(None);
        }
        // … and backward, to know where each is left for.
        for (steps, tails, held, yes) in groups.into_iter().rev() {
            let inner = self.rules(&tails, next, yes.unwrap_or(None))?;
            next = self.test(&steps, held, inner, next)?;
        }
        Ok(next)
    }

    /// One condition.
    fn test(
        &mut self,
        steps: &[Step],
        entry: Held,
        yes: Label,
        no: Label,
    ) -> Result<Label, FilterError> {
        let mut held = entry;
        let mut prepared = Vec::with_capacity(steps.len());
        for step in steps {
            let (load, mask, after) = step.prepare(held);
            prepared.push((step, load, mask));
            held = after;
        }
        let mut next = yes;
        for (step, load, mask) in prepared.into_iter().rev() {
            let target = |exit| match exit {
                Exit::Next => next,
                Exit::Yes => yes,
                Exit::No => no,
            };
            let (yes, no) = (target(step.yes), target(step.no));
            next = self.branch(step.code, step.k, yes, no)?;
            if mask {
                next = self.push(AND_K, step.mask)?;
            }
            if load {
                next = self.push(LOAD, step.word)?;
            }
        }
        Ok(next)
    }

    fn finish(self) -> Vec<sock_filter> {
        let mut program = self.reversed;
        program.reverse();
        program
    }
}

/// Cuts rules into groups that begin with the same condition, which is then tested once.
struct Groups<'a, 'r>(&'a [Tail<'r>]);

impl<'a, 'r> Iterator for Groups<'a, 'r> {
    type Item = &'a [Tail<'r>];

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.first()?.0.first();
        let len = self.0.iter().take_while(|(conditions, _)| conditions.first() == first).count();
        let (group, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(group)
    }
}

/// A group's common condition, and the rules without it.
fn split<'r>(group: &[Tail<'r>]) -> Option<(&'r Condition, Vec<Tail<'r>>)> {
    let (condition, _) = group.first()?.0.split_first()?;
    let tail = |&(conditions, action): &Tail<'r>| Some((conditions.split_first()?.1, action));
    Some((condition, group.iter().filter_map(tail).collect()))
}

/// What the accumulator holds when none of these rules matches; `None` if one always does.
fn falls(rules: &[Tail<'_>], entry: Held) -> Option<Held> {
    let mut held = entry;
    for group in Groups(rules) {
        let (condition, tails) = split(group)?;
        held = falls_group(&steps(condition), &tails, held)?;
    }
    Some(held)
}

fn falls_group(steps: &[Step], tails: &[Tail<'_>], entry: Held) -> Option<Held> {
    let (yes, no) = exits(steps, entry);
    meet(no, yes.and_then(|held| falls(tails, held)))
}

/// What is known where two ways meet, `None` being a way that nobody goes.
fn meet(one: Option<Held>, other: Option<Held>) -> Option<Held> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one == other { one } else { None }),
        (way, None) | (None, way) => way,
    }
}

/// What the accumulator holds when a condition holds, and when it doesn't.
fn exits(steps: &[Step], entry: Held) -> (Option<Held>, Option<Held>) {
    let (mut yes, mut no) = (None, None);
    let mut held = entry;
    for step in steps {
        held = step.prepare(held).2;
        for exit in [step.yes, step.no] {
            match exit {
                Exit::Next => {}
                Exit::Yes => yes = meet(yes, Some(held)),
                Exit::No => no = meet(no, Some(held)),
            }
        }
    }
    if steps.is_empty() { (Some(entry), None) } else { (yes, no) }
}

/// One comparison of one 32-bit word.
struct Step {
    /// Its offset in `seccomp_data`.
    word: u32,
    /// The bits that are compared, if the instruction doesn't pick them itself.
    mask: u32,
    code: u16,
    k: u32,
    yes: Exit,
    no: Exit,
}

/// Where to go after a step.
#[derive(Clone, Copy)]
enum Exit {
    Next,
    Yes,
    No,
}

impl Step {
    /// Whether the word has to be loaded and masked first, and what the accumulator holds then.
    fn prepare(&self, held: Held) -> (bool, bool, Held) {
        let picks = self.code == JSET_K;
        let needed = if picks { self.k } else { self.mask };
        match held {
            Some((word, bits)) if word == self.word && bits & needed == needed => {
                if picks {
                    (false, false, held)
                } else {
                    (false, bits != self.mask, Some((word, self.mask)))
                }
            }
            _ => (true, self.mask != u32::MAX, Some((self.word, self.mask))),
        }
    }
}

/// A condition as comparisons of words, in order; none if it always holds.
fn steps(condition: &Condition) -> Vec<Step> {
    let qword = condition.len == SeccompCmpArgLen::Qword;
    let value = condition.value;
    let low_word = OFFSET_ARGS + u32::from(condition.arg) * 8;
    let high_word = low_word + 4;
    let step = |word, code, k, yes, no| Step { word, mask: u32::MAX, code, k, yes, no };
    let ordered = |code, yes, no| {
        let mut steps = Vec::with_capacity(3);
        if qword {
            steps.push(step(high_word, JGT_K, high(value), yes, Exit::Next));
            // What isn't above zero is zero.
            if high(value) != 0 {
                steps.push(step(high_word, JEQ_K, high(value), Exit::Next, no));
            }
        }
        steps.push(step(low_word, code, low(value), yes, no));
        steps
    };
    let equal = |mask: u64, yes, no| {
        let mut steps = Vec::with_capacity(2);
        let high_matters = qword && high(mask) != 0;
        let low_matters = low(mask) != 0;
        if high_matters {
            let then = if low_matters { Exit::Next } else { yes };
            steps.push(equal_bits(high_word, high(mask), high(value), then, no));
        }
        if low_matters {
            steps.push(equal_bits(low_word, low(mask), low(value), yes, no));
        }
        steps
    };
    match condition.op {
        SeccompCmpOp::Eq => equal(u64::MAX, Exit::Yes, Exit::No),
        SeccompCmpOp::Ne => equal(u64::MAX, Exit::No, Exit::Yes),
        SeccompCmpOp::MaskedEq(mask) => equal(mask, Exit::Yes, Exit::No),
        SeccompCmpOp::Ge => ordered(JGE_K, Exit::Yes, Exit::No),
        SeccompCmpOp::Lt => ordered(JGE_K, Exit::No, Exit::Yes),
        SeccompCmpOp::Gt => ordered(JGT_K, Exit::Yes, Exit::No),
        SeccompCmpOp::Le => ordered(JGT_K, Exit::No, Exit::Yes),
    }
}

/// Whether the bits of a word that `mask` picks are those of `value`.
fn equal_bits(word: u32, mask: u32, value: u32, yes: Exit, no: Exit) -> Step {
    let value = value & mask;
    // JSET asks for any of the bits and leaves the accumulator as it is for the next comparison.
    if value == 0 && mask != u32::MAX {
        Step { word, mask: u32::MAX, code: JSET_K, k: mask, yes: no, no: yes }
    } else if value == mask && mask.is_power_of_two() {
        Step { word, mask: u32::MAX, code: JSET_K, k: mask, yes, no }
    } else {
        Step { word, mask, code: JEQ_K, k: value, yes, no }
    }
}
