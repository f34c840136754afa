//! Supervised runs: what the host is asked, and what its answers do.

#![allow(clippy::print_stdout, reason = "what the harness shows when a test fails")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{SOON, eventually, sh, temp};
use evalbox::policy::{Address, MetadataChange, OpenAccess};
use evalbox::{
    Decision, Event, Executor, Operation, Output, Plan, Policy, Remember, Rule, Status,
    SyscallContext,
};

/// A plan that works in this directory.
fn at(dir: &Path, script: &str) -> Plan {
    sh(script).write(dir).cwd(dir)
}

fn python(dir: &Path, code: &str) -> Plan {
    Plan::new(["python3", "-c", code]).write(dir).cwd(dir)
}

/// Names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    common::entries(dir).iter().map(name).collect()
}

fn ask(operations: &[Operation]) -> Policy {
    Policy::new().ask_about(operations.iter().copied())
}

/// Runs a plan, allows everything, and returns what was asked.
fn asked(plan: Plan) -> (Vec<SyscallContext>, Output) {
    let mut seen = Vec::new();
    let output = plan
        .run_with(|call| {
            seen.push(call.clone());
            Decision::Allow
        })
        .unwrap();
    (seen, output)
}

fn deletes(calls: &[SyscallContext]) -> Vec<PathBuf> {
    let path = |call: &SyscallContext| match call {
        SyscallContext::Delete { path } => Some(path.clone()),
        _ => None,
    };
    calls.iter().filter_map(path).collect()
}

#[test]
fn the_roadmaps_example_works() {
    let temp = temp();
    fs::write(temp.path().join("keep"), "").unwrap();
    let mut executor = Executor::new().unwrap();
    let policy = ask(&[Operation::Delete]);
    let plan = at(temp.path(), "rm keep");
    executor.spawn(plan.supervised(policy)).unwrap();
    let mut answered = 0;
    loop {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Syscall { id, context: SyscallContext::Delete { path }, .. } => {
                assert_eq!(path, temp.path().canonicalize().unwrap().join("keep"));
                answered += 1;
                executor.respond(id, Decision::Deny).unwrap();
            }
            Event::Completed { output, .. } => {
                assert!(!output.ok());
                assert!(output.stderr_text().contains("Permission denied"), "{output:?}");
                assert_eq!(output.refused.len(), 1, "{output:?}");
                break;
            }
            _ => {}
        }
    }
    assert_eq!(answered, 1);
    assert!(temp.path().join("keep").exists());
}

#[test]
fn paths_are_resolved_as_the_call_resolves_them() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::create_dir_all(dir.join("real/deep")).unwrap();
    symlink("real", dir.join("link")).unwrap();
    for name in ["real/a", "real/b", "real/deep/c", "real/x (deleted)", "real/d"] {
        fs::write(dir.join(name), "").unwrap();
    }
    symlink("d", dir.join("real/leaf")).unwrap();
    let code = r#"
import os
os.unlink("link/a")
os.unlink("real/../link/./b")
fd = os.open("link/deep", os.O_RDONLY)
os.unlink("c", dir_fd=fd)
os.unlink("real/x (deleted)")
os.unlink("real/leaf")
os.mkdir("e"); os.rmdir("e/")
for path, error in (("link/", NotADirectoryError), ("none", FileNotFoundError), ("", FileNotFoundError),
                    ("x" * 300, OSError), ("y/" * 2100, OSError)):
    try:
        os.unlink(path)
    except error:
        pass
    else:
        raise SystemExit(path)
try:
    os.rmdir(".")
except OSError as error:
    assert error.errno == 22
os.chdir("real/deep")
open(b"\xff", "w"); os.unlink(b"\xff")
"#;
    let (calls, output) = asked(python(&dir, code).supervised(ask(&[Operation::Delete])));
    assert!(output.ok(), "{output:?}");
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let wanted = ["real/a", "real/b", "real/deep/c", "real/x (deleted)", "real/leaf", "e"];
    let mut wanted: Vec<_> = wanted.iter().map(|name| dir.join(name)).collect();
    wanted.push(dir.join("real/deep").join(OsStr::from_bytes(b"\xff")));
    let found = deletes(&calls);
    // rmdir of what is a link's name with a slash is asked about or not; it fails in either case.
    let found: Vec<_> = found.into_iter().filter(|path| *path != dir.join("link")).collect();
    assert_eq!(found, wanted);
    assert!(dir.join("real/d").exists());
}

#[test]
fn every_kind_of_call_is_told_apart() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::write(dir.join("old"), "data").unwrap();
    let code = r#"
import os, socket
open("old").close()
open("old", "r+").close()
open("new", "w").close()
open("old", "w").close()
os.rename("new", "moved")
os.link("moved", "hard")
os.symlink("anywhere", "soft")
os.mkdir("sub")
os.mkfifo("pipe")
os.chmod("moved", 0o600)
os.utime("moved")
os.truncate("moved", 7)
os.remove("hard")
os.rmdir("sub")
s = socket.socket(socket.AF_UNIX)
s.bind("sock")
s.listen()
c = socket.socket(socket.AF_UNIX)
c.connect("sock")
if os.fork() == 0:
    os._exit(0)
os.wait()
os.kill(os.getpid(), 0)
"#;
    let file = dir.join("probe.py");
    fs::write(&file, code).unwrap();
    let plan = Plan::new(["python3", "-I", "-S", "probe.py"]).write(&dir).cwd(&dir);
    let (calls, output) = asked(plan.supervised(ask(&[Operation::All])));
    assert!(output.ok(), "{output:?}");
    let p = |name: &str| dir.join(name);
    let open = |name: &str, access, create, truncate| SyscallContext::Open {
        path: p(name),
        access,
        create,
        truncate,
    };
    let metadata = |change| SyscallContext::SetMetadata { path: p("moved"), change };
    let unix = Address::Unix(p("sock"));
    let wanted = [
        open("old", OpenAccess::Read, false, false),
        open("old", OpenAccess::ReadWrite, false, false),
        open("new", OpenAccess::Write, true, false),
        open("old", OpenAccess::Write, false, true),
        SyscallContext::Rename { from: p("new"), to: p("moved") },
        SyscallContext::Link { from: p("moved"), to: p("hard") },
        SyscallContext::Symlink { path: p("soft"), target: "anywhere".into() },
        SyscallContext::MakeDir { path: p("sub") },
        SyscallContext::MakeNode { path: p("pipe") },
        metadata(MetadataChange::Mode(0o600)),
        metadata(MetadataChange::Times),
        SyscallContext::Truncate { path: p("moved"), length: 7 },
        SyscallContext::Delete { path: p("hard") },
        SyscallContext::Delete { path: p("sub") },
        SyscallContext::Bind { address: unix.clone() },
        SyscallContext::Connect { address: unix, host: None },
        SyscallContext::Fork,
    ];
    let mut left = calls.iter().filter(|call| match call.path() {
        Some(path) => {
            path.starts_with(&dir)
                && !path.ends_with("probe.py")
                && **call != open("", OpenAccess::Read, false, false)
        }
        None => true,
    });
    for wanted in &wanted {
        assert_eq!(left.next(), Some(wanted), "{calls:#?}");
    }
    assert!(matches!(left.next(), Some(SyscallContext::Signal { signal: 0, .. })), "{calls:#?}");
    assert_eq!(fs::read(p("moved")).unwrap(), [0; 7]);
    assert_eq!(fs::metadata(p("moved")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn denied_calls_change_nothing_and_say_so() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::write(dir.join("old"), "data").unwrap();
    let code = r#"
import errno, os
def denied(call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == errno.EACCES, error
    else:
        raise SystemExit(f"{call} {args}")
denied(open, "old", "w")
denied(open, "new", "w")
denied(os.rename, "old", "moved")
denied(os.link, "old", "hard")
denied(os.symlink, "x", "soft")
denied(os.mkdir, "sub")
denied(os.mkfifo, "pipe")
denied(os.chmod, "old", 0)
denied(os.truncate, "old", 0)
denied(os.remove, "old")
"#;
    let plan = python(&dir, code).supervised(ask(&[Operation::Write]));
    let output = plan.run_with(|_| Decision::Deny).unwrap();
    assert!(output.ok(), "{output:?}");
    // Without anybody to ask it is the same.
    let output = plan.run().unwrap();
    assert!(output.ok(), "{output:?}");
    assert!(output.refused.iter().any(|call| call.target.contains("nobody to ask")), "{output:?}");
    assert_eq!(names(&dir), ["old"]);
    assert_eq!(fs::read(dir.join("old")).unwrap(), b"data");
}

#[test]
fn an_answer_may_have_an_errno_and_a_reason() {
    let temp = temp();
    fs::write(temp.path().join("x"), "").unwrap();
    let plan = at(temp.path(), "rm x").supervised(ask(&[Operation::Delete]));
    let answer = || Decision::Deny.errno(libc::EROFS).reason("not that one");
    let output = plan.run_with(|_| answer()).unwrap();
    assert!(output.stderr_text().contains("Read-only file system"), "{output:?}");
    assert_eq!(output.refused[0].errno, libc::EROFS);
    assert!(output.refused[0].target.contains("not that one"));
}

#[test]
fn kill_ends_the_run() {
    let temp = temp();
    fs::write(temp.path().join("x"), "").unwrap();
    let plan = at(temp.path(), "rm x; touch after; sleep 60");
    let begun = Instant::now();
    let output =
        plan.clone().supervised(ask(&[Operation::Delete])).run_with(|_| Decision::Kill).unwrap();
    assert_eq!(output.status, Status::Killed);
    let policy = Policy::new().kill(Operation::Delete, ["./x"]);
    assert_eq!(plan.supervised(policy).run().unwrap().status, Status::Killed);
    assert!(begun.elapsed() < SOON);
    assert_eq!(names(temp.path()), ["x"]);
}

#[test]
fn an_answer_for_the_run_is_asked_for_once() {
    let temp = temp();
    let script = "for i in 1 2 3; do touch x; rm x; done; touch y; rm y";
    let plan = at(temp.path(), script).supervised(ask(&[Operation::Delete]));
    let mut count = 0;
    let output = plan
        .run_with(|_| {
            count += 1;
            Decision::Allow.remember(Remember::Run)
        })
        .unwrap();
    assert!(output.ok(), "{output:?}");
    assert_eq!(count, 2);
}

#[test]
fn rules_decide_without_a_question() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    for name in ["keep", "go", "other"] {
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("x"), name).unwrap();
    }
    let policy = Policy::new()
        .deny(Operation::Delete, ["./keep"])
        .rule(Rule::deny(Operation::Read, "./**/secret").errno(libc::ENOENT).reason("private"))
        .deny(Operation::Modify, ["./other/*"]);
    let script = "
        rm keep/x; rm -r go; mv keep k; mv keep/x y; ln keep/x z; mv -f other/x keep/
        rm -rf keep; echo s > secret; cat secret; mv secret plain; cat plain; echo no > other/x
        cp other/x copy && cat copy
    ";
    let output = at(&dir, script).supervised(policy).run().unwrap();
    assert_eq!(fs::read(dir.join("keep/x")).unwrap(), b"keep", "{output:?}");
    assert_eq!(fs::read(dir.join("other/x")).unwrap(), b"other", "{output:?}");
    assert!(!dir.join("go").exists());
    assert_eq!(names(&dir), ["copy", "keep", "other", "secret"], "{output:?}");
    assert_eq!(output.stdout, b"other");
    assert!(output.stderr_text().contains("No such file"), "{output:?}");
}

#[test]
fn a_rule_may_reach_beyond_the_grants() {
    let temp = temp();
    let outside = common::temp();
    let out = outside.path().canonicalize().unwrap();
    fs::write(out.join("a.txt"), "a").unwrap();
    fs::write(out.join("b.bin"), "b").unwrap();
    let script = format!("cat {0}/a.txt; cat {0}/b.bin; rm {0}/a.txt; rm {0}/b.bin", out.display());
    let policy = Policy::new()
        .allow(Operation::Read, [format!("{}/*.txt", out.display())])
        .ask(Operation::Delete, [format!("{}/a.txt", out.display())]);
    let mut calls = Vec::new();
    let output = at(temp.path(), &script)
        .supervised(policy)
        .run_with(|call| {
            calls.push(call.clone());
            Decision::Allow
        })
        .unwrap();
    assert_eq!(output.stdout, b"a", "{output:?}");
    assert_eq!(deletes(&calls), [out.join("a.txt")]);
    assert_eq!(names(&out), ["b.bin"]);
}

#[test]
fn answers_come_in_any_order_and_from_any_thread() {
    let temp = temp();
    let script = "for i in 1 2 3 4; do (touch $i; rm $i && echo done-$i) & done; wait";
    let mut executor = Executor::new().unwrap();
    let plan = at(temp.path(), script).supervised(ask(&[Operation::Delete]));
    executor.spawn(plan).unwrap();
    let mut waiting = Vec::new();
    while waiting.len() < 4 {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Syscall { id, .. } => waiting.push(id),
            other => panic!("{other:?}"),
        }
    }
    let responder = executor.responder();
    let thread = std::thread::spawn(move || {
        for id in waiting.into_iter().rev() {
            responder.respond(id, Decision::Allow).unwrap();
            // Only the first answer counts.
            responder.respond(id, Decision::Kill).unwrap();
        }
    });
    let output = loop {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Completed { output, .. } => break output,
            Event::Stdout { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    thread.join().unwrap();
    assert_eq!(output.stdout_text().lines().count(), 4, "{output:?}");
}

#[test]
fn a_slow_answer_holds_only_its_task_and_handlers_run() {
    let temp = temp();
    let code = r#"
import os, signal, sys, threading, time
open("x", "w").close()
def handler(number, frame):
    pass
signal.signal(signal.SIGALRM, handler)
ticks = []
def other():
    for i in range(10):
        open(f"t{i}", "w").close()
        ticks.append(i)
        time.sleep(0.02)
thread = threading.Thread(target=other)
if os.fork() == 0:
    for i in range(10):
        open(f"c{i}", "w").close()
    os._exit(0)
os.wait()
thread.start()
got = []
signal.signal(signal.SIGALRM, lambda n, f: got.append(1))
import ctypes
seen = ctypes.c_int(0)
HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
@HANDLER
def native(number):
    seen.value += 1
    os.write(1, b"handler\n")
ctypes.CDLL(None).signal(signal.SIGALRM, native)
signal.setitimer(signal.ITIMER_REAL, 0.1)
os.unlink("x")
print("unlinked", seen.value, len(ticks))
thread.join()
"#;
    let mut executor = Executor::new().unwrap();
    executor.spawn(python(temp.path(), code).supervised(ask(&[Operation::Delete]))).unwrap();
    let (mut asked, mut ran, mut due) = (Vec::new(), false, None);
    let output = loop {
        if due.is_some_and(|at| Instant::now() >= at) && !asked.is_empty() {
            due = None;
            assert!(ran, "the handler runs while the question is open");
            executor.respond(asked[0], Decision::Allow).unwrap();
        }
        match executor.poll(Some(Duration::from_millis(50))).unwrap() {
            Some(Event::Syscall { id, .. }) => {
                asked.push(id);
                due = Some(Instant::now() + Duration::from_millis(700));
            }
            Some(Event::Stdout { data, .. }) => ran |= data.starts_with(b"handler"),
            Some(Event::Completed { output, .. }) => break output,
            Some(Event::Stderr { .. }) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    };
    assert!(output.ok(), "{output:?}");
    assert_eq!(asked.len(), 1, "asked once");
    assert!(output.stdout_text().contains("unlinked 1 10"), "{output:?}");
}

#[test]
fn a_question_ends_with_its_time_and_with_its_task() {
    let temp = temp();
    let policy = ask(&[Operation::Delete]).ask_timeout(Duration::from_millis(200));
    let mut executor = Executor::new().unwrap();
    executor.spawn(at(temp.path(), "touch x; rm x; echo $?").supervised(policy)).unwrap();
    let mut withdrawn = 0;
    let output = loop {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Withdrawn { .. } => withdrawn += 1,
            Event::Completed { output, .. } => break output,
            _ => {}
        }
    };
    assert_eq!((output.stdout.as_slice(), withdrawn), (&b"1\n"[..], 1), "{output:?}");

    let script = "touch y; rm y & sleep 0.3; kill -9 $!; wait; echo end";
    executor.spawn(at(temp.path(), script).supervised(ask(&[Operation::Delete]))).unwrap();
    let (mut withdrawn, mut question) = (None, None);
    let output = loop {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Syscall { id, .. } => question = Some(id),
            Event::Withdrawn { id, .. } => withdrawn = Some(id),
            Event::Completed { output, .. } => break output,
            _ => {}
        }
    };
    assert!(output.ok(), "{output:?}");
    assert!(question.is_some());
    // The run may be over before the dead task is noticed.
    assert!(withdrawn.is_none() || withdrawn == question);
    assert!(temp.path().join("y").exists());
}

#[test]
fn files_are_made_as_the_program_would_make_them() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    let code = r#"
import fcntl, os, resource, stat, subprocess, threading
mode = lambda path: oct(os.stat(path).st_mode & 0o7777)
out = []
for mask in (0o022, 0o077, 0, 0o027):
    os.umask(mask)
    name = f"m{mask:o}"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o666))
    os.mkdir(name + "d")
    os.mkfifo(name + "f")
    out.append((mode(name), mode(name + "d"), mode(name + "f")))
    subprocess.run(["touch", name + "t"], check=True)
    out.append(mode(name + "t"))
os.umask(0o022)
try:
    os.open("m22", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except FileExistsError:
    out.append("excl")
fd = os.open("m22", os.O_WRONLY | os.O_APPEND)
out.append(fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_APPEND | os.O_NONBLOCK) == os.O_APPEND)
out.append(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
os.close(fd)
out.append(os.open("m22", os.O_RDONLY) == fd)
os.close(fd)
os.symlink("dangling", "link")
open("link", "w").close()
out.append(os.path.exists("dangling"))
for flags, error in ((os.O_NOFOLLOW, 40), (os.O_DIRECTORY, 20)):
    try:
        os.open("link" if error == 40 else "m22", os.O_RDONLY | flags)
    except OSError as found:
        out.append(found.errno == error)
try:
    open("m22d", "w")
except IsADirectoryError:
    out.append("dir")
fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644)
os.write(fd, b"t")
import ctypes
FOLLOW = 0x400
assert ctypes.CDLL(None).linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, b"tmpfile", FOLLOW) == 0
out.append(open("tmpfile").read())
os.mkfifo("pipe")
def write():
    with open("pipe", "w") as pipe:
        pipe.write("through")
thread = threading.Thread(target=write)
thread.start()
out.append(open("pipe").read())
thread.join()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (10, hard))
fds = []
try:
    while True:
        fds.append(os.open("m22", os.O_RDONLY))
except OSError as error:
    out.append(error.errno == 24)
for fd in fds:
    os.close(fd)
print(out)
"#;
    let plain = python(&dir, code).run().unwrap();
    assert!(plain.ok(), "{plain:?}");
    for entry in names(&dir) {
        let path = dir.join(entry);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    let (_, output) = asked(python(&dir, code).supervised(ask(&[Operation::Open])));
    assert!(output.ok(), "{output:?}");
    assert_eq!(output.stdout_text(), plain.stdout_text());
}

#[test]
fn programs_are_seen_before_they_run() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::write(dir.join("script"), "#!/bin/sh -e\necho script $1\n").unwrap();
    fs::set_permissions(dir.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let script =
        "/bin/echo one two; ./script 3; env true; nonexistent; /bin/false; exec /bin/echo end";
    let (calls, output) = asked(at(&dir, script).supervised(ask(&[Operation::Exec])));
    assert_eq!(output.stdout_text(), "one two\nscript 3\nend\n", "{output:?}");
    let found: Vec<_> = calls
        .iter()
        .map(|call| match call {
            SyscallContext::Exec { path, argv, mutable } => {
                (path.file_name().unwrap().to_owned(), argv.len(), *mutable)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(name, count, mutable)| (name.to_str().unwrap(), *count, *mutable))
        .collect();
    assert!(
        found.starts_with(&[("echo", 3, false), ("script", 2, true), ("env", 2, false)]),
        "{found:?}"
    );
    assert!(found.ends_with(&[("false", 1, false), ("echo", 2, false)]), "{found:?}");

    let policy = Policy::new()
        .deny(Operation::Exec, ["/**/false"])
        .rule(Rule::deny(Operation::Exec, "/**/echo").args(["...", "no*", "..."]));
    let script = "/bin/echo yes; /bin/echo x nono y; /bin/false; echo $?";
    let output = at(&dir, script).supervised(policy).run().unwrap();
    assert_eq!(output.stdout_text(), "yes\n126\n", "{output:?}");
}

#[test]
fn connections_are_judged_by_address() {
    let temp = temp();
    let listeners: Vec<_> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
    let code = format!(
        r#"
import socket
for port in {ports:?}:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        print("in")
    except OSError as error:
        print(error.errno)
"#
    );
    let policy = Policy::new()
        .ask_about([Operation::Connect])
        .rule(Rule::deny(Operation::Connect, format!("loopback:{}", ports[1])).errno(111));
    let (calls, output) = asked(python(temp.path(), &code).supervised(policy));
    assert_eq!(output.stdout_text(), "in\n111\n", "{output:?}");
    let [SyscallContext::Connect { address, host: None }] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(address.port(), Some(ports[0]));
}

#[test]
fn nothing_is_left_when_somebody_dies_in_mid_question() {
    let temp = temp();
    let mark = common::mark();
    let mut executor = Executor::new().unwrap();
    let plan = at(temp.path(), "touch x; rm x").env("MARK", &mark);
    executor.spawn(plan.supervised(ask(&[Operation::Delete])).no_timeout()).unwrap();
    while !matches!(executor.poll(Some(SOON)).unwrap(), Some(Event::Syscall { .. })) {}
    assert!(!common::bearing(&mark).is_empty());
    drop(executor);
    eventually("the tree is gone", || common::bearing(&mark).is_empty());
    assert!(temp.path().join("x").exists());
}

#[test]
fn every_decision_is_in_the_audit_log() {
    let temp = temp();
    let log = temp.path().join("log");
    let policy = ask(&[Operation::Delete])
        .rule(Rule::deny(Operation::Create, "./no").named("nothing").reason("because"));
    let output = at(temp.path(), "touch a; rm a; touch no; touch b; rm b")
        .supervised(policy)
        .audit(fs::File::create(&log).unwrap())
        .run_with(|call| match call.path() {
            Some(path) if path.ends_with("a") => Decision::Allow.into(),
            _ => Decision::Deny.reason("not b"),
        })
        .unwrap();
    assert!(!output.ok());
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let has =
        |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(
        has(&[r#""operation":"delete""#, r#"/a\"""#, r#""decision":"allow""#, r#""asked":true"#]),
        "{text}"
    );
    assert!(
        has(&[r#""rule":"nothing""#, r#""decision":"deny""#, r#""asked":false"#, "because"]),
        "{text}"
    );
    assert!(
        has(&[r#"/b\"""#, r#""decision":"deny""#, "not b", r#""rule":"ask delete[0]""#]),
        "{text}"
    );
    assert!(lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')));
}

#[test]
fn listening_on_a_socket_that_is_not_bound_is_binding_it() {
    let temp = temp();
    let code = "
import socket
s = socket.socket()
try:
    s.listen()
    print(s.getsockname()[1] > 0)
except OSError as error:
    print(error.errno)
";
    let plan = python(temp.path(), code).bind("127.0.0.1:*").connect("127.0.0.1:*");
    let plan = plan.supervised(ask(&[Operation::Bind]));
    assert_eq!(plan.run().unwrap().stdout_text(), "13\n");
    let (calls, output) = asked(plan);
    assert_eq!(output.stdout_text(), "True\n", "{output:?}");
    let [SyscallContext::Bind { address }] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(address.port(), Some(0));
}

/// What an answer was given for is what happens: anything else is asked about again.
#[test]
fn a_file_exchanged_during_the_question_is_another_one() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::write(dir.join("x"), "junk").unwrap();
    fs::write(dir.join("precious"), "precious").unwrap();
    let script = "rm x";
    let mut count = 0;
    let output = at(&dir, script)
        .supervised(ask(&[Operation::Delete]))
        .run_with(|_| {
            count += 1;
            if count == 1 {
                fs::rename(dir.join("precious"), dir.join("x")).unwrap();
                return Decision::Allow;
            }
            Decision::Deny
        })
        .unwrap();
    assert!(!output.ok());
    assert_eq!(count, 2);
    assert_eq!(fs::read(dir.join("x")).unwrap(), b"precious");

    fs::write(dir.join("script"), "#!/bin/sh\necho good\n").unwrap();
    fs::set_permissions(dir.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut seen = Vec::new();
    let output = at(&dir, "./script")
        .supervised(ask(&[Operation::Exec]))
        .run_with(|_| {
            seen.push(fs::read_to_string(dir.join("script")).unwrap());
            if seen.len() == 1 {
                fs::write(dir.join("evil"), "#!/bin/sh\necho evil\n").unwrap();
                fs::set_permissions(dir.join("evil"), fs::Permissions::from_mode(0o755)).unwrap();
                fs::rename(dir.join("evil"), dir.join("script")).unwrap();
                return Decision::Allow;
            }
            Decision::Deny
        })
        .unwrap();
    assert_eq!((seen.len(), output.stdout_text().as_ref()), (2, ""), "{output:?}");
}

#[test]
fn many_sandboxes_wait_at_once() {
    const MANY: usize = 200;
    let temp = temp();
    let mut executor = Executor::new().unwrap();
    for i in 0..MANY {
        let script = format!("touch {i}; rm {i} && echo {i}");
        executor.spawn(at(temp.path(), &script).supervised(ask(&[Operation::Delete]))).unwrap();
    }
    let (mut waiting, mut right) = (Vec::new(), 0);
    while executor.active() > 0 || right < MANY {
        match executor.poll(Some(SOON)).unwrap().expect("an event in time") {
            Event::Syscall { id, context: SyscallContext::Delete { path }, .. } => {
                waiting.push((id, path));
                if waiting.len() == MANY {
                    for (id, path) in waiting.iter().rev() {
                        let number: usize =
                            path.file_name().unwrap().to_str().unwrap().parse().unwrap();
                        let even = number.is_multiple_of(2);
                        let answer = if even { Decision::Allow } else { Decision::Deny };
                        executor.respond(*id, answer).unwrap();
                    }
                }
            }
            Event::Completed { output, .. } => {
                // Those that may delete say so, and the others can't.
                let said = output.stdout_text().trim().parse::<usize>().ok();
                assert!(said.is_none_or(|number| number.is_multiple_of(2)), "{output:?}");
                assert_eq!(said.is_some(), output.ok());
                right += 1;
            }
            Event::Stdout { .. } | Event::Stderr { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names(temp.path()).len(), MANY / 2);
}

/// Of arguments beyond what is shown the worst is taken.
#[test]
fn arguments_cannot_be_hidden_behind_long_ones() {
    let temp = temp();
    let code = r#"
import subprocess
for words in (["--force"], ["x" * 70_000, "--force"], ["y"], ["z" * 70_000]):
    try:
        subprocess.run(["/bin/true", *words])
        print("ran")
    except PermissionError:
        print("denied")
"#;
    let policy =
        Policy::new().rule(Rule::deny(Operation::Exec, "/**/true").args(["...", "--force", "..."]));
    let output = python(temp.path(), code).supervised(policy).run().unwrap();
    assert_eq!(output.stdout_text(), "denied\ndenied\nran\ndenied\n", "{output:?}");
}

#[test]
fn no_address_is_this_machine() {
    let temp = temp();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let code = format!(
        r#"
import socket
for family, host in ((2, "0.0.0.0"), (10, "::ffff:0.0.0.0"), (10, "::ffff:127.0.0.1"), (2, "127.0.0.1")):
    with socket.socket(family) as s:
        try:
            s.connect((host, {port}))
            print("in")
        except OSError as error:
            print(error.errno)
"#
    );
    let plan = python(temp.path(), &code).connect("*:*");
    let policy = Policy::new().deny(Operation::Connect, ["loopback:*"]);
    assert_eq!(plan.supervised(policy).run().unwrap().stdout_text(), "13\n13\n13\n13\n");
}

#[test]
fn rules_allow_addresses_beyond_the_grants() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    let listeners: Vec<_> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
    let _unix = std::os::unix::net::UnixListener::bind(dir.join("s")).unwrap();
    let code = format!(
        r#"
import os, socket
def attempt(family, address):
    with socket.socket(family) as s:
        try:
            s.connect(address)
            print("in")
        except OSError as error:
            print(error.errno)
for port in {ports:?}:
    attempt(socket.AF_INET, ("127.0.0.1", port))
attempt(socket.AF_UNIX, "s")
try:
    os.link("s", "t")
except OSError as error:
    print("link", error.errno)
attempt(socket.AF_UNIX, "t")
"#
    );
    let policy = Policy::new()
        .allow(Operation::Connect, [format!("127.0.0.1:{}", ports[0]), "unix:./s".into()]);
    let output = python(&dir, &code).supervised(policy).run().unwrap();
    assert_eq!(output.stdout_text(), "in\n13\nin\n13\n", "{output:?}");
    fs::remove_file(dir.join("t")).unwrap();
    // A rule about a socket's path holds for the socket under another name, too.
    let unix = format!("unix:{}", dir.join("s").display());
    let policy = Policy::new().deny(Operation::Connect, [unix.clone()]);
    let plan = python(&dir, &code).connect(unix).connect("127.0.0.1:1");
    let output = plan.supervised(policy).run().unwrap();
    assert_eq!(output.stdout_text(), "13\n13\n13\nlink 13\n2\n", "{output:?}");
}

#[test]
fn a_directory_with_many_files_is_moved_where_rules_agree() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    fs::create_dir(dir.join("many")).unwrap();
    for i in 0..5_000 {
        fs::write(dir.join("many").join(i.to_string()), "").unwrap();
    }
    let script = "mv many more && echo moved; mv more ../x 2>/dev/null || echo no";
    let policy = Policy::new().allow(Operation::Write, ["."]).ask_about([Operation::Delete]);
    assert_eq!(at(&dir, script).supervised(policy).run().unwrap().stdout_text(), "moved\nno\n");
    let policy = Policy::new().deny(Operation::Read, ["./**/secret"]);
    let output = at(&dir, "mv more many || echo no").supervised(policy).run().unwrap();
    assert_eq!(output.stdout_text(), "no\n", "too many to look at");
}
