//! Who lives and who dies: programs that try to stay, hosts, daemons and guards that are killed,
//! executors that are dropped, forks, and what is left after many runs.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::collections::HashSet;
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::*;
use evalbox::error::{LaunchError, Machine, SessionError, Unavailable};
use evalbox::{Error, Event, Executor, Plan, SandboxId, Status, Stdin};

#[test]
fn host_role() {
    play(&[
        ("host_of_trees", host_of_trees),
        ("ignores_children", ignores_children),
        ("waits_for_any_child", waits_for_any_child),
        ("forks", forks),
        ("forked_and_dropped", forked_and_dropped),
        ("few_descriptors", few_descriptors),
        ("privileged", privileged),
        ("few_processes", few_processes),
        ("idle", idle),
        ("soak", soak),
    ]);
}

/// Several generations: sessions of their own, orphans, deaf and stopped ones.
const TREE: &str = "
    setsid sh -c 'sleep 600 & sh -c \"sleep 600; :\"; :' &
    (setsid sh -c '(sleep 600 &) ; sleep 600; :' < /dev/null > /dev/null 2>&1 &)
    sh -c 'trap \"\" TERM HUP INT; sleep 600; :' &
    sh -c 'kill -STOP $$' &
    sleep 0.2; echo up; wait
";
/// At least so many processes of it.
const TREE_SIZE: usize = 8;

fn tree(mark: &str) -> Plan {
    sh(TREE).env("MARK", mark).no_timeout()
}

fn grow(executor: &mut Executor, mark: &str) -> SandboxId {
    let sandbox = executor.spawn(tree(mark)).unwrap();
    hear_from(executor, sandbox, "up\n");
    eventually("the tree has grown", || bearing(mark).len() >= TREE_SIZE);
    sandbox
}

// ---------------------------------------------------------------------------------------------
// Programs that try to stay

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let double_fork = "
import os, signal, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for signal_number in range(1, 64):
            try:
                signal.signal(signal_number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 64))
        null = os.open('/dev/null', os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.chdir('/')
        os.write(w, b'y')
        os.closerange(3, 100)
        while True:
            time.sleep(600)
    os._exit(0)
os.read(r, 1)
print('left one')
";
    let mut plans = vec![
        sh("setsid sleep 600 & echo left one"),
        sh("(setsid sh -c 'sleep 600; :' <&- >&- 2>&- &); echo left one"),
        sh("nohup sleep 600 > /dev/null 2>&1 & echo left one"),
        sh("sh -c 'kill -STOP $$' & echo left one"),
    ];
    plans.extend(python(double_fork));
    for plan in plans {
        let mark = mark();
        let begun = Instant::now();
        let output = plan.env("MARK", &mark).timeout(10 * SOON).run().unwrap();
        good(&output);
        assert_eq!(output.stdout_text(), "left one\n");
        assert_eq!(bearing(&mark), []);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_chain_of_forks_is_caught() {
    // Each child goes on after its parent has ended.
    let script = "
import os
for _ in range(20):
    if os.fork() == 0:
        while True:
            if os.fork() != 0:
                os._exit(0)
print('left')
";
    let Some(plan) = python(script) else { return };
    let mark = mark();
    let output = plan.env("MARK", &mark).run().unwrap();
    good(&output);
    assert_eq!(bearing(&mark), []);
}

// ---------------------------------------------------------------------------------------------
// kill and drop

#[test]
fn kill_ends_the_tree_and_says_so() {
    let (mark, other) = (mark(), mark());
    let mut executor = Executor::new().unwrap();
    let bystander =
        executor.spawn(Plan::new(["cat"]).env("MARK", &other).stdin_from(Stdin::Piped)).unwrap();
    let sandbox = grow(&mut executor, &mark);
    assert_eq!(executor.active(), 2);
    executor.kill(sandbox).unwrap();
    let output = end_of(&mut executor, sandbox).unwrap();
    assert_eq!((output.status, output.signal()), (Status::Killed, Some(libc::SIGKILL)));
    assert_eq!(bearing(&mark), []);
    let error = executor.kill(sandbox).unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::UnknownSandbox(_))), "{error:?}");
    executor.write_stdin(bystander, b"still here\n").unwrap();
    executor.close_stdin(bystander).unwrap();
    let output = end_of(&mut executor, bystander).unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "still here\n");
}

#[test]
fn a_signal_reaches_the_program_only() {
    let mut executor = Executor::new().unwrap();
    let script = "trap 'echo caught; exit 3' USR1; echo up; while :; do sleep 0.05; done";
    let sandbox = executor.spawn(sh(script)).unwrap();
    hear_from(&mut executor, sandbox, "up\n");
    executor.signal(sandbox, libc::SIGUSR1).unwrap();
    let output = end_of(&mut executor, sandbox).unwrap();
    assert_eq!((output.status, output.stdout_text()), (Status::Exited(3), "up\ncaught\n".into()));
}

#[test]
fn dropping_an_executor_ends_its_runs_and_no_others() {
    let marks = [mark(), mark(), mark()];
    let (mut dropped, mut kept) = (Executor::new().unwrap(), Executor::new().unwrap());
    grow(&mut dropped, &marks[0]);
    grow(&mut dropped, &marks[1]);
    let sandbox = grow(&mut kept, &marks[2]);
    drop(dropped);
    eventually("the trees are gone", || {
        bearing(&marks[0]).is_empty() && bearing(&marks[1]).is_empty()
    });
    assert!(bearing(&marks[2]).len() >= TREE_SIZE);
    kept.kill(sandbox).unwrap();
    assert_eq!(end_of(&mut kept, sandbox).unwrap().status, Status::Killed);
}

/// The child holds copies of the channels, so that closing them tells the guards nothing.
#[test]
fn dropping_an_executor_ends_its_runs_while_a_forked_child_lives() {
    let temp = temp();
    let mut host = Host::start("forked_and_dropped", temp.path());
    let mark = host.hear();
    eventually("the tree is gone", || bearing(&mark).is_empty());
    assert!(is_alive(host.pid()));
    host.close_stdin();
    host.finish();
}

fn forked_and_dropped() {
    let mark = mark();
    let mut executor = Executor::new().unwrap();
    grow(&mut executor, &mark);
    // SAFETY: the child only waits for its parent's end, and ends itself.
    let child = check(unsafe { libc::fork() }).unwrap();
    if child == 0 {
        // SAFETY: takes numbers only.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::sleep(60);
            libc::_exit(0);
        }
    }
    drop(executor);
    tell(&mark);
    hear();
}

// ---------------------------------------------------------------------------------------------
// Killed hosts, daemons and guards

/// Grows three trees, and then does what it is told.
fn host_of_trees() {
    let marks: Vec<String> = (0..3).map(|_| mark()).collect();
    let mut executor = Executor::new().unwrap();
    let sandboxes: Vec<_> = marks.iter().map(|mark| grow(&mut executor, mark)).collect();
    for mark in &marks {
        tell(mark);
    }
    while let Some(order) = hear() {
        match order.as_str() {
            "fork" => {
                // SAFETY: the child makes system calls only.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    loop {
                        // SAFETY: always safe.
                        unsafe { libc::pause() };
                    }
                }
                tell(child);
            }
            "ends" => {
                for _ in &sandboxes {
                    tell(match executor.poll(Some(SOON)).unwrap() {
                        Some(Event::Failed {
                            error: Error::Session(error @ SessionError::GuardDied),
                            ..
                        }) => error.to_string(),
                        other => format!("{other:?}"),
                    });
                }
                assert_eq!(executor.active(), 0);
            }
            "again" => {
                for executor in [&mut executor, &mut Executor::new().unwrap()] {
                    let output = executor.run(&sh("echo hello")).unwrap();
                    good(&output);
                    tell(output.stdout_text());
                }
            }
            other => panic!("{other}"),
        }
    }
}

fn start_trees(tmp: &Path) -> (Host, Vec<String>) {
    let host = Host::start("host_of_trees", tmp);
    let marks = (0..3).map(|_| host.hear()).collect();
    (host, marks)
}

#[test]
fn nothing_outlives_a_killed_host() {
    for with_child in [false, true] {
        let tmp = temp();
        let (mut host, _) = start_trees(tmp.path());
        let mut child = 0;
        if with_child {
            // It has all descriptors of the host, so that no channel is ever closed.
            host.tell("fork");
            child = host.hear().parse().unwrap();
        }
        assert!(host.processes().len() > 3 * TREE_SIZE);
        kill(host.pid(), libc::SIGKILL);
        let left = || host.processes().into_iter().filter(|pid| *pid != child).collect::<Vec<_>>();
        let gone = within(Duration::from_secs(5), || left().is_empty());
        let names: Vec<_> = left().into_iter().map(name_of).collect();
        assert!(gone, "left with a forked child ({with_child}): {names:?}");
        eventually("the temporary directory is empty", || entries(tmp.path()).is_empty());
        if with_child {
            assert!(is_alive(child), "it held the descriptors to the end");
            kill(child, libc::SIGKILL);
        }
    }
}

#[test]
fn a_host_that_ends_by_itself_leaves_nothing() {
    let tmp = temp();
    let (host, _) = start_trees(tmp.path());
    let (pid, path) = (host.pid(), host.tmp.clone());
    // End of its standard input, and so of its orders, with three trees running.
    let mut host = host;
    host.close_stdin();
    assert_eq!(host.hear(), "done");
    assert!(host.wait(SOON).is_some_and(|status| status.success()));
    assert!(!is_alive(pid));
    eventually("nothing is left", || bearing(&path).is_empty() && entries(&path).is_empty());
}

#[test]
fn a_killed_daemon_fails_the_runs_and_the_next_run_has_a_new_one() {
    let tmp = temp();
    let (mut host, marks) = start_trees(tmp.path());
    let daemon = host.daemon();
    let before = entries(tmp.path());
    assert_eq!(before.len(), 1);
    kill(daemon, libc::SIGKILL);
    host.tell("ends");
    for mark in &marks {
        assert_eq!(
            host.hear(),
            "the sandbox's guard process ended before the run did; the run was killed"
        );
        eventually("its tree is gone", || bearing(mark).is_empty());
    }
    host.tell("again");
    assert_eq!([host.hear(), host.hear()], ["hello / ", "hello / "]);
    assert_ne!(host.daemon(), daemon);
    eventually("the old directory is gone and the new one is there", || {
        let now = entries(tmp.path());
        now.len() == 1 && now != before
    });
    host.close_stdin();
    host.finish();
    eventually("nothing is left", || {
        bearing(tmp.path()).is_empty() && entries(tmp.path()).is_empty()
    });
}

#[test]
fn a_killed_guard_takes_its_tree_along_and_nobody_elses() {
    let (mark, other) = (mark(), mark());
    let mut executor = Executor::new().unwrap();
    let sandbox = grow(&mut executor, &mark);
    let bystander =
        executor.spawn(Plan::new(["cat"]).env("MARK", &other).stdin_from(Stdin::Piped)).unwrap();
    executor.write_stdin(bystander, b"one\n").unwrap();
    hear_from(&mut executor, bystander, "one\n");

    let tree = bearing(&mark);
    let environ = fs::read(format!("/proc/{}/environ", tree[0])).unwrap();
    let home = environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(b"HOME=")).unwrap();
    let workspace = PathBuf::from(String::from_utf8(home.to_vec()).unwrap());
    assert!(workspace.is_dir());
    let guard = guard_of(tree[0]);
    assert!(tree.iter().all(|pid| guard_of(*pid) == guard), "one guard above the whole tree");
    kill(guard, libc::SIGKILL);

    let error = end_of(&mut executor, sandbox).unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::GuardDied)), "{error:?}");
    eventually("its tree is gone", || bearing(&mark).is_empty());
    eventually("its workspace is gone", || !workspace.exists());
    assert!(tree.iter().all(|pid| !is_alive(*pid)));

    executor.write_stdin(bystander, b"two\n").unwrap();
    executor.close_stdin(bystander).unwrap();
    let output = end_of(&mut executor, bystander).unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "one\ntwo\n");
    good(&executor.run(&sh("true")).unwrap());
}

#[test]
fn a_program_that_forks_all_the_time_does_not_survive_its_guard() {
    let script = "
import os, sys, time
print('up', flush=True)
sys.stdin.readline()
for _ in range(10):
    if os.fork() == 0:
        break
else:
    time.sleep(600)
while True:
    try:
        if os.fork() != 0:
            os._exit(0)
    except OSError:
        pass
";
    let Some(plan) = python(script) else { return };
    let mark = mark();
    let mut executor = Executor::new().unwrap();
    let plan = plan.env("MARK", &mark).stdin_from(Stdin::Piped).no_timeout();
    let sandbox = executor.spawn(plan).unwrap();
    hear_from(&mut executor, sandbox, "up\n");
    let before = bearing(&mark);
    let guard = guard_of(before[0]);
    executor.write_stdin(sandbox, b"go\n").unwrap();
    // Each lives for less than a millisecond, and not all are seen.
    let mut seen = HashSet::new();
    eventually("it forks", || {
        seen.extend(bearing(&mark));
        seen.len() > before.len() + 20
    });
    kill(guard, libc::SIGKILL);
    assert!(end_of(&mut executor, sandbox).is_err());
    eventually("its tree is gone", || bearing(&mark).is_empty());
}

// ---------------------------------------------------------------------------------------------
// Leftovers

fn idle() {
    good(&sh("true").run().unwrap());
    tell("ready");
    while hear().is_some() {}
}

#[test]
fn leftovers_of_the_killed_are_swept_later_and_nothing_else_is() {
    let tmp = temp();
    let at = |name: &str| tmp.path().join(name);
    // Daemon, guards and host at once: nobody is there to clean up.
    let host = Host::start("idle", tmp.path());
    assert_eq!(host.hear(), "ready");
    let own = entries(tmp.path());
    let [old] = &own[..] else { panic!("{own:?}") };
    let send = |signal| {
        for pid in host.processes() {
            // SAFETY: takes numbers only. It may have ended meanwhile.
            unsafe { libc::kill(pid, signal) };
        }
    };
    kill(host.daemon(), libc::SIGSTOP);
    send(libc::SIGSTOP);
    eventually("all are dead", || {
        send(libc::SIGKILL);
        host.processes().is_empty()
    });
    fs::create_dir_all(old.join("1/deep/er")).unwrap();
    fs::write(old.join("1/deep/file"), "x").unwrap();
    symlink(at("precious"), old.join("1/link")).unwrap();

    // Not to be touched: of a living daemon, too young, of another name, open to others, a link.
    let living = Host::start("idle", tmp.path());
    assert_eq!(living.hear(), "ready");
    let of_the_living = entries(tmp.path()).into_iter().find(|path| path != old).unwrap();
    for name in
        ["precious", "evalbox-young0", "evalbox-long-name", "other-abcdef", "evalbox-others"]
    {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("file"), "x").unwrap();
        set_mode(&at(name), if name == "evalbox-others" { 0o755 } else { 0o700 });
    }
    symlink(at("precious"), at("evalbox-symlnk")).unwrap();
    let hours = Duration::from_secs(7_200);
    for path in entries(tmp.path()) {
        if path != at("evalbox-young0") {
            set_modified(&path, hours);
        }
    }

    let later = Host::start("idle", tmp.path());
    assert_eq!(later.hear(), "ready");
    eventually("the leftover is gone", || {
        // Its daemon makes directories in it, so it grows young again.
        set_modified(&of_the_living, hours);
        !old.exists()
    });
    // The sweep goes through all of them in one go; the last may still be under way.
    std::thread::sleep(Duration::from_millis(500));
    for name in
        ["precious", "evalbox-young0", "evalbox-long-name", "other-abcdef", "evalbox-others"]
    {
        assert!(at(name).join("file").exists(), "{name}");
    }
    assert!(at("evalbox-symlnk").is_symlink() && of_the_living.is_dir());
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

// ---------------------------------------------------------------------------------------------
// Hosts with habits

fn wait_any() -> io::Result<i32> {
    // SAFETY: a null status is allowed.
    check(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) })
}

#[test]
fn a_host_may_ignore_its_children() {
    let tmp = temp();
    Host::start("ignores_children", tmp.path()).finish();
}

fn ignores_children() {
    // SAFETY: sets a disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    for _ in 0..20 {
        let output = sh("sh -c 'exit 7'; echo $?; exit 3").run().unwrap();
        assert_eq!((output.status, output.stdout_text()), (Status::Exited(3), "7\n".into()));
    }
}

#[test]
fn a_host_that_waits_for_any_child_sees_none_of_ours() {
    let tmp = temp();
    Host::start("waits_for_any_child", tmp.path()).finish();
}

fn waits_for_any_child() {
    let none = || {
        let error = wait_any().expect_err("no child to wait for");
        assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
        assert_eq!(children_of(std::process::id() as i32), []);
    };
    none();
    let mut executor = Executor::new().unwrap();
    none();
    let running = executor.spawn(sh("sleep 600")).unwrap();
    none();
    for _ in 0..20 {
        good(&executor.run(&sh("true")).unwrap());
        none();
    }
    executor.kill(running).unwrap();
    end_of(&mut executor, running).unwrap();
    drop(executor);
    none();
    // Nor does evalbox take a child that is the host's.
    let mut own = Command::new("sh").args(["-c", "exit 9"]).spawn().unwrap();
    good(&sh("true").run().unwrap());
    assert_eq!(own.wait().unwrap().code(), Some(9));
}

#[test]
fn a_forked_child_cannot_use_its_parents_executor_and_can_make_its_own() {
    let tmp = temp();
    Host::start("forks", tmp.path()).finish();
    eventually("nothing is left", || {
        bearing(tmp.path()).is_empty() && entries(tmp.path()).is_empty()
    });
}

fn forks() {
    let plan = Plan::new(["cat"]).stdin_from(Stdin::Piped);
    let mut executor = Executor::new().unwrap();
    let sandbox = executor.spawn(&plan).unwrap();
    // SAFETY: the child goes on with what is safe after a fork in practice: the C library's
    // allocator is, and no other thread here holds a lock.
    let child = check(unsafe { libc::fork() }).unwrap();
    if child == 0 {
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let owner = |error: Error| match error {
                Error::Session(SessionError::UseAfterFork { owner }) => owner as i32,
                other => panic!("{other:?}"),
            };
            // SAFETY: always safe.
            let parent = unsafe { libc::getppid() };
            assert_eq!(owner(executor.spawn(&plan).unwrap_err()), parent);
            assert_eq!(owner(executor.run(&plan).unwrap_err()), parent);
            assert_eq!(owner(executor.poll(None).unwrap_err()), parent);
            assert_eq!(owner(executor.kill(sandbox).unwrap_err()), parent);
            assert_eq!(owner(executor.signal(sandbox, 9).unwrap_err()), parent);
            assert_eq!(owner(executor.write_stdin(sandbox, b"x").unwrap_err()), parent);
            assert_eq!(owner(executor.close_stdin(sandbox).unwrap_err()), parent);
            // Its end is not the end of the parent's sandbox.
            drop(executor);
            let output = Executor::new().unwrap().run(&sh("echo child")).unwrap();
            good(&output);
            assert_eq!(output.stdout_text(), "child\n");
        }));
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(if used.is_ok() { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: writes one int.
    check(unsafe { libc::waitpid(child, &mut status, 0) }).unwrap();
    assert_eq!(status, 0, "the child failed, see above");
    executor.write_stdin(sandbox, b"parent\n").unwrap();
    executor.close_stdin(sandbox).unwrap();
    let output = end_of(&mut executor, sandbox).unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "parent\n");
}

#[test]
fn sixty_four_threads_at_once() {
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|number| {
                scope.spawn(move || {
                    let mut executor = Executor::new().unwrap();
                    for round in 0..3 {
                        let text = format!("{number} {round}\n");
                        let plan = Plan::new(["cat"]).stdin(text.clone()).timeout(3 * SOON);
                        let output = executor.run(&plan).unwrap();
                        good(&output);
                        assert_eq!(output.stdout_text(), text);
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn one_executor_runs_many_at_once() {
    let mut executor = Executor::new().unwrap();
    let mut open: HashSet<_> = (0..64)
        .map(|number| executor.spawn(sh(&format!("sleep 0.2; exit {}", number % 8))).unwrap())
        .collect();
    assert_eq!((open.len(), executor.active()), (64, 64));
    let mut codes = [0; 8];
    while let Some(event) = executor.poll(Some(3 * SOON)).unwrap() {
        let evalbox::Event::Completed { sandbox, output } = event else { panic!("{event:?}") };
        assert!(open.remove(&sandbox));
        codes[output.exit_code().unwrap() as usize] += 1;
    }
    assert_eq!((open.len(), codes), (0, [8; 8]));
}

// ---------------------------------------------------------------------------------------------
// Hosts at their limits

fn set_limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads and writes one structure.
    unsafe {
        check(libc::getrlimit(resource, &mut limit)).unwrap();
        limit.rlim_cur = soft.min(limit.rlim_max);
        check(libc::setrlimit(resource, &limit)).unwrap();
    }
}

#[test]
fn a_host_without_descriptors_is_told_so_and_recovers() {
    let tmp = temp();
    Host::start("few_descriptors", tmp.path()).finish();
}

fn few_descriptors() {
    set_limit(libc::RLIMIT_NOFILE, 128);
    let fill = || {
        let mut open = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            open.push(file);
        }
        open
    };
    let try_with = |free: usize, attempt: &mut dyn FnMut() -> evalbox::Result<evalbox::Output>| {
        let mut open = fill();
        open.truncate(open.len() - free);
        let result = attempt();
        drop(open);
        match result {
            Ok(output) => good(&output),
            Err(Error::Unavailable(Unavailable::Resources { source, .. })) => {
                assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
            }
            Err(error) => panic!("{free} free descriptors: {error:?}"),
        }
    };
    let small = sh("echo hello");
    // Does not fit into a packet.
    let large = sh("echo hello").file("file", vec![b'x'; 300_000]);
    // The first ones find no daemon either.
    for free in 0..10 {
        try_with(free, &mut || small.run());
        try_with(free, &mut || large.run());
    }
    let mut executor = Executor::new().unwrap();
    for free in 0..10 {
        try_with(free, &mut || executor.run(&small));
        try_with(free, &mut || executor.run(&large));
    }
    good(&executor.run(&large).unwrap());
    assert_eq!(executor.active(), 0);
}

#[test]
fn a_host_without_processes_is_told_so_and_recovers() {
    if !is_root() {
        return skip("only root can become a user of its own, whose processes nobody else counts");
    }
    let stage = temp();
    set_mode(stage.path(), 0o755);
    let program = stage.path().join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    let tmp = stage.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    set_mode(&tmp, 0o1777);
    let user = 1_000_000 + std::process::id();
    Host::start_program(&program, "few_processes", &tmp, |command| {
        use std::os::unix::process::CommandExt;
        command.current_dir("/").gid(user).uid(user);
    })
    .finish();
    eventually("nothing is left", || bearing(&tmp).is_empty() && entries(&tmp).is_empty());
}

#[test]
fn a_privileged_program_takes_nothing_from_the_environment() {
    if !is_root() {
        return skip("only root can make a set-user-ID program of another user's");
    }
    let stage = temp();
    set_mode(stage.path(), 0o755);
    let at = |name: &str| stage.path().join(name);
    fs::copy(env::current_exe().unwrap(), at("program")).unwrap();
    set_mode(&at("program"), 0o4755);
    fs::copy(env!("CARGO_BIN_EXE_evalbox-daemon"), at("daemon")).unwrap();
    fs::copy(at("daemon"), at("evalbox-daemon")).unwrap();
    fs::create_dir(at("tmp")).unwrap();
    set_mode(&at("tmp"), 0o1777);
    Host::start_program(&at("program"), "privileged", &at("tmp"), |command| {
        use std::os::unix::process::CommandExt;
        command.env("EVALBOX_DAEMON", at("daemon")).env("PATH", stage.path());
        command.current_dir("/").gid(65534).uid(65534);
    })
    .finish();
    assert!(entries(&at("tmp")).is_empty());
}

fn privileged() {
    // SAFETY: asks for a number.
    if unsafe { libc::getauxval(libc::AT_SECURE) } == 0 {
        return skip("set-user-ID programs have no effect here");
    }
    let error = Executor::new().unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(Unavailable::NoDaemon { looked }) if looked.is_empty()),
        "{error:?}"
    );
    evalbox::set_packaged_daemon(env::current_exe().unwrap().with_file_name("daemon"));
    let output = sh("echo $HOME").run().unwrap();
    good(&output);
    let given = env::current_exe().unwrap().with_file_name("tmp");
    assert!(!output.stdout_text().contains(given.to_str().unwrap()), "{output:?}");
}

fn few_processes() {
    let is_told = |result: evalbox::Result<evalbox::Output>| match result {
        Ok(output) => {
            good(&output);
            true
        }
        Err(Error::Unavailable(Unavailable::DaemonStart { source, .. })) => {
            assert_eq!(source.raw_os_error(), Some(libc::EAGAIN));
            false
        }
        Err(
            error @ (Error::Unavailable(Unavailable::Machine(Machine::Start { .. }))
            | Error::Launch(LaunchError::Resources { .. })),
        ) => {
            assert!(error.to_string().contains("EAGAIN"), "{error}");
            false
        }
        Err(error) => panic!("{error:?}"),
    };
    let plan = sh("echo hello");
    let me = std::process::id();
    // Each with a daemon of its own, so that it starts with this limit.
    let mut worked = Vec::new();
    for more in 0..14 {
        // Dead ones count until init has reaped them.
        eventually("the last daemon is gone", || processes_of_this_user() == 1);
        set_limit(libc::RLIMIT_NPROC, threads_of(me) + more);
        worked.push(is_told(Executor::with_landlock_abi(7).and_then(|mut e| e.run(&plan))));
    }
    assert!(!worked[0] && worked[13], "{worked:?}");

    // One daemon through bad times.
    set_limit(libc::RLIMIT_NPROC, threads_of(me) + 20);
    assert!(is_told(plan.run()));
    let mut crowd = Vec::new();
    while let Ok(child) = Command::new("sleep").arg("600").spawn() {
        crowd.push(child);
    }
    assert!(!crowd.is_empty());
    for _ in 0..5 {
        is_told(plan.run());
    }
    for mut child in crowd {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    eventually("it works again", || is_told(plan.run()));
}

fn processes_of_this_user() -> usize {
    // SAFETY: getuid always succeeds.
    let line = format!("\nUid:\t{}\t", unsafe { libc::getuid() });
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| {
        entry.file_name().as_encoded_bytes()[0].is_ascii_digit()
            && fs::read_to_string(entry.path().join("status")).is_ok_and(|s| s.contains(&line))
    })
    .count()
}

// ---------------------------------------------------------------------------------------------
// Many runs

#[test]
fn ten_thousand_runs_leave_nothing() {
    let tmp = temp();
    let mut host = Host::start("soak", tmp.path());
    let samples = [host.hear(), host.hear()];
    println!("{samples:#?}");
    host.tell("go on");
    host.finish();
    eventually("nothing is left", || {
        bearing(tmp.path()).is_empty() && entries(tmp.path()).is_empty()
    });
}

/// `EVALBOX_SOAK=100000` makes it a hundred thousand.
fn soak() {
    let runs = env::var("EVALBOX_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let me = std::process::id();
    let tmp = env::temp_dir();
    let mut executor = Executor::new().unwrap();
    let plan = Plan::new(["/bin/true"]);
    let begun = Instant::now();
    let mut run = |count: usize| {
        for _ in 0..count {
            good(&executor.run(&plan).unwrap());
        }
    };
    let daemon = || daemons(&tmp)[0];
    let sample = || {
        let daemon = daemon();
        // The guards of the last runs, on their way out.
        let look = || {
            (
                open_descriptors(me),
                threads_of(me),
                children_of(me as i32).len(),
                open_descriptors(daemon as u32),
                children_of(daemon).len(),
                entries(&entries(&tmp)[0]).len(),
            )
        };
        let mut counts = look();
        within(SOON, || {
            // One may end between two parts of a look.
            let last = std::mem::replace(&mut counts, look());
            counts == last && counts.4 <= 2 && counts.5 <= 8
        });
        // Empty workspaces are kept for the next runs: as many as there were at once.
        assert!(counts.5 <= 8, "{counts:?}");
        counts.5 = 0;
        (counts, resident(me) as i64, resident(daemon as u32) as i64)
    };
    run(500);
    let before = sample();
    tell(format_args!("{before:?}"));
    run(runs - 500);
    let after = sample();
    tell(format_args!("{after:?} {:?} per run", begun.elapsed() / runs as u32));
    assert_eq!(hear().as_deref(), Some("go on"));
    assert_eq!(before.0, after.0, "descriptors, threads, children, of the daemon, workspaces");
    assert!(after.0.4 <= 2, "two sandboxes in advance: {after:?}");
    const ALLOWED: i64 = 2 << 20;
    assert!(after.1 - before.1 < ALLOWED, "the host has grown: {before:?} {after:?}");
    assert!(after.2 - before.2 < ALLOWED, "the daemon has grown: {before:?} {after:?}");
}
