//! The filter compiler against three other readings of the same rules: the obvious one, our
//! interpreter of classic BPF, and seccompiler's own backend.

use std::collections::{BTreeMap, BTreeSet};

use evalbox::isolation::filter::{
    Action, Arch, Condition, FilterError, InterpretError, MAX_CONDITIONS, MAX_INSTRUCTIONS, Rule,
    RuleSet, SeccompCmpArgLen, SeccompCmpOp, SeccompData, SyscallRules, VerifyError,
    X32_SYSCALL_BIT, build_whitelist_filter, compile, interpret, sock_filter, verify,
};
use evalbox::isolation::syscalls::{
    self, GuardClass, Outcome, Profile, class_for_guard, name, number, outcome, rule_set, table,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// A small generator with a fixed seed, so that a failure comes back.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Values that make bugs visible: small, at the edges of halves, with few bits, or any.
    fn value(&mut self) -> u64 {
        let edge = self.pick(&[0, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 63, u64::MAX]);
        match self.below(6) {
            0 => u64::try_from(self.below(8)).unwrap(),
            1 => edge.wrapping_add(self.next() % 5).wrapping_sub(2),
            2 => 1 << self.below(64),
            3 => ((self.next() % 3) << 32) | (self.next() % 3),
            4 => self.next() & u64::from(u32::MAX),
            _ => self.next(),
        }
    }
}

fn profiles() -> Vec<Profile> {
    let mut profiles = Vec::new();
    for landlock_abi in [0, 1, 2, 3, 4, 5, 6, 7] {
        for (tcp, udp) in [(false, false), (true, false), (false, true), (true, true)] {
            for judge in 0..4 {
                let (judge_reading, judge_writing) = (judge & 1 != 0, judge & 2 != 0);
                let traps = BTreeSet::new();
                profiles.push(Profile {
                    tcp,
                    udp,
                    landlock_abi,
                    traps,
                    judge_reading,
                    judge_writing,
                });
            }
        }
    }
    let traps = ["open", "openat", "read", "execve", "sendto", "unlinkat"];
    profiles.push(Profile {
        tcp: true,
        udp: true,
        landlock_abi: 7,
        traps: traps.into(),
        ..Profile::default()
    });
    profiles
}

fn default_profile() -> Profile {
    Profile { landlock_abi: 7, ..Profile::default() }
}

fn call(arch: Arch, nr: u32, args: [u64; 6]) -> SeccompData {
    SeccompData {
        nr: nr.cast_signed(),
        arch: arch.audit(),
        instruction_pointer: 0x7fff_1234_5678_9abc,
        args,
    }
}

#[track_caller]
fn assert_agrees(set: &RuleSet, program: &[sock_filter], data: &SeccompData) {
    let ran = interpret(program, data);
    let expected = u32::from(set.decide(data));
    assert_eq!(ran, Ok(expected), "{data:x?}");
}

/// Values around what a condition compares with.
fn values_near(condition: &Condition, random: &mut Random) -> u64 {
    let value = condition.value;
    let near = match condition.op {
        SeccompCmpOp::MaskedEq(mask) => match random.below(5) {
            0 => value & mask,
            1 => (value & mask) | (random.next() & !mask),
            2 => value ^ (mask & 1 << random.below(64)),
            3 => value ^ mask,
            _ => (random.next() & mask) | (value & !mask),
        },
        _ => match random.below(3) {
            0 => value,
            1 => value.wrapping_add(1),
            _ => value.wrapping_sub(1),
        },
    };
    match random.below(4) {
        // The upper half says nothing about an int.
        0 => near ^ random.next() << 32,
        1 => near & u64::from(u32::MAX),
        _ => near,
    }
}

/// Arguments that get deep into the rules: mostly close to what some rule asks for.
fn arguments<A: Copy>(rules: &SyscallRules<A>, random: &mut Random) -> [u64; 6] {
    let mut args = [0; 6].map(|_: u64| random.value());
    for _ in 0..=random.below(2) {
        if rules.rules.is_empty() {
            break;
        }
        for condition in &rules.rules[random.below(rules.rules.len())].all_of {
            if !random.one_in(6) {
                let exact = condition.value ^ ((random.next() << 32) * (random.next() & 1));
                let near = values_near(condition, random);
                args[usize::from(condition.arg)] = if random.one_in(2) { exact } else { near };
            }
        }
    }
    args
}

/// All there is to check of a compiled set, with `samples` tries for each syscall with rules.
fn check(set: &RuleSet, samples: usize, random: &mut Random) -> usize {
    let program = compile(set).unwrap();
    verify(&program).unwrap();
    let edges = [X32_SYSCALL_BIT - 1, X32_SYSCALL_BIT, X32_SYSCALL_BIT + 1];
    let more = [0x4000_0200, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];
    let known = set.by_number.keys();
    let around = known.flat_map(|&nr| [nr.wrapping_sub(1), nr, nr.wrapping_add(1)]);
    for nr in (0..1024).chain(edges).chain(more).chain(around) {
        let args = [0; 6].map(|_: u64| random.value());
        for arch in ARCHES {
            assert_agrees(set, &program, &call(arch, nr, args));
        }
        let foreign = SeccompData { arch: 0x4000_0003, ..call(set.arch, nr, args) };
        assert_agrees(set, &program, &foreign);
    }
    for (&nr, rules) in &set.by_number {
        let samples = if rules.rules.is_empty() { 1 } else { samples };
        for _ in 0..samples {
            assert_agrees(set, &program, &call(set.arch, nr, arguments(rules, random)));
        }
    }
    program.len()
}

#[test]
fn table_compiles_to_what_it_says() {
    let mut random = Random(1);
    for profile in profiles() {
        for arch in ARCHES {
            check(&rule_set(&profile, arch), 400, &mut random);
        }
    }
}

#[test]
fn guard_and_filter_agree() {
    let mut random = Random(2);
    for profile in profiles() {
        for arch in ARCHES {
            let set = rule_set(&profile, arch);
            let plain = SyscallRules::plain(Action::Allow);
            for nr in 0..600 {
                let rules = set.by_number.get(&nr).unwrap_or(&plain);
                for _ in 0..if rules.rules.is_empty() { 1 } else { 60 } {
                    let args = arguments(rules, &mut random);
                    let action = set.decide(&call(arch, nr, args));
                    let outcome = outcome(&profile, arch, nr, &args);
                    assert_eq!(action, outcome.action());
                    let class = class_for_guard(&profile, arch, nr, &args);
                    match outcome {
                        Outcome::Guard => assert_eq!(class, GuardClass::Guard),
                        Outcome::Refuse(errno) => assert_eq!(class, GuardClass::Refuse(errno)),
                        Outcome::Allow | Outcome::Quiet(_) => {
                            assert_ne!(action, Action::Notify);
                            assert!(matches!(class, GuardClass::Refuse(_)));
                        }
                    }
                }
            }
        }
    }
}

/// Plain actions must not depend on arguments, or the kernel's bitmap can't hold them.
#[test]
fn plain_actions_load_no_argument() {
    const LOADED: u32 = 0xdead_beef;
    for profile in profiles() {
        for arch in ARCHES {
            let set = rule_set(&profile, arch);
            let mut program = compile(&set).unwrap();
            for instruction in &mut program {
                if instruction.code == 0x20 && instruction.k >= 16 {
                    *instruction = instruction_of(0x06, LOADED);
                }
            }
            for nr in 0..1024 {
                let ran = interpret(&program, &call(arch, nr, [0; 6])).unwrap();
                let rules = set.by_number.get(&nr);
                // The guard may tell cases apart that are all the same to the kernel.
                let plain = rules.is_none_or(|rules| {
                    rules.rules.iter().all(|rule| rule.action == rules.otherwise)
                });
                assert_eq!(ran != LOADED, plain, "{:?}", name(arch, nr));
            }
        }
    }
}

#[test]
fn programs_stay_short() {
    let len = |profile: &Profile, arch| compile(&rule_set(profile, arch)).unwrap().len();
    let offline = default_profile();
    let tcp = Profile { tcp: true, ..offline.clone() };
    let oldest = Profile { tcp: true, udp: true, ..Profile::default() };
    for arch in ARCHES {
        for (profile, ceiling) in [(&offline, 345), (&tcp, 375), (&oldest, 395)] {
            let len = len(profile, arch);
            assert!(len <= ceiling, "{arch:?} {profile:?}: {len}");
        }
    }
}

/// The plain part of the table alone, to compare with other shapes of the same list.
#[test]
fn plain_list_is_short() {
    let mut set = rule_set(&default_profile(), Arch::X86_64);
    set.by_number.retain(|_, rules| rules.rules.is_empty() && rules.otherwise == Action::Allow);
    let plain = set.by_number.len();
    let len = compile(&set).unwrap().len();
    assert!(plain > 172 && len <= 130, "{plain} plain calls: {len}");
}

fn random_condition(random: &mut Random) -> Condition {
    let mask = random.value();
    let ops = [
        SeccompCmpOp::Eq,
        SeccompCmpOp::Ne,
        SeccompCmpOp::Lt,
        SeccompCmpOp::Le,
        SeccompCmpOp::Gt,
        SeccompCmpOp::Ge,
        SeccompCmpOp::MaskedEq(mask),
        SeccompCmpOp::MaskedEq(random.pick(&[0, 1, 0xff, 0xffff_0000, 0xffff_ffff])),
        SeccompCmpOp::MaskedEq(random.pick(&[1 << 32, 0xff << 32, u64::MAX, !0 << 32])),
    ];
    let len = random.pick(&[SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword]);
    Condition {
        arg: u8::try_from(random.below(6)).unwrap(),
        len,
        op: random.pick(&ops),
        value: if random.one_in(3) { mask } else { random.value() },
    }
}

/// Rules that repeat conditions from a small pool, so that common beginnings and loaded words are
/// there to be used, and misused.
fn random_rules(actions: &[Action], most: usize, random: &mut Random) -> SyscallRules {
    let pool: Vec<_> = (0..=random.below(6)).map(|_| random_condition(random)).collect();
    let rules = (0..random.below(most)).map(|_| Rule {
        all_of: (0..=random.below(4)).map(|_| random.pick(&pool)).collect(),
        action: random.pick(actions),
    });
    let rules = rules.collect();
    SyscallRules { rules, otherwise: random.pick(actions) }
}

const ACTIONS: [Action; 5] =
    [Action::Allow, Action::Errno(38), Action::Errno(0), Action::Notify, Action::KillProcess];

#[test]
fn random_sets_compile_to_what_they_say() {
    let mut random = Random(3);
    let mut longest = 0;
    for round in 0..400 {
        let spread = random.pick(&[30, 500, 1200]);
        let most = random.pick(&[1, 4, 12, 60]);
        let mut by_number = BTreeMap::new();
        for _ in 0..random.below(50) {
            let nr = u32::try_from(random.below(spread)).unwrap();
            let mut rules = random_rules(&ACTIONS, most, &mut random);
            // Some rules always apply and bury what follows.
            if random.one_in(10) && !rules.rules.is_empty() {
                let buried = random.below(rules.rules.len());
                rules.rules[buried].all_of.clear();
            }
            let width = u32::try_from(random.below(4)).unwrap();
            for nr in nr..=nr + width {
                by_number.insert(nr, rules.clone());
            }
        }
        if random.one_in(4) {
            let odd = [X32_SYSCALL_BIT - 1, X32_SYSCALL_BIT, X32_SYSCALL_BIT + 7, u32::MAX];
            by_number.insert(random.pick(&odd), SyscallRules::plain(Action::Allow));
        }
        let set = RuleSet { arch: ARCHES[round % 2], by_number, default: random.pick(&ACTIONS) };
        match compile(&set) {
            Ok(_) => longest = longest.max(check(&set, 60, &mut random)),
            Err(error) => assert_eq!(error, FilterError::TooLong),
        }
    }
    // Far jumps were among them.
    assert!(longest > 1000, "{longest}");
}

/// seccompiler knows one action for a match and one for the rest, and nothing of x32.
#[test]
fn seccompiler_agrees() {
    let mut random = Random(4);
    let (hit, miss) = (Action::Allow, Action::Errno(13));
    let mut compared = 0;
    for round in 0..300 {
        let arch = ARCHES[round % 2];
        let mut by_number = BTreeMap::new();
        let mut theirs = BTreeMap::new();
        for _ in 0..random.below(30) {
            let nr = u32::try_from(random.below(460)).unwrap();
            let mut rules = random_rules(&[hit], 20, &mut random);
            rules.otherwise = if rules.rules.is_empty() { hit } else { miss };
            theirs.insert(i64::from(nr), rules.rules.iter().map(their_rule).collect());
            by_number.insert(nr, rules);
        }
        let set = RuleSet { arch, by_number, default: miss };
        let filter = SeccompFilter::new(
            theirs,
            SeccompAction::Errno(13),
            SeccompAction::Allow,
            match arch {
                Arch::X86_64 => seccompiler::TargetArch::x86_64,
                Arch::Aarch64 => seccompiler::TargetArch::aarch64,
            },
        );
        let Ok(theirs) = BpfProgram::try_from(filter.unwrap()) else {
            continue;
        };
        verify(&theirs).unwrap();
        let ours = compile(&set).unwrap();
        let both = |data: SeccompData| {
            let ours = interpret(&ours, &data);
            assert_eq!(ours, interpret(&theirs, &data), "{data:x?}");
            assert!(ours.is_ok());
        };
        for nr in 0..480 {
            both(call(arch, nr, [0; 6].map(|_: u64| random.value())));
        }
        both(call(ARCHES[(round + 1) % 2], 0, [0; 6]));
        for (&nr, rules) in &set.by_number {
            for _ in 0..60 {
                both(call(arch, nr, arguments(rules, &mut random)));
                compared += 1;
            }
        }
    }
    assert!(compared > 50_000, "{compared}");
}

fn their_rule(rule: &Rule) -> SeccompRule {
    let conditions = rule.all_of.iter().map(SeccompCondition::try_from);
    SeccompRule::new(conditions.collect::<Result<_, _>>().unwrap()).unwrap()
}

#[test]
fn compiler_refuses_what_it_cant_express() {
    let with = |rules| RuleSet {
        arch: Arch::X86_64,
        by_number: BTreeMap::from([(7, rules)]),
        default: Action::Notify,
    };
    let rule = |all_of| SyscallRules {
        rules: vec![Rule { all_of, action: Action::Allow }],
        otherwise: Action::Notify,
    };
    let condition = |arg| Condition::dword(arg, SeccompCmpOp::Eq, 1);
    assert_eq!(
        compile(&with(rule(vec![condition(6)]))),
        Err(FilterError::NoSuchArgument { nr: 7, arg: 6 })
    );
    assert!(compile(&with(rule(vec![condition(5); MAX_CONDITIONS]))).is_ok());
    assert_eq!(
        compile(&with(rule(vec![condition(5); MAX_CONDITIONS + 1]))),
        Err(FilterError::TooManyConditions { nr: 7 })
    );
    let many = (0..5000).map(|value| Rule {
        all_of: vec![Condition::qword(0, SeccompCmpOp::Eq, value)],
        action: Action::Allow,
    });
    let many = SyscallRules { rules: many.collect(), otherwise: Action::Notify };
    assert_eq!(compile(&with(many)), Err(FilterError::TooLong));
    let alternating = (0..9000).step_by(2);
    let alternating = alternating.map(|nr| (nr, SyscallRules::plain(Action::Allow)));
    let set =
        RuleSet { by_number: alternating.collect(), ..with(SyscallRules::plain(Action::Allow)) };
    assert_eq!(compile(&set), Err(FilterError::TooLong));
}

#[test]
fn foreign_calls_are_killed_and_skipped_ones_are_not() {
    for arch in ARCHES {
        let set = rule_set(&default_profile(), arch);
        let program = compile(&set).unwrap();
        let run = |data: SeccompData| interpret(&program, &data).unwrap();
        let kill = u32::from(Action::KillProcess);
        let unknown = u32::from(Action::Errno(38));
        for other in ARCHES.into_iter().filter(|&other| other != arch) {
            assert_eq!(run(call(other, 0, [0; 6])), kill);
        }
        assert_eq!(run(call(arch, u32::MAX, [0; 6])), unknown);
        let x32 = if arch == Arch::X86_64 { kill } else { unknown };
        assert_eq!(run(call(arch, X32_SYSCALL_BIT, [0; 6])), x32);
        assert_eq!(run(call(arch, X32_SYSCALL_BIT | 59, [0; 6])), x32);
        assert_eq!(run(call(arch, X32_SYSCALL_BIT - 1, [0; 6])), unknown);
    }
}

fn instruction_of(code: u16, k: u32) -> sock_filter {
    branch_of(code, k, 0, 0)
}

fn branch_of(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[test]
fn verifier_refuses_what_the_kernel_refuses() {
    let ret = || instruction_of(0x06, 0);
    let load = |k| instruction_of(0x20, k);
    let before_ret = |first| verify(&[first, ret()]);

    assert_eq!(verify(&[]), Err(VerifyError::Length(0)));
    assert_eq!(verify(&vec![ret(); MAX_INSTRUCTIONS]), Ok(()));
    let long = MAX_INSTRUCTIONS + 1;
    assert_eq!(verify(&vec![ret(); long]), Err(VerifyError::Length(long)));

    assert_eq!(before_ret(load(60)), Ok(()));
    for k in [1, 2, 3, 62, 64, 68, u32::MAX, u32::MAX - 3] {
        assert_eq!(before_ret(load(k)), Err(VerifyError::Load { at: 0 }));
    }

    assert_eq!(verify(&[load(0)]), Err(VerifyError::NoReturn));
    assert_eq!(verify(&[ret(), load(0)]), Err(VerifyError::NoReturn));
    let by_index = instruction_of(0x0e, 0);
    assert_eq!(verify(&[by_index]), Err(VerifyError::Opcode { at: 0 }));

    assert_eq!(before_ret(instruction_of(0x05, 0)), Ok(()));
    for k in [1, u32::MAX, u32::MAX - 1] {
        assert_eq!(before_ret(instruction_of(0x05, k)), Err(VerifyError::Jump { at: 0 }));
    }
    for code in [0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d] {
        assert_eq!(before_ret(branch_of(code, 0, 0, 0)), Ok(()));
        for (jt, jf) in [(1, 0), (0, 1), (255, 255)] {
            assert_eq!(before_ret(branch_of(code, 0, jt, jf)), Err(VerifyError::Jump { at: 0 }));
        }
    }

    // Halves and bytes, packets, remainders, and what isn't an instruction at all.
    for code in [0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0x94, 0x9c, 0x8c, 0x0e, 0xff, 0xffff, 0x120] {
        assert_eq!(
            before_ret(instruction_of(code, 0)),
            Err(VerifyError::Opcode { at: 0 }),
            "{code:x}"
        );
    }
    assert_eq!(before_ret(instruction_of(0x34, 0)), Err(VerifyError::Operand { at: 0 }));
    for code in [0x64, 0x74] {
        assert_eq!(before_ret(instruction_of(code, 31)), Ok(()));
        assert_eq!(before_ret(instruction_of(code, 32)), Err(VerifyError::Operand { at: 0 }));
    }

    let (store, fetch) = (|k| instruction_of(0x02, k), |k| instruction_of(0x60, k));
    assert_eq!(verify(&[store(3), fetch(3), ret()]), Ok(()));
    let unset = Err(VerifyError::Memory { at: 1 });
    assert_eq!(verify(&[store(3), fetch(4), ret()]), unset);
    assert_eq!(before_ret(store(16)), Err(VerifyError::Memory { at: 0 }));
    // Set on one way only.
    let skipping = branch_of(0x15, 0, 0, 1);
    assert_eq!(verify(&[skipping, store(0), fetch(0), ret()]), Err(VerifyError::Memory { at: 2 }));
}

#[test]
fn interpreter_runs_the_whole_instruction_set() {
    let data = SeccompData {
        nr: -2,
        arch: 7,
        instruction_pointer: 0x0000_0009_0000_0008,
        args: [0x0000_000b_0000_000a, 2, 3, 4, 5, 0x0000_001b_0000_001a],
    };
    let run = |program: &[(u16, u32)]| {
        let with_ret = program.iter().copied().chain([(0x16, 0)]);
        let program: Vec<_> = with_ret.map(|(code, k)| instruction_of(code, k)).collect();
        interpret(&program, &data).unwrap()
    };
    for (offset, word) in [(0, u32::MAX - 1), (4, 7), (8, 8), (12, 9), (16, 10), (20, 11)] {
        assert_eq!(run(&[(0x20, offset)]), word);
    }
    assert_eq!((run(&[(0x20, 56)]), run(&[(0x20, 60)])), (26, 27));
    assert_eq!(run(&[(0x80, 0)]), 64);
    assert_eq!(run(&[(0x81, 0), (0x87, 0)]), 64);
    let operations = [
        (0x04, 12, 5, 17),
        (0x14, 12, 5, 7),
        (0x14, 0, 1, u32::MAX),
        (0x24, 12, 5, 60),
        (0x34, 12, 5, 2),
        (0x44, 12, 5, 13),
        (0x54, 12, 5, 4),
        (0xa4, 12, 5, 9),
        (0x64, 12, 5, 384),
        (0x74, 12, 1, 6),
    ];
    for (code, a, k, result) in operations {
        assert_eq!(run(&[(0x00, a), (code, k)]), result, "{code:x}");
        assert_eq!(run(&[(0x00, a), (0x01, k), (code | 8, 0)]), result, "{code:x}");
    }
    assert_eq!(run(&[(0x00, 1), (0x84, 0)]), u32::MAX);
    // A division by a zero index returns 0, which kills.
    assert_eq!(run(&[(0x00, 9), (0x3c, 0), (0x00, 9)]), 0);
    assert_eq!(run(&[(0x00, 9), (0x02, 4), (0x00, 0), (0x60, 4)]), 9);
    assert_eq!(run(&[(0x01, 9), (0x03, 4), (0x00, 0), (0x60, 4)]), 9);
    assert_eq!(run(&[(0x00, 9), (0x02, 4), (0x61, 4), (0x87, 0)]), 9);
    assert_eq!(run(&[(0x00, 9), (0x07, 0), (0x00, 0), (0x87, 0)]), 9);

    let bad = |code, k| interpret(&[instruction_of(code, k)], &data);
    assert_eq!(interpret(&[], &data), Err(InterpretError::PastEnd));
    assert_eq!(bad(0x05, u32::MAX), Err(InterpretError::PastEnd));
    for (code, k) in [(0x20, 2), (0x20, 64), (0x34, 0), (0x64, 32), (0x60, 16), (0x28, 0)] {
        assert_eq!(bad(code, k), Err(InterpretError::BadInstruction { at: 0 }));
    }
}

#[test]
fn what_the_verifier_accepts_always_ends() {
    const CODES: &[u16] = &[
        0x20, 0x80, 0x00, 0x60, 0x81, 0x01, 0x61, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c,
        0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0xa4, 0xac, 0x05, 0x15,
        0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x06, 0x16, 0x07, 0x87,
    ];
    let mut random = Random(5);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut program: Vec<_> = (0..=random.below(8))
            .map(|_| {
                let k = random.pick(&[0, 1, 2, 4, 16, 32, 60, 64, u32::MAX]);
                let mut jump = || u8::try_from(random.below(4)).unwrap();
                let (jt, jf) = (jump(), jump());
                let any = u16::try_from(random.below(0x100)).unwrap();
                let code = if random.one_in(50) { any } else { random.pick(CODES) };
                branch_of(code, k, jt, jf)
            })
            .collect();
        if !random.one_in(10) {
            program.push(instruction_of(random.pick(&[0x06, 0x16]), 1));
        }
        let data = call(Arch::X86_64, 1, [0; 6].map(|_: u64| random.value()));
        // Must not panic either way.
        let ran = interpret(&program, &data);
        if verify(&program).is_ok() {
            assert!(ran.is_ok(), "{program:?}");
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} {refused}");
}

#[test]
fn whitelist_allows_exactly_the_list() {
    let every_other: Vec<i64> = (0..1024).step_by(2).collect();
    let all: Vec<i64> = (0..1024).collect();
    let odd = vec![0, 0, 1, 1, -1, -59, i64::MIN, i64::MAX, 1024, 1 << 32, 0x4000_0000, 1023];
    let scattered = vec![0, 1, 3, 60, 231];
    for list in [vec![], all, every_other, odd, scattered] {
        let program = build_whitelist_filter(&list);
        assert!((1..=MAX_INSTRUCTIONS).contains(&program.len()));
        verify(&program).unwrap();
        let Some(arch) = Arch::native() else {
            continue;
        };
        for nr in (0..1100).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
            let listed = nr < 1024 && list.contains(&i64::from(nr));
            let x32 = arch == Arch::X86_64 && nr >= X32_SYSCALL_BIT && nr != u32::MAX;
            let expected = match (x32, listed) {
                (true, _) => Action::KillProcess,
                (_, true) => Action::Allow,
                _ => Action::Errno(1),
            };
            let ran = interpret(&program, &call(arch, nr, [u64::MAX; 6]));
            assert_eq!(ran, Ok(expected.into()), "{nr}");
        }
        for other in ARCHES.into_iter().filter(|&other| other != arch) {
            let ran = interpret(&program, &call(other, 0, [0; 6]));
            assert_eq!(ran, Ok(Action::KillProcess.into()));
        }
    }
}

#[test]
fn table_is_consistent() {
    let mut names = BTreeSet::new();
    for syscall in table() {
        assert!(names.insert(syscall.name), "{} is listed twice", syscall.name);
        assert!(syscall.x86_64.is_some() || syscall.aarch64.is_some());
        assert!(!syscall.reason.is_empty());
        for arch in ARCHES {
            assert_eq!(number(arch, syscall.name), syscall.number(arch));
            if let Some(nr) = syscall.number(arch) {
                assert_eq!(name(arch, nr), Some(syscall.name));
                assert_eq!(
                    syscalls::by_number(arch, nr).map(|found| found.reason),
                    Some(syscall.reason)
                );
            }
        }
        // What came after the numbering was unified has one number.
        if let Some(nr) = syscall.x86_64.filter(|&nr| nr >= 424) {
            assert_eq!(syscall.aarch64, Some(nr));
        }
        // "as x" explains itself with another line.
        if let Some((_, other)) = syscall.reason.split_once("as ") {
            let (other, _) = other.split_once(';').unwrap_or((other, ""));
            if syscall.reason.starts_with("as ") {
                assert!(table().iter().any(|line| line.name == other), "{other}");
            }
        }
    }
    assert_eq!(name(Arch::X86_64, 334), Some("rseq"));
    assert_eq!(name(Arch::X86_64, 400), None);
    assert_eq!(name(Arch::X86_64, u32::MAX), None);
    assert_eq!(number(Arch::Aarch64, "open"), None);
    assert_eq!(number(Arch::Aarch64, "nonsense"), None);
}

/// Linux gives out numbers in a row, so a wrong or forgotten one leaves a hole.
#[test]
fn table_has_no_holes() {
    let unified = 424..=469;
    let x86_64 = (0..=335).chain(unified.clone());
    let aarch64 = (0..=243).chain(260..=294).chain(unified);
    let numbers =
        |arch| -> BTreeSet<u32> { table().iter().filter_map(|s| s.number(arch)).collect() };
    assert_eq!(numbers(Arch::X86_64), x86_64.collect());
    assert_eq!(numbers(Arch::Aarch64), aarch64.collect());
}

/// The numbers that libc knows, too.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(deprecated)]
fn numbers_are_libcs() {
    let arch = Arch::native().unwrap();
    macro_rules! same_as_libc {
        ($($constant:ident),* $(,)?) => {
            for (constant, theirs) in [$((stringify!($constant), libc::$constant)),*] {
                let ours = number(arch, constant.trim_start_matches("SYS_"));
                assert_eq!(ours.map(i64::from), Some(theirs), "{constant}");
            }
        };
    }
    same_as_libc! {
        SYS_accept, SYS_accept4, SYS_acct, SYS_add_key, SYS_adjtimex, SYS_bind, SYS_bpf,
        SYS_brk, SYS_capget, SYS_capset, SYS_chdir, SYS_chroot, SYS_clock_adjtime,
        SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_clock_settime,
        SYS_clone, SYS_clone3, SYS_close, SYS_close_range, SYS_connect,
        SYS_copy_file_range, SYS_delete_module, SYS_dup, SYS_dup3, SYS_epoll_create1,
        SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2, SYS_execve,
        SYS_execveat, SYS_exit, SYS_exit_group, SYS_faccessat, SYS_faccessat2,
        SYS_fadvise64, SYS_fallocate, SYS_fanotify_init, SYS_fanotify_mark, SYS_fchdir,
        SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync,
        SYS_fgetxattr, SYS_finit_module, SYS_flistxattr, SYS_flock, SYS_fremovexattr,
        SYS_fsconfig, SYS_fsetxattr, SYS_fsmount, SYS_fsopen, SYS_fspick, SYS_fstat,
        SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_futex, SYS_futex_waitv,
        SYS_get_mempolicy, SYS_get_robust_list, SYS_getcpu, SYS_getcwd, SYS_getdents64,
        SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getgroups, SYS_getitimer,
        SYS_getpeername, SYS_getpgid, SYS_getpid, SYS_getppid, SYS_getpriority,
        SYS_getrandom, SYS_getresgid, SYS_getresuid, SYS_getrlimit, SYS_getrusage,
        SYS_getsid, SYS_getsockname, SYS_getsockopt, SYS_gettid, SYS_gettimeofday,
        SYS_getuid, SYS_getxattr, SYS_init_module, SYS_inotify_add_watch,
        SYS_inotify_init1, SYS_inotify_rm_watch, SYS_io_cancel, SYS_io_destroy,
        SYS_io_getevents, SYS_io_setup, SYS_io_submit, SYS_io_uring_enter,
        SYS_io_uring_register, SYS_io_uring_setup, SYS_ioctl, SYS_ioprio_get,
        SYS_ioprio_set, SYS_kcmp, SYS_kexec_file_load, SYS_kexec_load, SYS_keyctl,
        SYS_kill, SYS_landlock_add_rule, SYS_landlock_create_ruleset,
        SYS_landlock_restrict_self, SYS_lgetxattr, SYS_linkat, SYS_listen, SYS_listxattr,
        SYS_llistxattr, SYS_lookup_dcookie, SYS_lremovexattr, SYS_lseek, SYS_lsetxattr,
        SYS_madvise, SYS_mbind, SYS_membarrier, SYS_memfd_create, SYS_memfd_secret,
        SYS_migrate_pages, SYS_mincore, SYS_mkdirat, SYS_mknodat, SYS_mlock, SYS_mlock2,
        SYS_mlockall, SYS_mmap, SYS_mount, SYS_mount_setattr, SYS_move_mount,
        SYS_move_pages, SYS_mprotect, SYS_mq_getsetattr, SYS_mq_notify, SYS_mq_open,
        SYS_mq_timedreceive, SYS_mq_timedsend, SYS_mq_unlink, SYS_mremap, SYS_mseal,
        SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_msync, SYS_munlock,
        SYS_munlockall, SYS_munmap, SYS_name_to_handle_at, SYS_nanosleep, SYS_newfstatat,
        SYS_nfsservctl, SYS_open_by_handle_at, SYS_open_tree, SYS_openat, SYS_openat2,
        SYS_perf_event_open, SYS_personality, SYS_pidfd_getfd, SYS_pidfd_open,
        SYS_pidfd_send_signal, SYS_pipe2, SYS_pivot_root, SYS_pkey_alloc, SYS_pkey_free,
        SYS_pkey_mprotect, SYS_ppoll, SYS_prctl, SYS_pread64, SYS_preadv, SYS_preadv2,
        SYS_prlimit64, SYS_process_madvise, SYS_process_mrelease, SYS_process_vm_readv,
        SYS_process_vm_writev, SYS_pselect6, SYS_ptrace, SYS_pwrite64, SYS_pwritev,
        SYS_pwritev2, SYS_quotactl, SYS_quotactl_fd, SYS_read, SYS_readahead,
        SYS_readlinkat, SYS_readv, SYS_reboot, SYS_recvfrom, SYS_recvmmsg, SYS_recvmsg,
        SYS_remap_file_pages, SYS_removexattr, SYS_renameat, SYS_renameat2,
        SYS_request_key, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction,
        SYS_rt_sigpending, SYS_rt_sigprocmask, SYS_rt_sigqueueinfo, SYS_rt_sigreturn,
        SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_rt_tgsigqueueinfo,
        SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_sched_getaffinity,
        SYS_sched_getattr, SYS_sched_getparam, SYS_sched_getscheduler,
        SYS_sched_rr_get_interval, SYS_sched_setaffinity, SYS_sched_setattr,
        SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_yield, SYS_seccomp,
        SYS_semctl, SYS_semget, SYS_semop, SYS_semtimedop, SYS_sendfile, SYS_sendmmsg,
        SYS_sendmsg, SYS_sendto, SYS_set_mempolicy, SYS_set_mempolicy_home_node,
        SYS_set_robust_list, SYS_set_tid_address, SYS_setdomainname, SYS_setfsgid,
        SYS_setfsuid, SYS_setgid, SYS_setgroups, SYS_sethostname, SYS_setitimer,
        SYS_setns, SYS_setpgid, SYS_setpriority, SYS_setregid, SYS_setresgid,
        SYS_setresuid, SYS_setreuid, SYS_setrlimit, SYS_setsid, SYS_setsockopt,
        SYS_settimeofday, SYS_setuid, SYS_setxattr, SYS_shmat, SYS_shmctl, SYS_shmdt,
        SYS_shmget, SYS_shutdown, SYS_sigaltstack, SYS_signalfd4, SYS_socket,
        SYS_socketpair, SYS_splice, SYS_statfs, SYS_statx, SYS_swapoff, SYS_swapon,
        SYS_symlinkat, SYS_sync, SYS_sync_file_range, SYS_syncfs, SYS_sysinfo, SYS_syslog,
        SYS_tee, SYS_tgkill, SYS_timer_create, SYS_timer_delete, SYS_timer_getoverrun,
        SYS_timer_gettime, SYS_timer_settime, SYS_timerfd_create, SYS_timerfd_gettime,
        SYS_timerfd_settime, SYS_times, SYS_tkill, SYS_truncate, SYS_umask, SYS_umount2,
        SYS_uname, SYS_unlinkat, SYS_unshare, SYS_userfaultfd, SYS_utimensat, SYS_vhangup,
        SYS_vmsplice, SYS_wait4, SYS_waitid, SYS_write, SYS_writev
    }
    #[cfg(target_arch = "x86_64")]
    same_as_libc! {
        SYS__sysctl, SYS_access, SYS_afs_syscall, SYS_alarm, SYS_arch_prctl, SYS_chmod,
        SYS_chown, SYS_creat, SYS_dup2, SYS_epoll_create, SYS_epoll_ctl_old,
        SYS_epoll_wait, SYS_epoll_wait_old, SYS_eventfd, SYS_fchmodat2, SYS_fork,
        SYS_futimesat, SYS_get_thread_area, SYS_getdents, SYS_getpgrp, SYS_getpmsg,
        SYS_inotify_init, SYS_ioperm, SYS_iopl, SYS_lchown, SYS_link, SYS_lstat,
        SYS_mkdir, SYS_mknod, SYS_modify_ldt, SYS_open, SYS_pause, SYS_pipe, SYS_poll,
        SYS_putpmsg, SYS_readlink, SYS_rename, SYS_rmdir, SYS_security, SYS_select,
        SYS_set_thread_area, SYS_signalfd, SYS_stat, SYS_symlink, SYS_sysfs, SYS_time,
        SYS_tuxcall, SYS_unlink, SYS_uselib, SYS_ustat, SYS_utime, SYS_utimes, SYS_vfork,
        SYS_vserver
    }
}

fn one(name: &str, profile: &Profile, args: &[u64]) -> Outcome {
    let nr = number(Arch::X86_64, name).unwrap();
    let mut padded = [0; 6];
    padded[..args.len()].copy_from_slice(args);
    outcome(profile, Arch::X86_64, nr, &padded)
}

const EPERM: Outcome = Outcome::Refuse(1);
const EACCES: Outcome = Outcome::Refuse(13);
const EINVAL: Outcome = Outcome::Refuse(22);
const EPROTONOSUPPORT: Outcome = Outcome::Refuse(93);
const EAFNOSUPPORT: Outcome = Outcome::Refuse(97);

#[test]
fn sockets_are_what_was_granted() {
    let offline = default_profile();
    let tcp = Profile { tcp: true, ..offline.clone() };
    let udp = Profile { udp: true, ..offline.clone() };
    const CLOEXEC: u64 = 0o2_000_000;
    let cases = [
        // domain, type, protocol; offline, tcp, udp
        ([1, 1, 0], Outcome::Allow, Outcome::Allow, Outcome::Allow),
        ([1, 5 | CLOEXEC, 1], Outcome::Allow, Outcome::Allow, Outcome::Allow),
        ([1 | 7 << 32, 1, 0], Outcome::Allow, Outcome::Allow, Outcome::Allow),
        ([1, 2, 0], EPROTONOSUPPORT, EPROTONOSUPPORT, EPROTONOSUPPORT),
        ([1, 3, 0], EPROTONOSUPPORT, EPROTONOSUPPORT, EPROTONOSUPPORT),
        ([1, 1, 2], EPROTONOSUPPORT, EPROTONOSUPPORT, EPROTONOSUPPORT),
        ([2, 1, 0], EACCES, Outcome::Allow, EACCES),
        ([2, 1 | CLOEXEC, 6], EACCES, Outcome::Allow, EACCES),
        ([10, 1, 6], EACCES, Outcome::Allow, EACCES),
        // MPTCP and SCTP
        ([2, 1, 262], EACCES, EACCES, EACCES),
        ([2, 1, 132], EACCES, EACCES, EACCES),
        ([2, 2, 0], EACCES, EACCES, Outcome::Allow),
        ([10, 2 | CLOEXEC, 17], EACCES, EACCES, Outcome::Allow),
        // UDP-Lite, ICMP and raw
        ([2, 2, 136], EACCES, EACCES, EACCES),
        ([2, 2, 1], EACCES, EACCES, EACCES),
        ([2, 3, 6], EACCES, EACCES, EACCES),
        // SOCK_PACKET becomes a packet socket
        ([2, 10, 0], EACCES, EACCES, EACCES),
        // netlink, packet, vsock, and what shares bits with the allowed ones
        ([16, 3, 0], Outcome::Quiet(97), Outcome::Quiet(97), Outcome::Quiet(97)),
        ([17, 2, 0], EAFNOSUPPORT, EAFNOSUPPORT, EAFNOSUPPORT),
        ([40, 1, 0], EAFNOSUPPORT, EAFNOSUPPORT, EAFNOSUPPORT),
        ([8, 1, 0], EAFNOSUPPORT, EAFNOSUPPORT, EAFNOSUPPORT),
        ([0, 1, 0], EAFNOSUPPORT, EAFNOSUPPORT, EAFNOSUPPORT),
        ([0x8000_0002, 1, 0], EAFNOSUPPORT, EAFNOSUPPORT, EAFNOSUPPORT),
    ];
    for (args, in_offline, in_tcp, in_udp) in cases {
        assert_eq!(one("socket", &offline, &args), in_offline, "{args:?}");
        assert_eq!(one("socket", &tcp, &args), in_tcp, "{args:?}");
        assert_eq!(one("socket", &udp, &args), in_udp, "{args:?}");
    }
    assert_eq!(one("socketpair", &udp, &[1, 1, 0]), Outcome::Allow);
    assert_eq!(one("socketpair", &udp, &[1, 2, 0]), EPROTONOSUPPORT);
    assert_eq!(one("socketpair", &tcp, &[2, 1, 0]), EPROTONOSUPPORT);

    const FASTOPEN: u64 = 0x2000_0000;
    assert_eq!(one("sendto", &tcp, &[3, 0, 0, FASTOPEN, 1]), EPERM);
    assert_eq!(one("sendto", &tcp, &[3, 0, 0, 0x4000, 1]), Outcome::Allow);
    assert_eq!(one("sendto", &udp, &[3, 0, 0, FASTOPEN, 0]), EPERM);
    assert_eq!(one("sendto", &udp, &[3, 0, 0, 0, 0]), Outcome::Allow);
    assert_eq!(one("sendto", &udp, &[3, 0, 0, 0, 1 << 32]), Outcome::Guard);
    assert_eq!(one("sendmsg", &tcp, &[3, 0, FASTOPEN | 1]), EPERM);
    assert_eq!(one("sendmsg", &udp, &[3, 0, 0]), Outcome::Guard);
    assert_eq!(one("sendmmsg", &tcp, &[3, 0, 1, FASTOPEN]), EPERM);
    assert_eq!(one("bind", &offline, &[]), Outcome::Guard);
    assert_eq!(one("listen", &offline, &[]), Outcome::Allow);
    assert_eq!(one("listen", &tcp, &[]), Outcome::Guard);
    assert_eq!(one("connect", &offline, &[]), Outcome::Guard);
    for option in [26, 50, 51, 52] {
        assert_eq!(one("setsockopt", &tcp, &[3, 1, option]), EPERM);
        assert_eq!(one("setsockopt", &tcp, &[3, 0, option]), Outcome::Allow);
    }
    assert_eq!(one("setsockopt", &tcp, &[3, 1, 2]), Outcome::Allow);
    assert_eq!(one("setsockopt", &tcp, &[3, 6, 31]), Outcome::Quiet(2));
}

#[test]
fn files_are_opened_and_made_within_bounds() {
    let new = default_profile();
    let old = Profile::default();
    const CREAT: u64 = 0o100;
    const TMPFILE: u64 = 0o20_200_000;
    const TRUNC: u64 = 0o1000;
    let cases = [
        // flags, mode; new, old
        (0, 0o6777, Outcome::Allow, Outcome::Allow),
        (CREAT, 0o777, Outcome::Allow, Outcome::Allow),
        (CREAT, 0o1777, Outcome::Allow, Outcome::Allow),
        (CREAT, 0o4755, EPERM, EPERM),
        (CREAT | TRUNC, 0o2755, EPERM, EPERM),
        (TMPFILE | 2, 0o4755, EPERM, EPERM),
        (TMPFILE | 2, 0o600, Outcome::Allow, Outcome::Allow),
        (TRUNC, 0o4000, Outcome::Allow, Outcome::Guard),
        (CREAT | TRUNC | 1, 0o644, Outcome::Allow, Outcome::Guard),
    ];
    for (flags, mode, in_new, in_old) in cases {
        for (profile, expected) in [(&new, in_new), (&old, in_old)] {
            assert_eq!(one("open", profile, &[0, flags, mode]), expected);
            assert_eq!(one("openat", profile, &[0, 0, flags, mode]), expected);
        }
    }
    assert_eq!(one("creat", &new, &[0, 0o644]), Outcome::Allow);
    assert_eq!(one("creat", &old, &[0, 0o644]), Outcome::Guard);
    assert_eq!(one("creat", &old, &[0, 0o4644]), EPERM);
    assert_eq!(one("truncate", &new, &[]), Outcome::Allow);
    assert_eq!(one("truncate", &old, &[]), Outcome::Guard);
    for (mode, expected) in [
        (0o644, Outcome::Allow),
        (0o100_644, Outcome::Allow),
        (0o010_600, Outcome::Allow),
        (0o140_600, Outcome::Allow),
        (0o100_644 | 1 << 40, Outcome::Allow),
        (0o020_600, EPERM),
        (0o060_600, EPERM),
        (0o040_700, EPERM),
        (0o120_777, EPERM),
        (0o150_000, EPERM),
        (0o104_755, EPERM),
        (0o002_755, EPERM),
    ] {
        assert_eq!(one("mknod", &new, &[0, mode, 0]), expected, "{mode:o}");
        assert_eq!(one("mknodat", &new, &[0, 0, mode, 0]), expected, "{mode:o}");
    }
    assert_eq!(one("mkdir", &new, &[0, 0o1777]), Outcome::Allow);
    assert_eq!(one("mkdirat", &new, &[0, 0, 0o2755]), Outcome::Allow);

    assert_eq!(one("fcntl", &new, &[0, 1024]), EACCES);
    assert_eq!(one("fcntl", &new, &[0, 1031]), Outcome::Quiet(1));
    assert_eq!(one("fcntl", &new, &[0, 8]), Outcome::Allow);
    assert_eq!(one("fcntl", &old, &[0, 8]), EPERM);
    assert_eq!(one("fcntl", &old, &[0, 9]), Outcome::Allow);

    let tiocsti = 0x5412;
    assert_eq!(one("ioctl", &new, &[0, tiocsti]), EPERM);
    assert_eq!(one("ioctl", &new, &[0, tiocsti | 1 << 32]), EPERM);
    for allowed in [0x5401, 0x5411, 0x5413, 0x541b, 0x5421, 0x4020_940d, 0x5452] {
        assert_eq!(one("ioctl", &new, &[0, allowed]), Outcome::Allow);
    }
    for unknown in [0x5400, 0x5405, 0x5408, 0x5415, 0x541d, 0x8912, 0] {
        assert_eq!(one("ioctl", &new, &[0, unknown]), Outcome::Quiet(25));
    }
    assert_eq!(one("ioctl", &old, &[0, 0x5452]), Outcome::Quiet(25));
}

#[test]
fn tasks_touch_only_themselves() {
    let new = default_profile();
    let pthread = 0x003d_0f00;
    let spawn = 0x4000 | 0x100 | 17;
    for good in [17, 0, pthread, spawn, 0x0120_0011, 17 | 1 << 40] {
        assert_eq!(one("clone", &new, &[good]), Outcome::Guard, "{good:x}");
    }
    for bit in [13, 15, 17, 23, 25, 26, 27, 28, 29, 30] {
        assert_eq!(one("clone", &new, &[17 | 1 << bit]), EPERM, "{bit}");
        assert_eq!(one("clone", &new, &[9 | 1 << bit]), EPERM, "{bit}");
    }
    for bad in [9, 1, 0x80, 0x91] {
        assert_eq!(one("clone", &new, &[bad]), EINVAL);
    }
    assert_eq!(one("clone3", &new, &[]), Outcome::Quiet(38));
    assert_eq!(one("sync", &new, &[]), Outcome::Quiet(0));
    assert_eq!(one("syncfs", &new, &[1]), Outcome::Quiet(0));
    assert_eq!(one("fsync", &new, &[1]), Outcome::Allow);
    assert_eq!(one("seccomp", &new, &[]), EINVAL);

    assert_eq!(one("prctl", &new, &[4, 1]), Outcome::Allow);
    for other in [0, 2, 1 | 1 << 32] {
        assert_eq!(one("prctl", &new, &[4, other]), Outcome::Quiet(0));
    }
    assert_eq!(one("prctl", &new, &[15]), Outcome::Allow);
    assert_eq!(one("prctl", &new, &[0x5356_4d41]), Outcome::Allow);
    assert_eq!(one("prctl", &new, &[22]), EPERM);
    assert_eq!(one("prctl", &new, &[0x5961_6d61]), EPERM);
    assert_eq!(one("prctl", &new, &[50]), Outcome::Quiet(22));
    let on_arm = outcome(&new, Arch::Aarch64, 167, &[50, 0, 0, 0, 0, 0]);
    assert_eq!(on_arm, Outcome::Allow);

    assert_eq!(one("prlimit64", &new, &[0]), Outcome::Allow);
    assert_eq!(one("prlimit64", &new, &[1]), Outcome::Guard);
    let reset_on_fork = 0x4000_0000;
    for (args, expected) in [
        ([0, 0], Outcome::Allow),
        ([0, 2], Outcome::Allow),
        ([0, 3], Outcome::Quiet(0)),
        ([0, 5], Outcome::Quiet(0)),
        ([0, 5 | reset_on_fork], Outcome::Quiet(0)),
        ([9, 5], EPERM),
        ([9, 0], EPERM),
    ] {
        assert_eq!(one("sched_setscheduler", &new, &args), expected);
    }
    assert_eq!(one("setpriority", &new, &[0, 0, 5]), Outcome::Allow);
    assert_eq!(one("setpriority", &new, &[1, 0, 5]), EPERM);
    assert_eq!(one("ioprio_set", &new, &[1, 0]), Outcome::Allow);
    assert_eq!(one("ioprio_set", &new, &[3, 0]), EPERM);
    for (persona, expected) in [
        (0, Outcome::Allow),
        (0xffff_ffff, Outcome::Allow),
        (0x0004_0000, EPERM),
        // READ_IMPLIES_EXEC, and 32-bit
        (0x0040_0000, EPERM),
        (8, EPERM),
    ] {
        assert_eq!(one("personality", &new, &[persona]), expected);
    }
    for signal in ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal"] {
        assert_eq!(one(signal, &new, &[]), Outcome::Allow);
        assert_eq!(one(signal, &Profile::default(), &[]), Outcome::Guard);
    }
}

#[test]
fn traps_only_ever_tighten() {
    let free = default_profile();
    let all =
        Profile { traps: table().iter().map(|syscall| syscall.name).collect(), ..free.clone() };
    let mut random = Random(6);
    for arch in ARCHES {
        for syscall in table() {
            let Some(nr) = syscall.number(arch) else {
                continue;
            };
            let rules = syscall.outcomes(&free, arch);
            for _ in 0..20 {
                let args = arguments(&rules, &mut random);
                let expected = match outcome(&free, arch, nr, &args) {
                    Outcome::Allow => Outcome::Guard,
                    other => other,
                };
                assert_eq!(outcome(&all, arch, nr, &args), expected);
            }
        }
    }
}

#[test]
fn unknown_calls_dont_exist() {
    for arch in ARCHES {
        for nr in [400, 470, 600, 1 << 20, u32::MAX] {
            let unknown = outcome(&default_profile(), arch, nr, &[0; 6]);
            assert_eq!(unknown, Outcome::Quiet(38));
        }
    }
}
