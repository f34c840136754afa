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

mod bpf;
mod compile;
mod interpret;
mod verify;

use std::collections::BTreeMap;

use bpf::{OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR};

pub use compile::{FilterError, build_whitelist_filter, compile};
pub use interpret::{InterpretError, interpret};
use seccompiler::{BackendError, SeccompCondition};
pub use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, sock_filter};
pub use verify::{VerifyError, verify};

/// The kernel's limit for one program, `BPF_MAXINSNS` (`linux/bpf_common.h`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// The most conditions one rule may have; it bounds the compiler's recursion.
pub const MAX_CONDITIONS: usize = 64;

/// Numbers from here on belong to the x32 ABI (`__X32_SYSCALL_BIT`, `asm/unistd.h`).
pub const X32_SYSCALL_BIT: u32 = 0x4000_0000;

/// What a tracer writes to have a call skipped, and what `syscall(-1)` passes.
const SKIPPED: u32 = u32::MAX;

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
