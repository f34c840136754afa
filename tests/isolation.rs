//! What a program finds when it starts, what it may do inside, and what it is told about what it
//! may not. The network works as granted, also where sockets can't be fetched (Docker).
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::*;
use evalbox::{Executor, Output, Plan, Stdin};

#[test]
fn host_role() {
    play(&[("careless", careless), ("docker", docker)]);
}

#[track_caller]
fn lines(output: &Output) -> Vec<String> {
    good(output);
    output.stdout_text().lines().map(str::to_owned).collect()
}

// ---------------------------------------------------------------------------------------------
// What a program starts with

#[test]
fn the_environment_is_clean() {
    let output = Plan::new(["env", "-0"]).env("MINE", "yes").run().unwrap();
    good(&output);
    let text = output.stdout_text();
    let variables: BTreeMap<_, _> =
        text.split_terminator('\0').map(|entry| entry.split_once('=').unwrap()).collect();
    let names: Vec<_> = variables.keys().copied().collect();
    assert_eq!(names, ["HOME", "LANG", "MINE", "PATH", "TMPDIR"]);
    assert_eq!((variables["MINE"], variables["LANG"]), ("yes", "C.UTF-8"));
    assert_eq!(variables["HOME"], variables["TMPDIR"]);
    assert!(variables["PATH"].split(':').all(|dir| dir.starts_with('/')));

    let plan = Plan::new(["env", "-0"]).env("PATH", "/bin:/usr/bin").env("HOME", "/h");
    let output = plan.env("TMPDIR", "/t").env("LANG", "de").env("LANG", "fr").run().unwrap();
    let text = output.stdout_text();
    let mut entries: Vec<_> = text.split_terminator('\0').collect();
    entries.sort_unstable();
    assert_eq!(entries, ["HOME=/h", "LANG=fr", "PATH=/bin:/usr/bin", "TMPDIR=/t"]);
}

/// A host that leaks descriptors, ignores and blocks signals, and has an odd umask.
fn careless() {
    let mut kept = Vec::new();
    // SAFETY: dispositions, masks and descriptors of this process.
    unsafe {
        for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGCHLD, libc::SIGUSR2, 40]
        {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut blocked = std::mem::zeroed();
        libc::sigfillset(&mut blocked);
        libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, std::ptr::null_mut());
        libc::umask(0o077);
        for low in [3, 4, 5, 6, 100, 1_000] {
            let null = File::open("/dev/null").unwrap();
            kept.push(check(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, low)).unwrap());
        }
        std::env::set_var("HOST_SECRET", "CANARY");
    }
    what_a_program_finds();
    assert!(kept.len() == 6);
}

#[test]
fn a_program_starts_clean() {
    what_a_program_finds();
}

#[test]
fn a_program_of_a_careless_host_starts_just_as_clean() {
    let tmp = temp();
    Host::start("careless", tmp.path()).finish();
}

fn what_a_program_finds() {
    // Its state as the kernel tells it: signals, capabilities, filters, umask, groups of processes.
    let plan = Plan::new(["cat", "/proc/self/status", "/proc/self/stat"]).read("/proc");
    let output = plan.run().unwrap();
    let lines = lines(&output);
    let field = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{name}")).to_owned()
    };
    for name in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    if is_root() {
        assert_eq!(field("CapBnd"), "0000000000000000");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Umask"), "0022");
    assert_eq!(field("Threads"), "1");
    // pid (name) state parent group session terminal foreground
    let stat = lines.last().unwrap();
    let (pid, rest) = (stat.split(' ').next().unwrap(), stat.rsplit_once(')').unwrap().1);
    let numbers: Vec<_> = rest.split_whitespace().skip(2).take(4).collect();
    assert_eq!(numbers, [pid, pid, "0", "-1"], "leads a group and a session without a terminal");
    assert!(!output.stdout_text().contains("CANARY"));

    let Some(plan) = python(FINDINGS) else { return };
    let host_directory = std::env::current_dir().unwrap();
    let output = plan.read("/proc").run().unwrap();
    good(&output);
    let text = output.stdout_text();
    let found: BTreeMap<_, _> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let got = |name: &str| found.get(name).copied().unwrap_or_else(|| panic!("{name}\n{text}"));
    assert_eq!(got("descriptors"), "0 1 2");
    assert_eq!(got("listed"), "0 1 2");
    let workspace = got("cwd");
    assert_ne!(Path::new(workspace), host_directory);
    assert_eq!((got("home"), got("tmpdir")), (workspace, workspace));
    assert_eq!(got("mode"), "700 True []");
    assert_eq!(got("file"), "644");
    assert_eq!(got("ids"), "True True True");
    assert_eq!(got("stdin"), "b''");
    // One byte is the one limit that a crash handler behind a pipe honours.
    assert_eq!(got("core"), "1 1");
    assert_eq!(got("open files"), "512 512");
    assert_eq!(got("file size"), format!("{0} {0}", 1u64 << 30));
    assert_eq!(got("data"), format!("{0} {0}", 2u64 << 30));
    assert_eq!(got("realtime"), "0 0");
    assert_eq!(got("queues"), "0 0");
    if is_root() {
        // NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE and not KEEP_CAPS, all locked.
        assert_eq!(got("securebits"), format!("{}", 0xef));
    }
    assert!(is_cleared(Path::new(workspace)), "nothing is left of it");
}

const FINDINGS: &str = "
import ctypes, os, resource, stat
def say(name, *values):
    print(name, ' '.join(str(value) for value in values), sep='\\t')
def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False
say('descriptors', *(fd for fd in range(1024) if is_open(fd)))
# The last one is the listing itself.
say('listed', *sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1])
say('cwd', os.getcwd())
say('home', os.environ['HOME'])
say('tmpdir', os.environ['TMPDIR'])
me = os.stat('.')
say('mode', format(stat.S_IMODE(me.st_mode), 'o'), me.st_uid == os.getuid(), os.listdir('.'))
open('file', 'w').close()
say('file', format(stat.S_IMODE(os.stat('file').st_mode), 'o'))
say('ids', os.getpid() == os.getsid(0), os.getpid() == os.getpgrp(), os.getppid() > 0)
say('stdin', os.read(0, 10))
for name, limit in [('core', resource.RLIMIT_CORE), ('open files', resource.RLIMIT_NOFILE),
        ('file size', resource.RLIMIT_FSIZE), ('data', resource.RLIMIT_DATA),
        ('realtime', resource.RLIMIT_RTPRIO), ('queues', resource.RLIMIT_MSGQUEUE)]:
    say(name, *resource.getrlimit(limit))
say('securebits', ctypes.CDLL(None).prctl(27, 0, 0, 0, 0))
";

#[test]
fn devices_that_do_no_harm_are_there() {
    let script = "
        echo gone > /dev/null && cat /dev/null
        head -c 4 /dev/zero | od -An -tx1
        head -c 8 /dev/urandom | wc -c
        echo x > /dev/full || echo full
        echo to-stderr > /dev/stderr; echo to-stdout > /dev/fd/1
    ";
    let output = sh(script).run().unwrap();
    let text: Vec<_> = output.stdout_text().lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(text.get(..3).unwrap_or(&text), ["00 00 00 00", "8", "full"], "{output:?}");
    for device in ["/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/ptmx", "/dev/shm/x"] {
        let output = sh(&format!("exec 2>&1; : < {device} || : > {device} && echo succeeded"))
            .run()
            .unwrap();
        assert!(!output.stdout_text().contains("succeeded"), "{device}: {output:?}");
    }
}

#[test]
fn nothing_outside_the_grants_can_be_read_and_nothing_read_can_be_written() {
    let tmp = temp();
    for dir in ["no", "read", "write"] {
        fs::create_dir(tmp.path().join(dir)).unwrap();
        fs::write(tmp.path().join(dir).join("file"), dir).unwrap();
    }
    let script = "
        cd \"$0\"
        for d in no read write; do cat $d/file; echo; done
        for d in no read write; do echo changed > $d/file; echo new > $d/new; mkdir $d/dir; rm -f $d/file; done
        exit 0";
    let plan = sh(script).arg(tmp.path()).cwd("/");
    let output = plan.read(tmp.path().join("read")).write(tmp.path().join("write")).run().unwrap();
    assert_eq!(lines(&output), ["", "read", "write"]);
    let names = |dir: &str| -> Vec<_> {
        let dir = tmp.path().join(dir);
        entries(&dir).iter().map(|p| p.strip_prefix(&dir).unwrap().display().to_string()).collect()
    };
    assert_eq!(
        (names("no"), names("read"), names("write")),
        (vec!["file".into()], vec!["file".into()], vec!["dir".into(), "new".into()])
    );
    assert_eq!(fs::read(tmp.path().join("no/file")).unwrap(), b"no");
    assert_eq!(fs::read(tmp.path().join("read/file")).unwrap(), b"read");
}

#[test]
fn workspaces_are_private_to_their_runs() {
    let mut executor = Executor::new().unwrap();
    let first = sh("echo secret > file; pwd; sleep 600").no_timeout();
    let first = executor.spawn(first).unwrap();
    let mut path = PathBuf::new();
    while path.as_os_str().is_empty() {
        if let Some(evalbox::Event::Stdout { data, .. }) = executor.poll(Some(SOON)).unwrap() {
            path = PathBuf::from(String::from_utf8(data).unwrap().trim());
        }
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let script = "cat \"$0\"/file; echo x > \"$0\"/new; ls \"$0\" \"$0\"/..; cat ../*/file; chmod 777 \"$0\"; pwd";
    let output = executor.run(&sh(script).arg(&path)).unwrap();
    let seen = lines(&output);
    assert_eq!(seen.len(), 1, "{output:?}");
    assert_ne!(Path::new(&seen[0]), path);
    assert_eq!(entries(&path).len(), 1);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    executor.kill(first).unwrap();
    end_of(&mut executor, first).unwrap();
    assert!(is_cleared(&path));
}

#[test]
fn a_workspace_goes_whatever_is_in_it() {
    let script = "
        mkdir -p a/b; echo x > a/b/c; ln -s /etc link; mkfifo fifo; ln a/b/c hard
        mkdir closed; echo x > closed/file; chmod 0 closed a/b/c
        printf x > \"$(printf 'odd\\nname\\377')\"; mkdir -p deep; cd deep
        for i in $(seq 150); do mkdir d; cd d; done; touch leaf; cd \"$HOME\"; chmod 500 .; pwd";
    let output = sh(script).run().unwrap();
    let seen = lines(&output);
    eventually("it is cleared", || is_cleared(Path::new(&seen[0])));
    assert!(Path::new("/etc").is_dir());
}

#[test]
fn no_run_finds_anything_of_an_earlier_one() {
    let script = "
import os, stat, time
me = os.stat('.')
assert os.listdir('.') == [], os.listdir('.')
assert stat.S_IMODE(me.st_mode) == 0o700, oct(me.st_mode)
assert os.listxattr('.') == [], os.listxattr('.')
assert time.time() - me.st_mtime < 3600 and time.time() - me.st_atime < 3600, me
assert os.path.realpath('.') == os.getcwd()
for name in ('file', '.hidden', 'dir/file'):
    os.makedirs(os.path.dirname('./' + name), exist_ok=True)
    open(name, 'w').close()
for name in ('user.left', 'system.posix_acl_access', 'system.posix_acl_default'):
    # Everybody may do everything.
    acl = bytes.fromhex('02000000' '01000700ffffffff' '04000700ffffffff' '20000700ffffffff')
    try:
        os.setxattr('.', name, acl)
    except OSError as error:
        print(error)
os.utime('.', (1, 1))
try:
    os.rename(os.getcwd(), os.getcwd() + 'x')
    print('renamed')
except OSError:
    pass
try:
    os.rmdir(os.getcwd())
except OSError:
    pass
os.chmod('.', 0o1577)
";
    let Some(plan) = python(script) else { return };
    let mut executor = Executor::new().unwrap();
    for _ in 0..30 {
        let output = executor.run(&plan).unwrap();
        good(&output);
        assert!(!output.stdout_text().contains("renamed"), "{output:?}");
    }
}

// ---------------------------------------------------------------------------------------------
// Metadata

#[test]
fn metadata_changes_inside_and_not_outside_where_it_is_reported() {
    let tmp = temp();
    let outside = tmp.path().join("outside");
    fs::write(&outside, "x").unwrap();
    let before = fs::metadata(&outside).unwrap();
    let script = "
import os, stat, sys
outside = sys.argv[1]
open('file', 'w').close()
os.mkdir('dir')
changes = {
    'chmod': lambda path: os.chmod(path, 0o640),
    'fchmod': lambda path: os.fchmod(os.open(path, os.O_RDONLY), 0o640),
    'utime': lambda path: os.utime(path, (1, 2)),
    'chown': lambda path: os.chown(path, os.getuid(), os.getgid()),
    'setxattr': lambda path: os.setxattr(path, 'user.test', b'x'),
}
for name, change in changes.items():
    for path in 'file', 'dir', outside:
        try:
            change(path)
            result = 'changed'
        except OSError as error:
            result = os.strerror(error.errno)
        print(name, 'outside' if path == outside else path, result, sep=': ')
print(format(stat.S_IMODE(os.stat('file').st_mode), 'o'), os.stat('file').st_mtime, os.getxattr('file', 'user.test'))
os.chmod('file', 0o4755)
";
    let Some(plan) = python(script) else { return };
    let output = plan.arg(&outside).read(tmp.path()).run().unwrap();
    assert_eq!(output.exit_code(), Some(1), "the set-user-ID bit is refused: {output:?}");
    let text = output.stdout_text();
    let xattrs = !text.contains("Operation not supported");
    for name in ["chmod", "fchmod", "utime", "chown", "setxattr"] {
        for path in ["file", "dir"] {
            let worked = text.contains(&format!("{name}: {path}: changed\n"));
            assert!(worked || (name == "setxattr" && !xattrs), "{name} {path}\n{text}");
        }
        assert!(text.contains(&format!("{name}: outside: Permission denied\n")), "{name}\n{text}");
    }
    if xattrs {
        assert!(text.ends_with("640 2.0 b'x'\n"), "{text}");
    }
    let after = fs::metadata(&outside).unwrap();
    assert_eq!(
        (before.mode(), before.mtime(), before.ctime_nsec()),
        (after.mode(), after.mtime(), after.ctime_nsec())
    );

    let name = format!("{:?}", outside.to_str().unwrap());
    let reported: Vec<_> = output.refused.iter().filter(|r| r.target == name).collect();
    assert_eq!(reported.len(), 5, "{:?}", output.refused);
    for refused in reported {
        assert_eq!((refused.errno, refused.count), (libc::EACCES, 1), "{refused:?}");
        assert_eq!(refused.grant.as_deref(), Some(&*format!("write({name})")));
    }
    // That grant allows it.
    let plan = sh("chmod 600 \"$0\" && touch -d @5 \"$0\"").arg(&outside).write(&outside);
    let output = plan.run().unwrap();
    good(&output);
    assert_eq!(output.refused, []);
    assert_eq!(fs::metadata(&outside).unwrap().mtime(), 5);
}

#[test]
fn refused_calls_are_counted_once_a_kind_and_bounded() {
    let script = "
import os
for round in range(3):
    for number in range(300):
        try:
            os.chmod('/usr' if number == 0 else '/usr/%d/..' % number, 0o755)
        except OSError:
            pass
    for path in ('/etc/passwd', '/etc/group'):
        try:
            os.chmod(path, 0o644)
        except OSError:
            pass
import resource
for fd in range(300):
    try:
        os.setpriority(os.PRIO_PROCESS, 1 + fd, 5)
    except OSError:
        pass
";
    let Some(plan) = python(script) else { return };
    let output = plan.run().unwrap();
    good(&output);
    assert_eq!(output.refused.len(), 256);
    let passwd = output.refused.iter().find(|r| r.target == "\"/etc/passwd\"").unwrap();
    assert_eq!(passwd.count, 3);
    assert!(output.refused_beyond > 0);
    let kinds: BTreeSet<_> =
        output.refused.iter().map(|r| (&r.syscall, &r.target, r.errno)).collect();
    assert_eq!(kinds.len(), 256, "no doubles");
}

// ---------------------------------------------------------------------------------------------
// Network

/// Echoes every connection until its end. Tells how many there were, and what has been read.
struct Echo {
    address: SocketAddr,
    thread: JoinHandle<Vec<u8>>,
}

impl Echo {
    /// For one connection.
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            drop(listener);
            peer.set_read_timeout(Some(SOON)).unwrap();
            let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
            loop {
                match peer.read(&mut piece).expect("its end, in time") {
                    0 => return all,
                    count => {
                        all.extend_from_slice(&piece[..count]);
                        peer.write_all(&piece[..count]).unwrap();
                    }
                }
            }
        });
        Self { address, thread }
    }

    fn grant(&self) -> String {
        format!("connect(\"{}\")", self.address)
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn without_a_grant_there_is_no_network_and_that_is_reported() {
    no_network();
}

fn no_network() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let script = "
import socket, sys
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)):
    try:
        socket.socket(family, kind).connect(('127.0.0.1', int(sys.argv[1])))
        print('connected')
    except OSError as error:
        print(error.strerror)
";
    let Some(plan) = python(script) else { return };
    let port = listener.local_addr().unwrap().port();
    let output = plan.arg(port.to_string()).run().unwrap();
    assert_eq!(lines(&output), ["Permission denied"; 3]);
    let reported: Vec<_> = output.refused.iter().filter(|r| r.syscall == "socket").collect();
    assert_eq!(reported.len(), 3, "{:?}", output.refused);
    for refused in &reported {
        assert_eq!(refused.errno, libc::EACCES, "{refused:?}");
    }
    // What would allow a stream; nothing would allow the datagram socket.
    for refused in reported.iter().filter(|r| r.target.contains("type 1")) {
        let grant = refused.grant.as_deref().unwrap_or_default();
        assert!(grant.starts_with("connect("), "{refused:?}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn a_granted_connection_works_to_its_very_end() {
    granted_connections();
}

fn granted_connections() {
    // Blocking; the peer sees the end while the program still runs.
    let blocking = "
import errno, socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'ping')
assert s.recv(4, socket.MSG_WAITALL) == b'ping'
assert s.getpeername()[1] == int(sys.argv[1])
try:
    s.connect(('127.0.0.1', int(sys.argv[1])))
except OSError as error:
    assert error.errno == errno.EISCONN, error
else:
    assert False
s.close()
print('closed', flush=True)
assert sys.stdin.read() == ''
print('ended')
";
    let polled = "
import errno, select, socket, sys
s = socket.socket()
s.setblocking(False)
assert s.connect_ex(('127.0.0.1', int(sys.argv[1]))) in (0, errno.EINPROGRESS)
poll = select.poll()
poll.register(s, select.POLLOUT)
assert poll.poll(20000) == [(s.fileno(), select.POLLOUT)]
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
assert s.connect_ex(('127.0.0.1', int(sys.argv[1]))) in (0, errno.EISCONN)
s.sendall(b'ping')
poll.modify(s, select.POLLIN)
assert poll.poll(20000)
assert s.recv(4) == b'ping'
s.close()
print('closed', flush=True)
assert sys.stdin.read() == ''
print('ended')
";
    let half_closed = "
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
t = s.dup()
s.close()
t.sendall(b'ping')
t.shutdown(socket.SHUT_WR)
assert t.recv(4, socket.MSG_WAITALL) == b'ping'
assert t.recv(1) == b''
print('closed', flush=True)
assert sys.stdin.read() == ''
print('ended')
";
    let asyncio = "
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]))
    writer.write(b'ping')
    assert await reader.readexactly(4) == b'ping'
    writer.close()
    await writer.wait_closed()
asyncio.run(main())
print('closed', flush=True)
assert sys.stdin.read() == ''
print('ended')
";
    let mut executor = Executor::new().unwrap();
    for script in [blocking, polled, half_closed, asyncio] {
        let echo = Echo::start();
        let Some(plan) = python(script) else { return };
        let plan = plan.arg(echo.address.port().to_string()).connect(echo.address.to_string());
        let sandbox = executor.spawn(plan.stdin_from(Stdin::Piped).timeout(4 * SOON)).unwrap();
        hear_from(&mut executor, sandbox, "closed\n");
        // The program is alive, and yet this has ended: nobody else has a copy of its socket.
        assert_eq!(echo.thread.join().unwrap(), b"ping", "{script}");
        executor.close_stdin(sandbox).unwrap();
        let output = end_of(&mut executor, sandbox).unwrap();
        assert_eq!(lines(&output), ["closed", "ended"]);
        assert_eq!(output.refused, []);
    }
}

#[test]
fn other_addresses_than_the_granted_are_refused_and_reported() {
    other_addresses();
}

fn other_addresses() {
    let listeners: Vec<_> =
        (0..2).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let [granted, other] = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap().port());
    let script = "
import socket, sys
granted, other, unused = map(int, sys.argv[1:])
def attempt(name, what):
    try:
        what()
        print(name, 'worked', sep=': ')
    except OSError as error:
        print(name, error.strerror, sep=': ')
def connect(host, port, family=socket.AF_INET):
    s = socket.socket(family)
    s.settimeout(20)
    s.connect((host, port))
def bind(host, port):
    s = socket.socket()
    s.bind((host, port))
    s.listen()
attempt('granted', lambda: connect('127.0.0.1', granted))
attempt('mapped', lambda: connect('::ffff:127.0.0.1', granted, socket.AF_INET6))
attempt('other port', lambda: connect('127.0.0.1', other))
attempt('other address', lambda: connect('127.0.0.2', granted))
attempt('any address', lambda: connect('0.0.0.0', granted))
attempt('bind', lambda: bind('127.0.0.1', unused))
attempt('bind any', lambda: bind('127.0.0.1', 0))
attempt('listen', lambda: socket.socket().listen())
attempt('datagram', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
";
    let Some(plan) = python(script) else { return };
    let plan =
        [granted, other, free_port()].iter().fold(plan, |plan, port| plan.arg(port.to_string()));
    let output = plan.connect(format!("127.0.0.1:{granted}")).run().unwrap();
    let denied = "Permission denied";
    assert_eq!(
        lines(&output),
        [
            "granted: worked".to_owned(),
            "mapped: worked".to_owned(),
            format!("other port: {denied}"),
            format!("other address: {denied}"),
            format!("any address: {denied}"),
            format!("bind: {denied}"),
            format!("bind any: {denied}"),
            format!("listen: {denied}"),
            format!("datagram: {denied}"),
        ]
    );
    let grants: BTreeSet<_> = output.refused.iter().filter_map(|r| r.grant.clone()).collect();
    for wanted in [
        format!("connect(\"127.0.0.1:{other}\")"),
        format!("connect(\"127.0.0.2:{granted}\")"),
        "bind(\"127.0.0.1:0\")".to_owned(),
    ] {
        assert!(grants.contains(&wanted), "{wanted}: {:?}", output.refused);
    }
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    let came = listeners.iter().map(|l| std::iter::from_fn(|| l.accept().ok()).count());
    assert_eq!(came.collect::<Vec<_>>(), [2, 0]);
}

#[test]
fn a_reported_grant_is_what_it_takes() {
    let echo = Echo::start();
    let script = "
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.close()
";
    let Some(plan) = python(script) else { return };
    let plan = plan.arg(echo.address.port().to_string());
    let refused = plan.clone().connect("127.0.0.1:1").run().unwrap();
    assert!(!refused.ok());
    let grant = refused.refused[0].grant.clone().unwrap();
    assert_eq!(grant, echo.grant());
    let endpoint = grant.strip_prefix("connect(\"").unwrap().strip_suffix("\")").unwrap();
    good(&plan.connect(endpoint).run().unwrap());
    assert_eq!(echo.thread.join().unwrap(), b"");
}

#[test]
fn a_refused_connection_is_the_kernels_answer() {
    refused_by_the_peer();
}

fn refused_by_the_peer() {
    let script = "
import errno, select, socket, sys, time
address = ('127.0.0.1', int(sys.argv[1]))
s = socket.socket()
for _ in range(3):
    assert s.connect_ex(address) == errno.ECONNREFUSED
s = socket.socket()
s.setblocking(False)
result = s.connect_ex(address)
if result == errno.EINPROGRESS:
    poll = select.poll()
    poll.register(s, select.POLLOUT)
    assert poll.poll(20000)
    result = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
assert result == errno.ECONNREFUSED, result
time.sleep(0.1)
# The same socket may try again.
again = (errno.EINPROGRESS, errno.ECONNREFUSED)
assert s.connect_ex(address) in again + (errno.ECONNABORTED,)
assert s.connect_ex(address) in again + (errno.ECONNABORTED,)
import os
r, w = os.pipe()
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
buffer = (ctypes.c_char * 16).from_buffer_copy(bytes([2, 0]) + address[1].to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8))
assert libc.connect(r, buffer, 16) == -1 and ctypes.get_errno() == errno.ENOTSOCK
assert libc.connect(77, buffer, 16) == -1 and ctypes.get_errno() == errno.EBADF
assert libc.connect(s.fileno(), None, 16) == -1 and ctypes.get_errno() == errno.EFAULT
print('good')
";
    let Some(plan) = python(script) else { return };
    let port = free_port();
    let plan = plan.arg(port.to_string()).connect(format!("127.0.0.1:{port}"));
    assert_eq!(lines(&plan.run().unwrap()), ["good"]);
}

#[test]
fn a_granted_port_can_be_served_closed_and_served_again() {
    servers();
}

fn servers() {
    let script = "
import socket, sys
port = int(sys.argv[1])
for round in ('first', 'second'):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(('127.0.0.1', port))
    server.listen()
    server.listen(20)
    print(round, flush=True)
    peer, _ = server.accept()
    data = peer.recv(5, socket.MSG_WAITALL)
    peer.sendall(data.upper())
    # The listener first: a copy of it that somebody kept would hold the port.
    server.close()
    peer.close()
    print(round, 'closed', flush=True)
    assert sys.stdin.readline() == 'on\\n'
print('ended')
";
    let Some(plan) = python(script) else { return };
    let port = free_port();
    let plan = plan.arg(port.to_string()).bind(format!("127.0.0.1:{port}"));
    let mut executor = Executor::new().unwrap();
    let sandbox = executor.spawn(plan.stdin_from(Stdin::Piped).timeout(6 * SOON)).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for round in ["first\n", "second\n"] {
        hear_from(&mut executor, sandbox, round);
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(SOON)).unwrap();
        peer.write_all(b"hello").unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).expect("the end of the connection, in time");
        assert_eq!(answer, b"HELLO");
        let _ = peer.shutdown(Shutdown::Both);
        hear_from(&mut executor, sandbox, "closed\n");
        // Nobody listens any more, and nobody keeps it bound.
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        drop(TcpListener::bind(address).expect("the port is free"));
        executor.write_stdin(sandbox, b"on\n").unwrap();
    }
    let output = end_of(&mut executor, sandbox).unwrap();
    good(&output);
    assert!(output.stdout_text().ends_with("ended\n"));
}

#[test]
fn servers_and_clients_may_be_in_one_sandbox() {
    inside_one_sandbox();
}

fn inside_one_sandbox() {
    let script = "
import socket, sys, threading
port = int(sys.argv[1])
server = socket.create_server(('127.0.0.1', port))
def serve():
    for _ in range(150):
        peer, _ = server.accept()
        peer.sendall(peer.recv(100))
        peer.close()
thread = threading.Thread(target=serve)
thread.start()
for number in range(150):
    client = socket.create_connection(('127.0.0.1', port))
    text = str(number).encode()
    client.sendall(text)
    assert client.recv(100) == text
    assert client.recv(100) == b''
    client.close()
thread.join()
# Sockets that were never connected are closed as any other.
for _ in range(1500):
    socket.socket().close()
print('good')
";
    let Some(plan) = python(script) else { return };
    let port = free_port();
    let plan = plan.arg(port.to_string()).bind(format!("127.0.0.1:{port}"));
    let output = plan.connect(format!("127.0.0.1:{port}")).timeout(3 * SOON).run().unwrap();
    assert_eq!(lines(&output), ["good"]);
}

#[test]
fn a_granted_unix_socket_can_be_reached_and_no_other() {
    granted_unix_socket();
}

fn granted_unix_socket() {
    let tmp = temp();
    let [granted, other] = ["granted", "other"].map(|name| tmp.path().join(name));
    let listeners = [&granted, &other].map(|path| UnixListener::bind(path).unwrap());
    let (end, ended) = std::sync::mpsc::channel();
    let listener = listeners[0].try_clone().unwrap();
    let thread = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(SOON)).unwrap();
        let mut data = [0; 4];
        peer.read_exact(&mut data).unwrap();
        peer.write_all(&data).unwrap();
        assert_eq!(peer.read(&mut data).expect("its end, in time"), 0);
        end.send(data).unwrap();
    });
    let script = "
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'ping')
assert s.recv(4, socket.MSG_WAITALL) == b'ping'
assert s.getpeername() == sys.argv[1]
s.close()
print('closed', flush=True)
os.symlink(sys.argv[2], 'link')
for path in sys.argv[2], 'link':
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print('connected')
    except OSError as error:
        print(error.strerror)
assert sys.stdin.read() == ''
";
    let Some(plan) = python(script) else { return };
    let plan = plan.arg(&granted).arg(&other).connect(format!("unix:{}", granted.display()));
    let mut executor = Executor::new().unwrap();
    let sandbox = executor.spawn(plan.stdin_from(Stdin::Piped).timeout(4 * SOON)).unwrap();
    hear_from(&mut executor, sandbox, "closed\n");
    assert_eq!(ended.recv_timeout(SOON).unwrap(), *b"ping");
    thread.join().unwrap();
    executor.close_stdin(sandbox).unwrap();
    let output = end_of(&mut executor, sandbox).unwrap();
    assert_eq!(lines(&output), ["closed", "Permission denied", "Permission denied"]);
    let grant = format!("connect(\"unix:{}\")", other.display());
    assert!(
        output.refused.iter().any(|r| r.grant.as_deref() == Some(&grant)),
        "{:?}",
        output.refused
    );
    listeners[1].set_nonblocking(true).unwrap();
    assert!(listeners[1].accept().is_err(), "nobody came");
}

#[test]
fn unix_sockets_inside_the_workspace_work() {
    unix_inside();
}

fn unix_inside() {
    let script = "
import os, socket, struct
def serve(path, rounds=1):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    if os.fork() == 0:
        for _ in range(rounds):
            peer, _ = server.accept()
            peer.sendall(peer.recv(100)[::-1])
            peer.close()
        os._exit(0)
    server.close()
def ask(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(b'abc')
    assert s.recv(100) == b'cba', path
    assert s.recv(100) == b''
here = os.getcwd()
serve('a.sock', 3)
ask('a.sock')
ask(here + '/a.sock')
os.mkdir('dir')
os.chdir('dir')
ask('../a.sock')
serve('b.sock')
ask('b.sock')
os.chdir('/')
serve(here + '/dir/c.sock')
ask(here + '/dir/c.sock')
for _ in range(3):
    assert os.wait()[1] == 0
a, b = socket.socketpair()
socket.send_fds(a, [b'x'], [1])
assert len(socket.recv_fds(b, 1, 1)[1]) == 1
pid, uid, gid = struct.unpack('3i', a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
assert (pid, uid) == (os.getpid(), os.getuid())
try:
    socket.socket(socket.AF_UNIX).connect('/nowhere')
except FileNotFoundError:
    print('good')
";
    let Some(plan) = python(script) else { return };
    assert_eq!(lines(&plan.clone().run().unwrap()), ["good"]);
    // With TCP granted, the guard has more to do with sockets.
    assert_eq!(lines(&plan.connect("127.0.0.1:9").run().unwrap()), ["good"]);
}

#[test]
fn unix_sockets_in_a_granted_directory_are_the_hosts_or_the_sandboxs() {
    unix_in_a_granted_directory();
}

fn unix_in_a_granted_directory() {
    let dir = temp();
    let host = dir.path().join("host.sock");
    let listener = UnixListener::bind(&host).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = "
import errno, os, socket, stat, subprocess, sys
here, private = sys.argv[1], os.environ['TMPDIR']
def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s
def fails(number, what, *args):
    try:
        what(*args)
    except OSError as error:
        assert error.errno == number, (error, args)
    else:
        raise AssertionError(args)
def serve(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    assert server.getsockname() == path
    fails(errno.ECONNREFUSED, connect, path)
    server.listen()
    if os.fork() == 0:
        # Whoever listens may be somebody else than who bound it; and there is one connection only.
        peer, _ = server.accept()
        peer.sendall(b'hello')
        os._exit(0)
    server.close()
    return path
def ask(path):
    assert connect(path).recv(100) == b'hello', path
os.chdir(here)
ask(serve('one.sock'))
ask(serve(here + '/two.sock'))
long = here + '/' + 'x' * (107 - len(os.fsencode(here)) - 1)
assert len(long) == 107
ask(serve(long))
assert stat.S_IMODE(os.stat(long).st_mode) == 0o755
# Another program than the one that bound it, and after a move.
path = serve('three.sock')
os.rename(path, private + '/moved.sock')
code = 'import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); assert s.recv(9) == b\"hello\"'
assert subprocess.run([sys.executable, '-ISc', code, private + '/moved.sock']).returncode == 0
fails(errno.EADDRINUSE, serve, 'one.sock')
fails(errno.EADDRINUSE, serve, here + '/host.sock')
fails(errno.ENOENT, serve, 'no/such.sock')
open('file', 'w').close()
fails(errno.ECONNREFUSED, connect, 'file')
# The host's, under every name.
os.link('host.sock', private + '/link.sock')
os.symlink(here + '/host.sock', 'symlink.sock')
for name in 'host.sock', here + '/host.sock', private + '/link.sock', 'symlink.sock':
    fails(errno.EACCES, connect, name)
os.chmod('host.sock', 0o1700)
assert stat.S_IMODE(os.stat('host.sock').st_mode) == 0o700
print('good')
";
    let Some(plan) = python(script) else { return };
    let plan = plan.arg(dir.path()).write(dir.path());
    let output = plan.clone().run().unwrap();
    assert_eq!(lines(&output), ["good"]);
    let grant = format!("connect(\"unix:{}\")", host.display());
    assert!(output.refused.iter().any(|r| r.grant.as_deref() == Some(&grant)), "{output:?}");
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn abstract_names_are_nobodys_to_take() {
    abstract_names();
}

fn abstract_names() {
    let script = "
import asyncio, os, socket
s = socket.socket(socket.AF_UNIX)
for name in '\\0x11', '\\0', b'\\0' * 100:
    try:
        s.bind(name)
        print('bound')
    except PermissionError:
        pass
# One of the kernel's choice.
s.bind('')
name = s.getsockname()
assert len(name) == 6 and name[0] == 0, name
s.listen()
c = socket.socket(socket.AF_UNIX)
c.connect(name)
s.accept()[0].sendall(b'hello')
assert c.recv(9) == b'hello'
async def main():
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
    server = await asyncio.start_unix_server(serve, 'aio.sock')
    for _ in range(50):
        reader, writer = await asyncio.open_unix_connection(os.path.abspath('aio.sock'))
        writer.write(b'hello\\n')
        assert await reader.read() == b'HELLO\\n'
        writer.close()
    server.close()
asyncio.run(main())
print('good')
";
    let Some(plan) = python(script) else { return };
    let output = plan.run().unwrap();
    assert_eq!(lines(&output), ["good"]);
    let refused = |r: &evalbox::Refused| r.syscall == "bind" && r.target.contains("x11");
    assert!(output.refused.iter().any(refused), "{output:?}");
}

#[test]
fn many_slow_connections_hold_nothing_up() {
    // Nobody accepts: beyond the backlog, connecting waits.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // SAFETY: sets the backlog of a listening socket.
    check(unsafe { libc::listen(listener.as_raw_fd(), 0) }).unwrap();
    let script = "
import os, socket, sys, threading, time
port = int(sys.argv[1])
def connect():
    s = socket.socket()
    try:
        s.connect(('127.0.0.1', port))
    except OSError:
        pass
    time.sleep(600)
for _ in range(12):
    threading.Thread(target=connect, daemon=True).start()
time.sleep(0.3)
# Everything else is answered meanwhile.
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
open('file', 'w').close()
os.chmod('file', 0o600)
print('good', flush=True)
os._exit(0)
";
    let Some(plan) = python(script) else { return };
    let address = listener.local_addr().unwrap();
    let plan = plan.arg(address.port().to_string()).connect(address.to_string()).timeout(SOON);
    assert_eq!(lines(&plan.run().unwrap()), ["good"]);
    // And a deadline ends the waiting.
    let script = script
        .replace("os._exit(0)\n", "time.sleep(600)\n")
        .replace("for _ in range(20):\n", "for _ in ():\n");
    let plan =
        python(&script).unwrap().arg(address.port().to_string()).connect(address.to_string());
    let output = plan.timeout(Duration::from_secs(2)).run().unwrap();
    assert_eq!(output.status, evalbox::Status::TimedOut);
}

#[test]
fn the_network_works_where_sockets_cannot_be_fetched() {
    let tmp = temp();
    Host::start("docker", tmp.path()).finish();
}

fn docker() {
    docker::install().unwrap();
    good(&sh("true").run().unwrap());
    for (name, what) in [
        ("no network", no_network as fn()),
        ("connections", granted_connections),
        ("other addresses", other_addresses),
        ("refused", refused_by_the_peer),
        ("servers", servers),
        ("inside", inside_one_sandbox),
        ("granted unix socket", granted_unix_socket),
        ("unix sockets inside", unix_inside),
        ("unix sockets in a granted directory", unix_in_a_granted_directory),
        ("abstract names", abstract_names),
    ] {
        println!("    {name}");
        what();
    }
}
