//! What older kernels get: the same rules, kept by other means. Each runs with the Landlock of an
//! older kernel; nothing else of it is older.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use evalbox::{Executor, Output, Plan, Status};

const ABIS: std::ops::RangeInclusive<u32> = 1..=7;

fn on_each(mut test: impl FnMut(u32, &mut Executor)) {
    for abi in ABIS {
        let mut executor = Executor::with_landlock_abi(abi).unwrap();
        test(abi, &mut executor);
    }
}

/// The lines of a program that ended well.
#[track_caller]
fn lines(abi: u32, output: &Output) -> Vec<String> {
    let text = output.stdout_text();
    assert!(output.ok(), "ABI {abi}: {:?}\n{text}\n{}", output.status, output.stderr_text());
    text.lines().map(str::to_owned).collect()
}

/// Runs what it is given, and says how that went.
const ATTEMPT: &str = "
import os, sys
def attempt(name, what):
    try:
        what()
        result = 'worked'
    except OSError as error:
        result = error.strerror
    print(name, result, sep=': ')
";

fn attempts(script: &str) -> Option<Plan> {
    python(&format!("{ATTEMPT}{script}"))
}

#[test]
fn hello_world_runs() {
    on_each(|abi, executor| {
        let plan = sh("echo hello; cat \"$0\"; echo x > file; mkdir d; mv file d; rm -r d; exit 3");
        let output = executor.run(&plan.arg("in").file("in", "data\n")).unwrap();
        assert_eq!(output.status, Status::Exited(3), "ABI {abi}: {output:?}");
        assert_eq!(output.stdout_text(), "hello\ndata\n", "ABI {abi}");
        if let Some(plan) = python("import json; print(json.dumps([1, {'a': None}]))") {
            let output = executor.run(&plan).unwrap();
            assert_eq!(lines(abi, &output), ["[1, {\"a\": null}]"]);
        }
    });
}

#[test]
fn files_outside_the_grants_are_closed() {
    let tmp = temp();
    let at = |name: &str| tmp.path().join(name);
    for dir in ["no", "read", "write"] {
        fs::create_dir(at(dir)).unwrap();
    }
    let script = "
for dir in 'no', 'read', 'write':
    base = sys.argv[1] + '/' + dir
    attempt(dir + ' read', lambda: open(base + '/file').read())
    attempt(dir + ' append', lambda: open(base + '/file', 'a').write('x'))
    attempt(dir + ' create', lambda: open(base + '/new', 'x'))
    attempt(dir + ' mkdir', lambda: os.mkdir(base + '/dir'))
    attempt(dir + ' link out', lambda: os.link(base + '/file', 'stolen'))
    attempt(dir + ' rename out', lambda: os.rename(base + '/file', 'stolen'))
    attempt(dir + ' remove', lambda: os.remove(base + '/file'))
";
    let Some(plan) = attempts(script) else { return };
    let plan = plan.arg(tmp.path()).read(at("read")).write(at("write"));
    on_each(|abi, executor| {
        for dir in ["no", "read", "write"] {
            fs::write(at(dir).join("file"), "content").unwrap();
            let _ = fs::remove_file(at(dir).join("new"));
            let _ = fs::remove_dir(at(dir).join("dir"));
        }
        let seen = lines(abi, &executor.run(&plan).unwrap());
        for line in &seen {
            let worked = line.ends_with(": worked");
            match line.as_str() {
                // From one directory to another: the kernel can't before ABI 2, and both must be
                // writable. A hard link may always be refused.
                line if line.starts_with("write link") || line.starts_with("write rename") => {
                    assert!(abi >= 2 || !worked, "ABI {abi}: {line}");
                }
                line if line.starts_with("write remove") => {}
                line if line.starts_with("write") || line.starts_with("read read") => {
                    assert!(worked, "ABI {abi}: {line}");
                }
                line => assert!(!worked, "ABI {abi}: {line}"),
            }
        }
        for dir in ["no", "read"] {
            assert_eq!(fs::read(at(dir).join("file")).unwrap(), b"content", "ABI {abi}");
            assert_eq!(entries(&at(dir)).len(), 1, "ABI {abi}");
        }
    });
}

#[test]
fn renaming_from_directory_to_directory_works_where_the_kernel_can() {
    let script = "
import shutil
os.makedirs('a/b')
os.mkdir('c')
open('a/b/file', 'w').write('data')
attempt('rename', lambda: os.rename('a/b/file', 'c/file'))
shutil.move('a', 'c')
os.rename('c', 'd')
print(sum(len(files) for _, _, files in os.walk('.')))
";
    let Some(plan) = attempts(script) else { return };
    on_each(|abi, executor| {
        let seen = lines(abi, &executor.run(&plan).unwrap());
        let result = if abi == 1 { "rename: Invalid cross-device link" } else { "rename: worked" };
        assert_eq!(seen, [result, "1"], "ABI {abi}");
    });
}

#[test]
fn truncation_obeys_the_grants() {
    let tmp = temp();
    let at = |name: &str| tmp.path().join(name);
    fs::create_dir(at("read")).unwrap();
    fs::create_dir(at("write")).unwrap();
    let files = ["ungranted", "read/file", "write/file"];
    let script = "
tmp = sys.argv[1]
def opened(path, flags):
    fd = os.open(path, flags, 0o666)
    size = os.fstat(fd).st_size
    os.close(fd)
    assert size == 0, size
for name in 'ungranted', 'read/file', 'write/file':
    path = tmp + '/' + name
    os.symlink(path, 'link')
    for how in path, 'link':
        attempt(name + ' truncate', lambda: os.truncate(how, 3))
        attempt(name + ' w', lambda: opened(how, os.O_WRONLY | os.O_TRUNC))
        attempt(name + ' r', lambda: opened(how, os.O_RDONLY | os.O_TRUNC))
        attempt(name + ' rw', lambda: opened(how, os.O_RDWR | os.O_TRUNC | os.O_CREAT))
        attempt(name + ' creat', lambda: open(how, 'w').close())
    os.remove('link')
# In the workspace all of it works.
with open('file', 'w') as file:
    file.write('0123456789')
os.truncate('file', 4)
assert open('file').read() == '0123'
fd = os.open('file', os.O_RDWR | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC)
assert os.fstat(fd).st_size == 0 and not os.get_inheritable(fd)
os.write(fd, b'ab')
os.lseek(fd, 0, os.SEEK_SET)
os.write(fd, b'cd')
assert open('file').read() == 'abcd'
os.ftruncate(fd, 1)
assert os.stat('file').st_size == 1
os.truncate('file', 100)
assert os.stat('file').st_size == 100
fd = os.open('new', os.O_RDWR | os.O_TRUNC | os.O_CREAT | os.O_EXCL, 0o640)
assert os.fstat(fd).st_mode & 0o777 == 0o640
os.mkdir('dir')
os.symlink('../file', 'dir/link')
open('dir/link', 'w').close()
assert os.stat('file').st_size == 0
attempt('exclusive', lambda: os.open('new', os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_EXCL))
attempt('missing', lambda: os.open('missing', os.O_WRONLY | os.O_TRUNC))
attempt('directory', lambda: os.open('dir', os.O_WRONLY | os.O_TRUNC))
attempt('device', lambda: open('/dev/null', 'w').close())
os.mkfifo('fifo')
if os.fork() == 0:
    open('fifo', 'w').write('through')
    os._exit(0)
assert open('fifo').read() == 'through'
os.chdir('dir')
open('relative', 'w').close()
fd = os.open('.', os.O_RDONLY)
os.close(os.open('relative', os.O_WRONLY | os.O_TRUNC, dir_fd=fd))
";
    let Some(plan) = attempts(script) else { return };
    let plan = plan.arg(tmp.path()).read(at("read")).write(at("write"));
    on_each(|abi, executor| {
        for name in files {
            fs::write(at(name), "content").unwrap();
        }
        let output = executor.run(&plan).unwrap();
        let seen = lines(abi, &output);
        let (outside, inside) = seen.split_at(30);
        for line in outside {
            let (name, result) = line.split_once(": ").unwrap();
            let allowed = name.starts_with("write/");
            let wanted = if allowed { "worked" } else { "Permission denied" };
            assert_eq!(result, wanted, "ABI {abi}: {line}");
        }
        assert_eq!(
            inside,
            [
                "exclusive: File exists", "missing: No such file or directory",
                "directory: Is a directory", "device: worked"
            ],
            "ABI {abi}"
        );
        assert_eq!(fs::read(at("ungranted")).unwrap(), b"content", "ABI {abi}");
        assert_eq!(fs::read(at("read/file")).unwrap(), b"content", "ABI {abi}");
        assert_eq!(fs::read(at("write/file")).unwrap(), b"", "ABI {abi}");
        if abi < 3 {
            let path = format!("{:?}", at("read/file").to_str().unwrap());
            let refused = output.refused.iter().find(|r| r.target == path).unwrap();
            assert_eq!(refused.grant.as_deref(), Some(&*format!("write({path})")), "ABI {abi}");
        }
    });
}

/// A process of this user outside every sandbox, in a group of its own.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self(command.arg("600").stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn signals_stay_inside() {
    let script = "
import ctypes, signal, time
victim = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
numbers = {'x86_64': (200, 234, 129, 297), 'aarch64': (130, 131, 138, 240)}[os.uname().machine]
info = (ctypes.c_int * 32)(9, 0, -1)
for name, pid in ('victim', victim), ('parent', os.getppid()), ('init', 1):
    attempt(name + ' kill 0', lambda: os.kill(pid, 0))
    attempt(name + ' kill', lambda: os.kill(pid, signal.SIGKILL))
    if pid != 1:
        attempt(name + ' group', lambda: os.kill(-pid, signal.SIGKILL))
    attempt(name + ' tkill', lambda: call(numbers[0], pid, 9))
    attempt(name + ' tgkill', lambda: call(numbers[1], pid, pid, 9))
    attempt(name + ' rt_sigqueueinfo', lambda: call(numbers[2], pid, 9, info))
    attempt(name + ' rt_tgsigqueueinfo', lambda: call(numbers[3], pid, pid, 9, info))
    attempt(name + ' pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL))
try:
    os.kill(-1, signal.SIGTERM)
except OSError:
    pass
# Inside all is as usual.
def child():
    pid = os.fork()
    if pid == 0:
        signal.pause()
    return pid
def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
pid = child()
os.kill(pid, 0)
os.kill(pid, signal.SIGUSR1)
assert ended(pid) == -signal.SIGUSR1
pid = child()
os.setpgid(pid, pid)
os.killpg(pid, signal.SIGUSR2)
assert ended(pid) == -signal.SIGUSR2
pid = child()
call(numbers[1], pid, pid, 15)
assert ended(pid) == -15
caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
signal.raise_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
os.kill(0, signal.SIGUSR1)
assert len(caught) == 3, caught
pid = os.fork()
if pid == 0:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.pause()
assert ended(pid) == -signal.SIGALRM
print('good')
";
    let victim = Victim::start();
    let Some(plan) = attempts(script) else { return };
    let plan = plan.arg(victim.pid().to_string());
    on_each(|abi, executor| {
        let seen = lines(abi, &executor.run(&plan).unwrap());
        let (last, outside) = seen.split_last().unwrap();
        assert_eq!((last.as_str(), outside.len()), ("good", 23), "ABI {abi}: {seen:?}");
        for line in outside {
            // ESRCH: there is no such group.
            let refused = line.ends_with("Operation not permitted")
                || (line.contains(" group") && line.ends_with("No such process"));
            assert!(refused, "ABI {abi}: {line}");
        }
        assert!(is_alive(victim.pid()), "ABI {abi}");
    });
}

#[test]
fn abstract_sockets_outside_are_out_of_reach() {
    let name = format!("evalbox-test-{}", std::process::id());
    let listener =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = "
import socket
name = '\\0' + sys.argv[1]
attempt('outside', lambda: socket.socket(socket.AF_UNIX).connect(name))
attempt('outside packets', lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(name))
server = socket.socket(socket.AF_UNIX)
server.bind('file.sock')
server.listen()
attempt('file', lambda: socket.socket(socket.AF_UNIX).connect('file.sock'))
";
    let Some(plan) = attempts(script) else { return };
    let plan = plan.arg(&name);
    on_each(|abi, executor| {
        let output = executor.run(&plan).unwrap();
        let seen = lines(abi, &output);
        assert!(seen[0].ends_with(": Operation not permitted"), "ABI {abi}: {seen:?}");
        assert!(!seen[1].ends_with(": worked"), "ABI {abi}: {seen:?}");
        assert_eq!(seen[2], "file: worked", "ABI {abi}");
        if abi < 6 {
            assert!(
                output.refused.iter().any(|r| r.target.contains(&name)),
                "{:?}",
                output.refused
            );
        }
        assert!(listener.accept().is_err(), "ABI {abi}: somebody came");
    });
}

#[test]
fn the_tree_ends_with_its_program() {
    let script = "
        setsid sh -c 'trap \"\" TERM HUP; sleep 600; :' < /dev/null > /dev/null 2>&1 &
        (setsid sh -c '(sleep 600 &); sleep 600; :' > /dev/null 2>&1 &)
        sh -c 'kill -STOP $$' &
        sleep 0.1; echo gone > /dev/null && echo left";
    on_each(|abi, executor| {
        let mark = mark();
        let output = executor.run(&sh(script).env("MARK", &mark)).unwrap();
        assert_eq!(lines(abi, &output), ["left"]);
        assert_eq!(bearing(&mark), [], "ABI {abi}");
        let plan = sh(&format!("{script}; wait")).env("MARK", &mark);
        let output = executor.run(&plan.timeout(Duration::from_millis(800))).unwrap();
        assert_eq!(output.status, Status::TimedOut, "ABI {abi}");
        assert_eq!(bearing(&mark), [], "ABI {abi}");
    });
}

#[test]
fn a_storm_of_forks_ends_and_stays_within_its_limit() {
    let script = "
import signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print('up', flush=True)
for _ in range(8):
    try:
        if os.fork() == 0:
            break
    except OSError:  # the first ones have used up the limit
        pass
while True:
    try:
        if os.fork() != 0:
            os._exit(0)
        os.setsid()
    except OSError:
        pass
";
    let script =
        script.replace("        pass\nwhile", "        pass\nelse:\n    time.sleep(600)\nwhile");
    let Some(plan) = attempts(&script) else { return };
    let plan = plan.limits(limits(|limits| limits.tasks = Some(40)));
    on_each(|abi, executor| {
        let mark = mark();
        let plan = plan.clone().env("MARK", &mark).timeout(Duration::from_millis(700));
        let sandbox = executor.spawn(plan).unwrap();
        hear_from(executor, sandbox, "up\n");
        let most = (0..5).map(|_| bearing(&mark).len()).max().unwrap();
        assert!(most <= 40, "ABI {abi}: {most}");
        let output = end_of(executor, sandbox).unwrap();
        assert_eq!(output.status, Status::TimedOut, "ABI {abi}");
        assert_eq!(bearing(&mark), [], "ABI {abi}");
    });
}

#[test]
fn the_limit_on_tasks_is_exact() {
    let script = "
import signal
count = 1
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        count += 1
except BlockingIOError:
    print(count)
";
    let Some(plan) = attempts(script) else { return };
    let plan = plan.limits(limits(|limits| limits.tasks = Some(9)));
    on_each(|abi, executor| {
        assert_eq!(lines(abi, &executor.run(&plan).unwrap()), ["9"], "ABI {abi}");
    });
}

#[test]
fn the_network_is_as_granted() {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let [granted, other, unix] = [listen(), listen(), listen()];
    for listener in [&granted, &other, &unix] {
        listener.set_nonblocking(true).unwrap();
    }
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    // Of two free ports, one is granted.
    let free = [port(&listen()), port(&listen())];
    let script = "
import socket
granted, other, mine, not_mine = map(int, sys.argv[1:])
def connect(host, port, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(20)
        s.connect((host, port))
def serve(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', port))
        s.listen()
        with socket.socket() as t:
            t.connect(('127.0.0.1', port))
            s.accept()[0].close()
attempt('granted', lambda: connect('127.0.0.1', granted))
attempt('other port', lambda: connect('127.0.0.1', other))
attempt('other address', lambda: connect('127.0.0.2', granted))
attempt('mapped', lambda: connect('::ffff:127.0.0.1', other, socket.AF_INET6))
attempt('serve', lambda: serve(mine))
attempt('serve other', lambda: serve(not_mine))
attempt('serve any', lambda: serve(0))
attempt('listen', lambda: socket.socket().listen())
attempt('datagram', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
";
    let Some(base) = attempts(script) else { return };
    let arguments = [port(&granted), port(&other), free[0], free[1]];
    let base = arguments.iter().fold(base, |plan, number| plan.arg(number.to_string()));
    let plan = base
        .clone()
        .connect(format!("127.0.0.1:{}", arguments[0]))
        .connect(format!("127.0.0.1:{}", free[0]))
        .bind(format!("127.0.0.1:{}", free[0]));
    on_each(|abi, executor| {
        let seen = lines(abi, &executor.run(&plan).unwrap());
        let worked: Vec<_> = seen.iter().filter(|line| line.ends_with(": worked")).collect();
        assert_eq!(worked, ["granted: worked", "serve: worked"], "ABI {abi}: {seen:?}");
        assert!(
            seen.iter().all(|l| l.ends_with(": worked") || l.ends_with(": Permission denied")),
            "ABI {abi}: {seen:?}"
        );
        let count = |listener: &TcpListener| std::iter::from_fn(|| listener.accept().ok()).count();
        assert_eq!((count(&granted), count(&other)), (1, 0), "ABI {abi}");
        // And with no grant at all, nothing.
        let seen = lines(abi, &executor.run(&base).unwrap());
        assert!(
            seen.iter().all(|line| line.ends_with(": Permission denied")),
            "ABI {abi}: {seen:?}"
        );
        assert_eq!((count(&granted), count(&other)), (0, 0), "ABI {abi}");
    });
}

#[test]
fn metadata_and_unix_sockets_are_as_on_a_new_kernel() {
    let tmp = temp();
    let (file, socket) = (tmp.path().join("file"), tmp.path().join("socket"));
    fs::write(&file, "x").unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = "
import socket
attempt('chmod', lambda: os.chmod(sys.argv[1], 0o777))
attempt('utime', lambda: os.utime(sys.argv[1]))
attempt('connect', lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2]))
open('file', 'w').close()
attempt('inside', lambda: os.chmod('file', 0o600))
";
    let Some(plan) = attempts(script) else { return };
    let plan = plan.arg(&file).arg(&socket).read(tmp.path());
    on_each(|abi, executor| {
        let seen = lines(abi, &executor.run(&plan).unwrap());
        let denied = |name: &str| format!("{name}: Permission denied");
        let wanted = [denied("chmod"), denied("utime"), denied("connect"), "inside: worked".into()];
        assert_eq!(seen, wanted, "ABI {abi}");
        assert!(listener.accept().is_err(), "ABI {abi}");
    });
}

#[test]
fn a_masked_kernel_is_an_executors_own_affair() {
    let tmp = temp();
    assert!(Path::new("/proc/self").exists());
    let old = Executor::with_landlock_abi(1).unwrap();
    let script = "
import shutil
os.mkdir('a'); os.mkdir('b')
open('a/f', 'w').close()
attempt('rename', lambda: os.rename('a/f', 'b/f'))
";
    let Some(plan) = attempts(script) else { return };
    // This process's own daemon has the whole of the kernel.
    assert_eq!(lines(7, &plan.run().unwrap()), ["rename: worked"]);
    drop((old, tmp));
}
