//! Compiles a set of per-syscall rules to classic BPF for seccomp, and checks what it compiled.
//!
//! Three independent readings of the same thing keep each other honest: [`RuleSet::decide`] is the
//! slow, obvious one, [`compile`] makes the program, [`interpret`] runs it as the kernel would.
//!
//! The program is a binary tree over *runs* of syscall numbers that are treated alike, because the
//! kernel walks it once per number at installation to fill its bitmap of plain allows
//! (`seccomp_cache_prepare` in `kernel/seccomp.c`): both the length and the depth are start-up
//! time. A linear chain of comparisons takes several times as long to install.
//!
//! ```text
//!         load arch ── other ──▶ kill
//!         load nr ── x32 ──▶ kill
//!         nr ≥ 155?
//!        ╱         ╲
//!   nr ≥ 60?     nr ≥ 257?          inner nodes: one JGE each
//!    ╱   ╲         ╱   ╲
//!  allow block  errno  allow        leaves: a shared RET, or a block that looks at arguments
//! ```
//!
//! Nothing here makes a system call or depends on the platform it runs on. What the kernel makes
//! of a program is described in its [documentation][seccomp].
//!
//! [seccomp]: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html

use std::collections::BTreeMap;
use std::fmt;

use seccompiler::{BackendError, SeccompCondition};
pub use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, sock_filter};

/// The kernel's limit for one program, `BPF_MAXINSNS` (`linux/bpf_common.h`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// The most conditions one rule may have; it bounds the compiler's recursion.
pub const MAX_CONDITIONS: usize = 64;

/// Numbers from here on belong to the x32 ABI (`__X32_SYSCALL_BIT`, `asm/unistd.h`).
pub const X32_SYSCALL_BIT: u32 = 0x4000_0000;

/// What a tracer writes to have a call skipped, and what `syscall(-1)` passes.
const SKIPPED: u32 = u32::MAX;

// Opcodes, from linux/bpf_common.h.
const BPF_LD: u16 = 0x00;
const BPF_LDX: u16 = 0x01;
const BPF_ST: u16 = 0x02;
const BPF_STX: u16 = 0x03;
const BPF_ALU: u16 = 0x04;
const BPF_JMP: u16 = 0x05;
const BPF_RET: u16 = 0x06;
const BPF_MISC: u16 = 0x07;
const BPF_W: u16 = 0x00;
const BPF_IMM: u16 = 0x00;
const BPF_ABS: u16 = 0x20;
const BPF_MEM: u16 = 0x60;
const BPF_LEN: u16 = 0x80;
const BPF_K: u16 = 0x00;
const BPF_X: u16 = 0x08;
const BPF_A: u16 = 0x10;
const BPF_JA: u16 = 0x00;
const BPF_JEQ: u16 = 0x10;
const BPF_JGT: u16 = 0x20;
const BPF_JGE: u16 = 0x30;
const BPF_JSET: u16 = 0x40;
const BPF_AND: u16 = 0x50;

// Whole opcodes, so that they can be matched on.
const LOAD: u16 = BPF_LD | BPF_W | BPF_ABS;
const LOAD_LEN: u16 = BPF_LD | BPF_W | BPF_LEN;
const LOAD_IMM: u16 = BPF_LD | BPF_IMM;
const LOAD_MEM: u16 = BPF_LD | BPF_MEM;
const LOADX_LEN: u16 = BPF_LDX | BPF_W | BPF_LEN;
const LOADX_IMM: u16 = BPF_LDX | BPF_IMM;
const LOADX_MEM: u16 = BPF_LDX | BPF_MEM;
const STORE: u16 = BPF_ST;
const STOREX: u16 = BPF_STX;
const ADD_K: u16 = BPF_ALU | BPF_K;
const ADD_X: u16 = BPF_ALU | BPF_X;
const SUB_K: u16 = BPF_ALU | 0x10 | BPF_K;
const SUB_X: u16 = BPF_ALU | 0x10 | BPF_X;
const MUL_K: u16 = BPF_ALU | 0x20 | BPF_K;
const MUL_X: u16 = BPF_ALU | 0x20 | BPF_X;
const DIV_K: u16 = BPF_ALU | 0x30 | BPF_K;
const DIV_X: u16 = BPF_ALU | 0x30 | BPF_X;
const OR_K: u16 = BPF_ALU | 0x40 | BPF_K;
const OR_X: u16 = BPF_ALU | 0x40 | BPF_X;
const AND_K: u16 = BPF_ALU | BPF_AND | BPF_K;
const AND_X: u16 = BPF_ALU | BPF_AND | BPF_X;
const LSH_K: u16 = BPF_ALU | 0x60 | BPF_K;
const LSH_X: u16 = BPF_ALU | 0x60 | BPF_X;
const RSH_K: u16 = BPF_ALU | 0x70 | BPF_K;
const RSH_X: u16 = BPF_ALU | 0x70 | BPF_X;
const NEG: u16 = BPF_ALU | 0x80;
const XOR_K: u16 = BPF_ALU | 0xa0 | BPF_K;
const XOR_X: u16 = BPF_ALU | 0xa0 | BPF_X;
const JUMP: u16 = BPF_JMP | BPF_JA;
const JEQ_K: u16 = BPF_JMP | BPF_JEQ | BPF_K;
const JEQ_X: u16 = BPF_JMP | BPF_JEQ | BPF_X;
const JGT_K: u16 = BPF_JMP | BPF_JGT | BPF_K;
const JGT_X: u16 = BPF_JMP | BPF_JGT | BPF_X;
const JGE_K: u16 = BPF_JMP | BPF_JGE | BPF_K;
const JGE_X: u16 = BPF_JMP | BPF_JGE | BPF_X;
const JSET_K: u16 = BPF_JMP | BPF_JSET | BPF_K;
const JSET_X: u16 = BPF_JMP | BPF_JSET | BPF_X;
const RET_K: u16 = BPF_RET | BPF_K;
const RET_A: u16 = BPF_RET | BPF_A;
const TAX: u16 = BPF_MISC;
const TXA: u16 = BPF_MISC | 0x80;

/// Scratch words a program has, `BPF_MEMWORDS` (`linux/filter.h`).
const MEMORY_WORDS: usize = 16;

// struct seccomp_data { int nr; u32 arch; u64 instruction_pointer; u64 args[6]; }
const DATA_SIZE: u32 = 64;
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGS: u32 = 16;

/// A machine whose syscall numbers we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86, without x32.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// The machine this was compiled for, if it is one of ours.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(all(target_arch = "aarch64", target_pointer_width = "64")) {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// The value of `seccomp_data.arch`, `AUDIT_ARCH_*` (`linux/audit.h`).
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }
}

/// What the kernel is to do with a call ([seccomp(2)], "Filter return values").
///
/// [seccomp(2)]: https://man7.org/linux/man-pages/man2/seccomp.2.html
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Run the call.
    Allow,
    /// Don't run it and return this errno; 0 pretends success. The kernel caps it at 4095.
    Errno(u16),
    /// Let the listener answer ([seccomp_unotify(2)]).
    ///
    /// [seccomp_unotify(2)]: https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html
    Notify,
    /// Kill the whole process.
    KillProcess,
}

impl From<Action> for u32 {
    /// The `SECCOMP_RET_*` value (`linux/seccomp.h`).
    fn from(action: Action) -> Self {
        match action {
            Action::Allow => 0x7fff_0000,
            Action::Errno(errno) => 0x0005_0000 | Self::from(errno),
            Action::Notify => 0x7fc0_0000,
            Action::KillProcess => 0x8000_0000,
        }
    }
}

/// One comparison of one argument, in seccompiler's words.
///
/// `Dword` looks at the low half only, which is what the kernel does with an `int` argument.
/// `MaskedEq(mask)` holds when `arg & mask == value & mask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// How much of it.
    pub len: SeccompCmpArgLen,
    /// How it is compared.
    pub op: SeccompCmpOp,
    /// With what.
    pub value: u64,
}

impl Condition {
    /// A comparison of the low half of an argument.
    #[must_use]
    pub const fn dword(arg: u8, op: SeccompCmpOp, value: u64) -> Self {
        Self { arg, len: SeccompCmpArgLen::Dword, op, value }
    }

    /// A comparison of a whole argument.
    #[must_use]
    pub const fn qword(arg: u8, op: SeccompCmpOp, value: u64) -> Self {
        Self { arg, len: SeccompCmpArgLen::Qword, op, value }
    }

    /// Whether it holds. An argument that doesn't exist matches nothing.
    #[must_use]
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(&whole) = args.get(usize::from(self.arg)) else {
            return false;
        };
        let keep = match self.len {
            SeccompCmpArgLen::Dword => u64::from(u32::MAX),
            SeccompCmpArgLen::Qword => u64::MAX,
        };
        let (arg, value) = (whole & keep, self.value & keep);
        match self.op {
            SeccompCmpOp::Eq => arg == value,
            SeccompCmpOp::Ne => arg != value,
            SeccompCmpOp::Lt => arg < value,
            SeccompCmpOp::Le => arg <= value,
            SeccompCmpOp::Gt => arg > value,
            SeccompCmpOp::Ge => arg >= value,
            SeccompCmpOp::MaskedEq(mask) => arg & mask == value & mask,
        }
    }
}

impl TryFrom<&Condition> for SeccompCondition {
    type Error = BackendError;

    /// The same comparison for seccompiler's own backend, the compiler's oracle in the tests.
    fn try_from(condition: &Condition) -> Result<Self, Self::Error> {
        Self::new(condition.arg, condition.len.clone(), condition.op.clone(), condition.value)
    }
}

/// What happens when all conditions hold. Without conditions it always applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<A = Action> {
    /// The conditions.
    pub all_of: Vec<Condition>,
    /// What then happens.
    pub action: A,
}

/// How one syscall is treated: the first rule that matches decides.
///
/// Generic in what is decided, so that a table may say more than the kernel needs to know and
/// still have one set of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyscallRules<A = Action> {
    /// In order.
    pub rules: Vec<Rule<A>>,
    /// What happens when none matches.
    pub otherwise: A,
}

impl<A: Copy> SyscallRules<A> {
    /// The same for every argument.
    #[must_use]
    pub const fn plain(action: A) -> Self {
        Self { rules: Vec::new(), otherwise: action }
    }

    /// What happens to a call with these arguments.
    #[must_use]
    pub fn decide(&self, args: &[u64; 6]) -> A {
        let matches = |rule: &&Rule<A>| rule.all_of.iter().all(|condition| condition.holds(args));
        self.rules.iter().find(matches).map_or(self.otherwise, |rule| rule.action)
    }

    /// The same rules with something else decided.
    #[must_use]
    pub fn map<B>(self, mut translate: impl FnMut(A) -> B) -> SyscallRules<B> {
        let otherwise = translate(self.otherwise);
        let rules = self.rules.into_iter();
        let rules = rules.map(|rule| Rule { all_of: rule.all_of, action: translate(rule.action) });
        SyscallRules { rules: rules.collect(), otherwise }
    }
}

/// Everything a filter is to do.
///
/// Two things aren't up to the rules: calls of a foreign architecture, and on x86_64 calls of the
/// x32 ABI, kill the process, since their numbers mean other calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// The architecture whose numbers these are.
    pub arch: Arch,
    /// The known calls.
    pub by_number: BTreeMap<u32, SyscallRules>,
    /// What happens to all others.
    pub default: Action,
}

impl RuleSet {
    /// The slow and obvious answer that the compiled program has to agree with.
    ///
    /// On x86_64 number -1 gets the default action although it has the x32 bit: it is no x32 call
    /// but what a tracer writes to skip one, or a program probing `syscall(-1)`. libseccomp does
    /// the same.
    #[must_use]
    pub fn decide(&self, data: &SeccompData) -> Action {
        if data.arch != self.arch.audit() {
            return Action::KillProcess;
        }
        let nr = data.number();
        if self.arch == Arch::X86_64 && nr >= X32_SYSCALL_BIT {
            return if nr == SKIPPED { self.default } else { Action::KillProcess };
        }
        self.by_number.get(&nr).map_or(self.default, |rules| rules.decide(&data.args))
    }
}

/// What a filter sees of a call, `struct seccomp_data` (`linux/seccomp.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompData {
    /// The syscall number.
    pub nr: i32,
    /// An `AUDIT_ARCH_*` value.
    pub arch: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl SeccompData {
    /// The number as a filter compares it.
    const fn number(&self) -> u32 {
        self.nr.cast_unsigned()
    }

    /// The 32-bit word at an offset, in the little-endian layout of both architectures.
    fn word(&self, offset: u32) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        let half = |whole: u64| {
            if offset.is_multiple_of(8) { low(whole) } else { high(whole) }
        };
        match offset {
            OFFSET_NR => Some(self.number()),
            OFFSET_ARCH => Some(self.arch),
            8 | 12 => Some(half(self.instruction_pointer)),
            _ => {
                let index = usize::try_from(offset.checked_sub(OFFSET_ARGS)? / 8).ok()?;
                self.args.get(index).copied().map(half)
            }
        }
    }
}

const fn low(whole: u64) -> u32 {
    (whole & 0xffff_ffff) as u32
}

const fn high(whole: u64) -> u32 {
    (whole >> 32) as u32
}

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

/// Why a program has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterpretError {
    /// It ran or jumped past its end.
    PastEnd,
    /// It has an instruction that seccomp doesn't take.
    BadInstruction {
        /// The instruction.
        at: usize,
    },
}

impl fmt::Display for InterpretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PastEnd => write!(f, "the program runs past its end"),
            Self::BadInstruction { at } => {
                write!(f, "instruction {at} is none that seccomp takes")
            }
        }
    }
}

impl std::error::Error for InterpretError {}

/// Runs a program on a call and returns its `SECCOMP_RET_*` value, as the kernel would.
///
/// A program that [`verify`] accepts always has a result. Others may, too: only the instructions
/// that are reached are looked at. It always ends, because jumps only go forward.
///
/// # Errors
///
/// See [`InterpretError`].
pub fn interpret(program: &[sock_filter], data: &SeccompData) -> Result<u32, InterpretError> {
    let mut accumulator: u32 = 0;
    let mut index: u32 = 0;
    let mut memory = [0_u32; MEMORY_WORDS];
    let mut at = 0_usize;
    loop {
        let &sock_filter { code, jt, jf, k } = program.get(at).ok_or(InterpretError::PastEnd)?;
        let bad = InterpretError::BadInstruction { at };
        let cell = usize::try_from(k).ok().filter(|&cell| cell < MEMORY_WORDS);
        let operand = if code & BPF_X == 0 { k } else { index };
        let mut skip = 0;
        match code {
            LOAD => accumulator = data.word(k).ok_or(bad)?,
            LOAD_LEN => accumulator = DATA_SIZE,
            LOAD_IMM => accumulator = k,
            LOAD_MEM => accumulator = *cell.and_then(|cell| memory.get(cell)).ok_or(bad)?,
            LOADX_LEN => index = DATA_SIZE,
            LOADX_IMM => index = k,
            LOADX_MEM => index = *cell.and_then(|cell| memory.get(cell)).ok_or(bad)?,
            STORE => *cell.and_then(|cell| memory.get_mut(cell)).ok_or(bad)? = accumulator,
            STOREX => *cell.and_then(|cell| memory.get_mut(cell)).ok_or(bad)? = index,
            ADD_K | ADD_X => accumulator = accumulator.wrapping_add(operand),
            SUB_K | SUB_X => accumulator = accumulator.wrapping_sub(operand),
            MUL_K | MUL_X => accumulator = accumulator.wrapping_mul(operand),
            DIV_K => accumulator = accumulator.checked_div(k).ok_or(bad)?,
            // A division by a zero index ends the program with 0.
            DIV_X => match accumulator.checked_div(index) {
                Some(quotient) => accumulator = quotient,
                None => return Ok(0),
            },
            OR_K | OR_X => accumulator |= operand,
            AND_K | AND_X => accumulator &= operand,
            XOR_K | XOR_X => accumulator ^= operand,
            LSH_K => accumulator = accumulator.checked_shl(k).ok_or(bad)?,
            RSH_K => accumulator = accumulator.checked_shr(k).ok_or(bad)?,
            LSH_X => accumulator = accumulator.wrapping_shl(index),
            RSH_X => accumulator = accumulator.wrapping_shr(index),
            NEG => accumulator = accumulator.wrapping_neg(),
            TAX => index = accumulator,
            TXA => accumulator = index,
            JUMP => skip = k,
            JEQ_K | JEQ_X => skip = u32::from(if accumulator == operand { jt } else { jf }),
            JGT_K | JGT_X => skip = u32::from(if accumulator > operand { jt } else { jf }),
            JGE_K | JGE_X => skip = u32::from(if accumulator >= operand { jt } else { jf }),
            JSET_K | JSET_X => skip = u32::from(if accumulator & operand != 0 { jt } else { jf }),
            RET_K => return Ok(k),
            RET_A => return Ok(accumulator),
            _ => return Err(bad),
        }
        let skip = usize::try_from(skip).map_err(|_| InterpretError::PastEnd)?;
        at =
            at.checked_add(1).and_then(|at| at.checked_add(skip)).ok_or(InterpretError::PastEnd)?;
    }
}

/// Why the kernel would refuse a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is empty or longer than [`MAX_INSTRUCTIONS`].
    Length(usize),
    /// An opcode that seccomp doesn't take.
    Opcode {
        /// The instruction.
        at: usize,
    },
    /// A jump past the end.
    Jump {
        /// The instruction.
        at: usize,
    },
    /// A load that isn't a whole, aligned word of `seccomp_data`.
    Load {
        /// The instruction.
        at: usize,
    },
    /// A division by zero or a shift by 32 or more.
    Operand {
        /// The instruction.
        at: usize,
    },
    /// A scratch word that doesn't exist, or is read before it is written.
    Memory {
        /// The instruction.
        at: usize,
    },
    /// The last instruction isn't a return.
    NoReturn,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "{len} instructions, not 1 to {MAX_INSTRUCTIONS}"),
            Self::Opcode { at } => write!(f, "instruction {at} has an opcode seccomp refuses"),
            Self::Jump { at } => write!(f, "instruction {at} jumps past the end"),
            Self::Load { at } => write!(f, "instruction {at} loads no word of seccomp_data"),
            Self::Operand { at } => write!(f, "instruction {at} divides by zero or shifts by 32"),
            Self::Memory { at } => write!(f, "instruction {at} uses an unset scratch word"),
            Self::NoReturn => write!(f, "the last instruction doesn't return"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks a program by the rules of the kernel's `bpf_check_classic` (`net/core/filter.c`) and
/// `seccomp_check_filter` (`kernel/seccomp.c`).
///
/// # Errors
///
/// The first rule that is broken.
pub fn verify(program: &[sock_filter]) -> Result<(), VerifyError> {
    let len = program.len();
    if !(1..=MAX_INSTRUCTIONS).contains(&len) {
        return Err(VerifyError::Length(len));
    }
    // The scratch words set on every way to an instruction, one bit each.
    let mut set_on_entry = vec![u16::MAX; len];
    let mut set: u16 = 0;
    for (at, &sock_filter { code, jt, jf, k }) in program.iter().enumerate() {
        set &= set_on_entry.get(at).copied().unwrap_or(0);
        let word = u16::try_from(k).ok().filter(|&k| usize::from(k) < MEMORY_WORDS);
        let word = word.map(|k| 1_u16 << k);
        let mut jump = |offset: u32, set: u16| {
            let target = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(at + 1));
            match target.and_then(|target| set_on_entry.get_mut(target)) {
                Some(entry) => {
                    *entry &= set;
                    Ok(())
                }
                None => Err(VerifyError::Jump { at }),
            }
        };
        match code {
            LOAD if k >= DATA_SIZE || !k.is_multiple_of(4) => {
                return Err(VerifyError::Load { at });
            }
            DIV_K if k == 0 => return Err(VerifyError::Operand { at }),
            LSH_K | RSH_K if k >= 32 => return Err(VerifyError::Operand { at }),
            STORE | STOREX => set |= word.ok_or(VerifyError::Memory { at })?,
            LOAD_MEM | LOADX_MEM => match word {
                Some(word) if set & word != 0 => {}
                _ => return Err(VerifyError::Memory { at }),
            },
            JUMP => {
                jump(k, set)?;
                // Only what jumps to the next instruction says what is set there.
                set = u16::MAX;
            }
            JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X => {
                jump(u32::from(jt), set)?;
                jump(u32::from(jf), set)?;
                set = u16::MAX;
            }
            LOAD | LOAD_LEN | LOAD_IMM | LOADX_LEN | LOADX_IMM | ADD_K | ADD_X | SUB_K | SUB_X
            | MUL_K | MUL_X | DIV_K | DIV_X | OR_K | OR_X | AND_K | AND_X | XOR_K | XOR_X
            | LSH_K | LSH_X | RSH_K | RSH_X | NEG | TAX | TXA | RET_K | RET_A => {}
            _ => return Err(VerifyError::Opcode { at }),
        }
    }
    match program.last() {
        Some(&sock_filter { code: RET_K | RET_A, .. }) => Ok(()),
        _ => Err(VerifyError::NoReturn),
    }
}
