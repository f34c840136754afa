//! Every limit, over the whole tree, from both sides: what is over it ends, what is not goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::fs::OpenOptions;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use evalbox::{Event, Executor, Limits, Plan, Sink, Status};

const MIB: u64 = 1 << 20;

#[test]
fn host_role() {
    play(&[("much_output", much_output), ("deaf_host", deaf_host), ("in_memory", in_memory)]);
}

// ---------------------------------------------------------------------------------------------
// Wall time

#[test]
fn a_timeout_ends_the_whole_tree_whatever_it_does() {
    for script in [
        "sleep 600",
        "trap '' TERM INT HUP QUIT; while :; do sleep 600; done",
        "kill -STOP $$; sleep 600",
        "sh -c 'kill -STOP $$' & sh -c \"trap '' TERM; sleep 600; :\" & setsid sleep 600 & wait",
    ] {
        let mark = mark();
        let timeout = Duration::from_millis(1_500);
        let begun = Instant::now();
        let output =
            sh(&format!("echo begun; {script}")).env("MARK", &mark).timeout(timeout).run().unwrap();
        assert_eq!(output.status, Status::TimedOut, "{script}");
        assert_eq!(output.stdout_text(), "begun\n", "{script}");
        assert_eq!(bearing(&mark), [], "{script}");
        assert!(output.usage.wall >= timeout, "{script}: {:?}", output.usage.wall);
        assert!(begun.elapsed() < timeout + SOON, "{script}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_timeout_is_an_event_of_its_own_and_no_timeout_means_none() {
    let mut executor = Executor::new().unwrap();
    let short = executor.spawn(sh("sleep 600").timeout(Duration::from_millis(100))).unwrap();
    let long = executor.spawn(sh("sleep 1; echo slept").no_timeout()).unwrap();
    let mut ended = Vec::new();
    while let Some(event) = executor.poll(Some(3 * SOON)).unwrap() {
        match event {
            Event::TimedOut { sandbox, .. } => ended.push((sandbox, "timed out")),
            Event::Completed { sandbox, .. } => ended.push((sandbox, "completed")),
            _ => {}
        }
    }
    assert_eq!(ended, [(short, "timed out"), (long, "completed")]);
}

// ---------------------------------------------------------------------------------------------
// CPU time

fn cpu(time: Duration) -> Limits {
    limits(|limits| limits.cpu = Some(time))
}

#[test]
fn cpu_time_of_processes_that_have_ended_counts() {
    // About 20 ms each: none comes near the limit by itself, which RLIMIT_CPU would see.
    let spin = "j=0; while [ $j -lt 20000 ]; do j=$((j+1)); done";
    for script in [
        format!("while :; do sh -c '{spin}'; done"),
        // Left to the guard to reap.
        format!("while :; do sh -c '({spin}) & ({spin}) & exit'; sleep 0.05; done"),
    ] {
        let output =
            sh(&script).limits(cpu(Duration::from_secs(1))).timeout(3 * SOON).run().unwrap();
        assert_eq!(output.status, Status::CpuLimit, "{script}");
        let used = output.usage.user + output.usage.system;
        assert!((0.9..4.0).contains(&used.as_secs_f32()), "{script}: {used:?}");
    }
}

#[test]
fn cpu_time_of_processes_at_once_adds_up() {
    let script = "for i in 1 2 3 4 5 6 7 8; do sh -c 'while :; do :; done' & done; wait";
    let output = sh(script).limits(cpu(Duration::from_secs(2))).timeout(3 * SOON).run().unwrap();
    assert_eq!(output.status, Status::CpuLimit);
    // Each for itself would have made 16 seconds.
    let used = output.usage.user + output.usage.system;
    assert!((1.9..8.0).contains(&used.as_secs_f32()), "{used:?}");
}

#[test]
fn one_process_is_ended_by_cpu_time_and_waiting_costs_none() {
    let limit = cpu(Duration::from_millis(500));
    let spinning = sh("while :; do :; done").limits(limit.clone()).timeout(3 * SOON).run().unwrap();
    assert_eq!(spinning.status, Status::CpuLimit);
    let waiting = sh("sleep 2; echo done").limits(limit).timeout(3 * SOON).run().unwrap();
    good(&waiting);
}

#[test]
fn the_signal_alone_is_no_cpu_limit() {
    let output = sh("kill -XCPU $$").limits(cpu(Duration::from_secs(60))).run().unwrap();
    assert_eq!(output.status, Status::Signaled(libc::SIGXCPU));
}

// ---------------------------------------------------------------------------------------------
// Tasks

fn tasks(count: u32) -> Limits {
    limits(|limits| limits.tasks = Some(count))
}

#[test]
fn exactly_as_many_processes_as_the_limit_says_and_freed_ones_come_back() {
    let script = "
import os, signal
alive = []
def fill():
    while True:
        try:
            pid = os.fork()
        except BlockingIOError:
            return 1 + len(alive)
        if pid == 0:
            signal.pause()
            os._exit(0)
        alive.append(pid)
print(fill())
for free in (1, 3, 1):
    for _ in range(free):
        pid = alive.pop()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(fill())
";
    for limit in [1, 2, 8, 40] {
        let script = if limit == 1 { &script.replace("(1, 3, 1)", "()") } else { script };
        let script = if limit == 2 { &script.replace("(1, 3, 1)", "(1, 1, 1)") } else { script };
        let Some(plan) = python(script) else { return };
        let output = plan.limits(tasks(limit)).run().unwrap();
        good(&output);
        let lines = if limit == 1 { 1 } else { 4 };
        assert_eq!(output.stdout_text(), format!("{limit}\n").repeat(lines));
        let refused = output.refused.iter().find(|r| r.grant.as_deref() == Some("limits.tasks"));
        let refused = refused.expect("the refusal is reported");
        assert_eq!((refused.errno, refused.count as usize), (libc::EAGAIN, lines));
    }
}

#[test]
fn threads_count_as_processes_do() {
    let script = "
import threading, time
def fill():
    event, threads = threading.Event(), []
    while True:
        thread = threading.Thread(target=event.wait)
        try:
            thread.start()
        except RuntimeError:
            break
        threads.append(thread)
    event.set()
    for thread in threads:
        thread.join()
    return 1 + len(threads)
print(fill())
# A thread may be joined a little before it is gone.
counts = []
end = time.monotonic() + 20
while 12 not in counts and time.monotonic() < end:
    counts.append(fill())
print(max(counts))
";
    let Some(plan) = python(script) else { return };
    let output = plan.limits(tasks(12)).run().unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "12\n12\n");
}

#[test]
fn tasks_that_leave_their_session_and_parent_still_count() {
    let script = "
import os, signal, time
def often(what):
    # Counting errs on the high side for a few milliseconds after a fork.
    for _ in range(50):
        if what():
            return True
        time.sleep(0.02)
    return False
def daemon():
    r, w = os.pipe()
    try:
        pid = os.fork()
    except BlockingIOError:
        return False
    if pid == 0:
        os.setsid()
        try:
            if os.fork() == 0:
                os.setsid()
                os.write(w, b'y')
                os.close(w)
                os.close(r)
                signal.pause()
        finally:
            os._exit(0)
    os.close(w)
    os.waitpid(pid, 0)
    born = os.read(r, 1) == b'y'
    os.close(r)
    return born
def child():
    try:
        if os.fork() == 0:
            signal.pause()
    except BlockingIOError:
        return False
    return True
count = [0, 0]
for kind, what in enumerate((daemon, child)):
    while often(what):
        count[kind] += 1
print(*count)
";
    let Some(plan) = python(script) else { return };
    let mark = mark();
    let output = plan.limits(tasks(10)).env("MARK", &mark).run().unwrap();
    good(&output);
    // The first fork of the last daemon takes one place for a moment; a plain child gets that.
    assert_eq!(output.stdout_text(), "8 1\n");
    assert_eq!(bearing(&mark), []);
}

// ---------------------------------------------------------------------------------------------
// Memory

fn memory(bytes: u64) -> Limits {
    limits(|limits| limits.memory = Some(bytes))
}

#[test]
fn memory_of_several_processes_adds_up() {
    let script = "
import os, time
for _ in range(4):
    if os.fork() == 0:
        block = b'x' * (200 << 20)
        time.sleep(60)
        os._exit(0)
for _ in range(4):
    os.wait()
";
    let Some(plan) = python(script) else { return };
    let mark = mark();
    let output = plan.limits(memory(256 * MIB)).env("MARK", &mark).timeout(SOON).run().unwrap();
    assert_eq!(output.status, Status::OutOfMemory);
    assert_eq!(output.signal(), Some(libc::SIGKILL));
    assert!(output.usage.peak_memory > 256 * MIB, "{}", output.usage.peak_memory);
    assert_eq!(bearing(&mark), []);
}

#[test]
fn shared_anonymous_memory_counts() {
    let script = "
import mmap, time
size = 300 << 20
block = mmap.mmap(-1, size)
for at in range(0, size, 4096):
    block[at] = 1
time.sleep(60)
";
    let Some(plan) = python(script) else { return };
    let output = plan.limits(memory(256 * MIB)).timeout(SOON).run().unwrap();
    assert_eq!(output.status, Status::OutOfMemory);
}

#[test]
fn shared_memory_counts_once() {
    let shared_anonymous = "
import mmap, os, time
size = 150 << 20
block = mmap.mmap(-1, size)
for at in range(0, size, 4096):
    block[at] = 1
";
    let inherited = "
import os, time
size = 100 << 20
block = b'x' * size
";
    let children = "
for _ in range(8):
    if os.fork() == 0:
        assert sum(block[at] for at in range(0, size, 4096)) > 0
        time.sleep(1)
        os._exit(0)
for _ in range(8):
    assert os.wait()[1] == 0
";
    for (name, first) in [("anonymous", shared_anonymous), ("inherited", inherited)] {
        let Some(plan) = python(&format!("{first}{children}")) else { return };
        let output = plan.limits(memory(256 * MIB)).timeout(2 * SOON).run().unwrap();
        good(&output);
        let peak = output.usage.peak_memory;
        assert!((90 * MIB..256 * MIB).contains(&peak), "{name}: {peak}");
    }
}

#[test]
fn one_process_is_told_that_there_is_no_memory() {
    let script = "
try:
    b'x' * (700 << 20)
except MemoryError:
    print('refused')
print(len(b'x' * (100 << 20)))
";
    let Some(plan) = python(script) else { return };
    let output = plan.limits(memory(256 * MIB)).run().unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "refused\n104857600\n");
}

#[test]
fn a_workspace_in_memory_counts_as_memory() {
    if !std::path::Path::new("/dev/shm").is_dir() {
        return skip("no /dev/shm");
    }
    let tmp = tempfile::Builder::new().prefix("eb").tempdir_in("/dev/shm").unwrap();
    Host::start("in_memory", tmp.path()).finish();
}

fn in_memory() {
    let write = |megabytes: u64| {
        let script = format!("head -c {megabytes}M /dev/zero > file && sleep 1 && echo done");
        sh(&script).limits(memory(64 * MIB)).run().unwrap()
    };
    assert_eq!(write(100).status, Status::OutOfMemory);
    good(&write(20));
}

// ---------------------------------------------------------------------------------------------
// Output

fn output(bytes: u64) -> Limits {
    limits(|limits| limits.output = Some(bytes))
}

#[test]
fn output_ends_at_the_limit_and_what_came_before_is_kept() {
    let run = sh("seq 1 100000000").limits(output(100_000)).run().unwrap();
    assert_eq!(run.status, Status::OutputLimit);
    assert!(run.truncated && !run.ok());
    let whole: String = (1..30_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(run.stdout_text(), whole[..100_000]);
}

#[test]
fn output_of_exactly_the_limit_is_no_failure() {
    for (script, status) in [
        ("head -c 100000 /dev/zero", Status::Exited(0)),
        ("head -c 60000 /dev/zero; head -c 40000 /dev/zero >&2", Status::Exited(0)),
        ("head -c 60000 /dev/zero; head -c 40001 /dev/zero >&2", Status::OutputLimit),
    ] {
        let run = sh(script).limits(output(100_000)).run().unwrap();
        assert_eq!(run.status, status, "{script}");
        assert_eq!(run.truncated, status == Status::OutputLimit, "{script}");
        assert_eq!(run.stdout.len() + run.stderr.len(), 100_000, "{script}");
    }
}

#[test]
fn output_that_goes_elsewhere_is_not_counted() {
    let null = Arc::new(OpenOptions::new().write(true).open("/dev/null").unwrap().into());
    let plan = sh("head -c 100M /dev/zero && echo done >&2").limits(output(1_000));
    for sink in [Sink::Fd(null), Sink::Null] {
        let run = plan.clone().stdout_to(sink).run().unwrap();
        good(&run);
        assert_eq!((run.stdout.len(), run.stderr_text()), (0, "done\n".into()));
    }
}

#[test]
fn a_gigabyte_of_output_costs_the_host_no_memory() {
    let tmp = temp();
    Host::start("much_output", tmp.path()).finish();
}

fn much_output() {
    good(&sh("true").run().unwrap());
    let before = resident(std::process::id());
    let run = sh("head -c 1G /dev/zero").limits(output(4 * MIB)).run().unwrap();
    assert_eq!((run.status, run.stdout.len() as u64), (Status::OutputLimit, 4 * MIB));
    // As events, with nothing kept by whoever polls.
    let mut executor = Executor::new().unwrap();
    let plan = sh("head -c 1G /dev/zero").limits(output(4 * MIB)).stderr_to(Sink::Null);
    let sandbox = executor.spawn(plan).unwrap();
    assert_eq!(end_of(&mut executor, sandbox).unwrap().status, Status::OutputLimit);
    let grown = resident(std::process::id()).saturating_sub(before);
    assert!(grown < 40 * MIB, "the host has grown by {grown}");
}

#[test]
fn a_program_waits_for_a_host_that_does_not_listen() {
    let tmp = temp();
    let mut host = Host::start("deaf_host", tmp.path());
    assert_eq!(host.hear(), "started");
    let guards = || named(&host.processes(), "evalbox-guard");
    eventually("the program writes", || !named(&host.processes(), "yes").is_empty());
    let [program] = named(&host.processes(), "yes")[..] else { panic!("one program") };
    let guard = guard_of(program);
    assert!(guards().contains(&guard));
    // It writes as long as there is room, and then no more.
    let written = || {
        let io = std::fs::read_to_string(format!("/proc/{program}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().to_owned()
    };
    let mut last = (written(), Instant::now());
    eventually("the program waits", || {
        let now = written();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(1)
    });
    let bytes: u64 = last.0.parse().unwrap();
    assert!((1..4 * MIB).contains(&bytes), "{bytes}");
    let (guard, host_now) = (resident(guard as u32), resident(host.pid() as u32));
    assert!(guard < 64 * MIB && host_now < 64 * MIB, "{guard} {host_now}");
    host.tell("listen");
    host.finish();
}

fn deaf_host() {
    let mut executor = Executor::new().unwrap();
    let plan = Plan::new(["yes"]).limits(limits(|l| l.output = None)).timeout(4 * SOON);
    let sandbox = executor.spawn(plan).unwrap();
    tell("started");
    assert_eq!(hear().as_deref(), Some("listen"));
    let mut heard = 0;
    while heard < 8 * MIB {
        match executor.poll(Some(SOON)).unwrap() {
            Some(Event::Stdout { data, .. }) => heard += data.len() as u64,
            other => panic!("{other:?}"),
        }
    }
    executor.kill(sandbox).unwrap();
    assert_eq!(end_of(&mut executor, sandbox).unwrap().status, Status::Killed);
}

// ---------------------------------------------------------------------------------------------
// Files

#[test]
fn a_file_grows_to_the_limit_and_no_further() {
    let script = "
import errno, os
with open('file', 'wb', buffering=0) as file:
    try:
        while True:
            file.write(b'x' * 65536)
    except OSError as error:
        print(error.errno == errno.EFBIG, os.fstat(file.fileno()).st_size)
    for change in (lambda: os.truncate('file', 1048577), lambda: os.posix_fallocate(file.fileno(), 0, 1048577)):
        try:
            change()
        except OSError as error:
            print(error.errno == errno.EFBIG, os.fstat(file.fileno()).st_size)
";
    let Some(plan) = python(script) else { return };
    let limits = limits(|limits| limits.file_size = Some(MIB));
    let output = plan.limits(limits.clone()).run().unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "True 1048576\n".repeat(3));
    // A program that doesn't look gets the signal.
    let killed = Plan::new(["dd", "if=/dev/zero", "of=file", "bs=1M", "count=3"]);
    let output = killed.limits(limits.clone()).run().unwrap();
    assert_eq!(output.status, Status::Signaled(libc::SIGXFSZ));
    good(&sh("head -c 1M /dev/zero > file").limits(limits).run().unwrap());
}

#[test]
fn so_many_descriptors_and_no_more() {
    let script = "
import errno, os
n = 0
try:
    while True:
        n = os.dup(0)
except OSError as error:
    print(error.errno == errno.EMFILE, n)
";
    let Some(plan) = python(script) else { return };
    let output = plan.limits(limits(|limits| limits.open_files = 32)).run().unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "True 31\n");
}

#[test]
fn the_workspace_holds_as_much_as_the_limit_says() {
    let limit = limits(|limits| limits.workspace = Some(8 * MIB));
    let over = [
        "for i in 1 2 3 4 5; do head -c 4M /dev/zero > f$i; done; sleep 60",
        "mkdir -p a/b/c; head -c 20M /dev/zero > a/b/c/d; sleep 60",
        // Open files without a name take up space as well.
        "exec 3> gone; rm gone; head -c 20M /dev/zero >&3; sleep 60",
        "(exec 3> gone; rm gone; head -c 20M /dev/zero >&3; sleep 60) & wait",
    ];
    for script in over {
        let output = sh(script).limits(limit.clone()).timeout(2 * SOON).run().unwrap();
        assert_eq!(output.status, Status::WorkspaceLimit, "{script}");
    }
    let under = [
        "head -c 6M /dev/zero > f; sleep 1",
        // Written again and again, or under several names, it is there once.
        "for i in 1 2 3 4 5 6; do head -c 6M /dev/zero > f; done; sleep 1",
        "head -c 6M /dev/zero > f; for i in 1 2 3; do ln f g$i; done; sleep 1",
        "truncate -s 500M sparse; sleep 1",
    ];
    for script in under {
        good(&sh(script).limits(limit.clone()).run().unwrap());
    }
}

#[test]
fn a_workspace_of_endless_directories_is_too_large() {
    let script = "
import os, time
for _ in range(300):
    os.mkdir('d')
    os.chdir('d')
time.sleep(60)
";
    let Some(plan) = python(script) else { return };
    let output = plan.timeout(2 * SOON).run().unwrap();
    assert_eq!(output.status, Status::WorkspaceLimit);
}
