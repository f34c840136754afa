//! Programs that go about it the long way: each test runs a part of this binary in a sandbox (see
//! [`part`]) and looks at what came of it.
#![cfg(target_os = "linux")]
// The parts that run inside speak on standard output and leave children on purpose.
#![allow(clippy::print_stdout, clippy::zombie_processes, unused_must_use)]

use std::ffi::c_int;
use std::fs::Permissions;
use std::io::Write as _;
use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use evalbox::{Executor, Limits, Output, Plan, Status};

/// Not a test of its own: what runs inside.
#[test]
fn part() {
    let code = match env::var("EVALBOX_HOSTILE").as_deref() {
        Ok("bind_unspec") => bind_unspec(),
        Ok("listen_after_connection") => listen_after_connection(),
        Ok("hidden_files") => hidden_files(),
        Ok("deep_and_nameless") => deep_and_nameless(),
        Ok("mapped_files") => mapped_files(),
        Ok("files_in_flight") => files_in_flight(),
        Ok("many_files") => many_files(),
        Ok("left_behind") => left_behind(),
        Ok("sockets_in_flight") => sockets_in_flight(),
        Ok("thread_files") => thread_files(),
        Ok("idle_sockets") => idle_sockets(),
        Ok("asleep") => asleep(),
        Ok("unwaited_children") => unwaited_children(),
        Ok("deep") => deep(),
        Ok("many_refused") => many_refused(),
        Ok("unreadable") => unreadable(),
        Ok("own_threads") => own_threads(),
        _ => return,
    };
    std::process::exit(code)
}

/// This binary as a plan; `part` ends with 0 if it got what it wanted.
fn plan(part: &str) -> Plan {
    let me = env::current_exe().unwrap();
    Plan::new([me.as_os_str(), "part".as_ref(), "--exact".as_ref(), "--nocapture".as_ref()])
        .env("EVALBOX_HOSTILE", part)
        .limits(Limits { memory: Some(256 << 20), ..Limits::default() })
}

fn run(plan: &Plan, landlock: Option<u32>) -> Output {
    match landlock {
        Some(abi) => Executor::with_landlock_abi(abi).unwrap().run(plan).unwrap(),
        None => plan.run().unwrap(),
    }
}

const REFUSED: i32 = 7;

fn port() -> u16 {
    env::var("PORT").unwrap().parse().unwrap()
}

fn address(family: c_int, ip: u32, port: u16) -> libc::sockaddr_in {
    // SAFETY: all-zero is a valid address.
    let mut address: libc::sockaddr_in = unsafe { zeroed() };
    address.sin_family = family as u16;
    address.sin_addr.s_addr = ip.to_be();
    address.sin_port = port.to_be();
    address
}

type SocketCall = unsafe extern "C" fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;

fn with(call: SocketCall, socket: c_int, address: &libc::sockaddr_in) -> bool {
    let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: a live address and its size.
    unsafe { call(socket, std::ptr::from_ref(address).cast(), size) == 0 }
}

fn stream() -> c_int {
    // SAFETY: numbers only.
    unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }
}

fn listens(socket: c_int) -> i32 {
    // SAFETY: numbers only.
    if unsafe { libc::listen(socket, 1) } == 0 { 0 } else { REFUSED }
}

/// `bind` takes AF_UNSPEC for 0.0.0.0.
fn bind_unspec() -> i32 {
    let socket = stream();
    if !with(libc::bind, socket, &address(libc::AF_UNSPEC, 0, port())) {
        return REFUSED;
    }
    listens(socket)
}

#[test]
fn an_address_without_a_family_is_not_every_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plan = plan("bind_unspec").env("PORT", free.to_string());
    for abi in [None, Some(3)] {
        for (connect, bind) in [(None, Some("127.0.0.1:*")), (Some("127.0.0.1:1"), None)] {
            let mut plan = plan.clone();
            plan = connect.into_iter().fold(plan, Plan::connect);
            plan = bind.into_iter().fold(plan, Plan::bind);
            assert_eq!(run(&plan, abi).status, Status::Exited(REFUSED), "{abi:?} {bind:?}");
        }
    }
}

/// A socket tells the port of its last connection, which is no longer its own.
fn listen_after_connection() -> i32 {
    let socket = stream();
    let _ = with(libc::connect, socket, &address(libc::AF_INET, 0x7f00_0001, port()));
    let _ = with(libc::connect, socket, &address(libc::AF_UNSPEC, 0, 0));
    listens(socket)
}

#[test]
fn a_connection_grant_is_no_grant_to_listen() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let endpoint = format!("127.0.0.1:{port}");
    let plan = plan("listen_after_connection").env("PORT", port.to_string()).connect(endpoint);
    assert_eq!(run(&plan, None).status, Status::Exited(REFUSED));
    drop(server);
    assert_eq!(run(&plan, None).status, Status::Exited(REFUSED));
}

fn pause() {
    std::thread::sleep(Duration::from_millis(900));
}

fn fill(megabytes: usize) {
    for i in 0..megabytes {
        fs::write(format!("f{i}"), vec![1; 1 << 20]).unwrap();
    }
    pause();
}

/// Files in a directory that may be entered and not listed.
fn hidden_files() -> i32 {
    fs::create_dir("hidden").unwrap();
    env::set_current_dir("hidden").unwrap();
    fs::set_permissions(".", Permissions::from_mode(0o300)).unwrap();
    fill(60);
    0
}

/// A tree that is too deep counts as too large; a file without a name is added to that.
fn deep_and_nameless() -> i32 {
    let nameless = fs::File::create_new("nameless").unwrap();
    (&nameless).write_all(b"x").unwrap();
    nameless.sync_all().unwrap();
    fs::remove_file("nameless").unwrap();
    fs::create_dir_all(["d"; 220].join("/")).unwrap();
    fill(60);
    0
}

#[test]
fn no_file_escapes_the_limit_on_the_workspace() {
    let limits = Limits { workspace: Some(20 << 20), ..Limits::default() };
    for part in [
        "hidden_files", "deep_and_nameless", "mapped_files", "files_in_flight", "thread_files",
        "many_files",
    ] {
        let output = run(&plan(part).limits(limits.clone()), None);
        assert_eq!(output.status, Status::WorkspaceLimit, "{part}");
    }
}

/// A file without a name, and with something in it.
fn nameless(megabytes: usize) -> fs::File {
    let mut file =
        fs::File::options().read(true).write(true).create_new(true).open("file").unwrap();
    fs::remove_file("file").unwrap();
    file.write_all(&vec![1; megabytes << 20]).unwrap();
    file
}

fn map_page(file: &fs::File) {
    // SAFETY: a new mapping, of which nothing is read.
    let page = unsafe {
        let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
        libc::mmap(std::ptr::null_mut(), 4_096, read, shared, file.as_raw_fd(), 0)
    };
    assert_ne!(page, libc::MAP_FAILED);
}

/// Nameless files that are kept by a mapping of one page.
fn mapped_files() -> i32 {
    for _ in 0..12 {
        map_page(&nameless(10));
    }
    pause();
    0
}

/// One of them, while somebody else fills the disk.
fn asleep() -> i32 {
    map_page(&nameless(1));
    println!("asleep");
    std::thread::sleep(Duration::from_secs(4));
    0
}

#[test]
fn what_others_write_is_not_charged_to_a_tree_that_sleeps() {
    let mut executor = Executor::new().unwrap();
    let limits = Limits { workspace: Some(20 << 20), ..Limits::default() };
    executor.spawn(plan("asleep").limits(limits)).unwrap();
    let mut written = None;
    loop {
        match executor.poll(Some(Duration::from_secs(30))).unwrap() {
            Some(evalbox::Event::Stdout { data, .. }) if data.ends_with(b"asleep\n") => {
                // It has to fall asleep.
                std::thread::sleep(Duration::from_millis(500));
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&vec![1; 200 << 20]).unwrap();
                written = Some(file);
            }
            Some(evalbox::Event::Completed { output, .. }) => {
                assert!(output.ok() && written.is_some(), "{:?}", output.status);
                return;
            }
            Some(_) => {}
            None => panic!("no end"),
        }
    }
}

fn send_descriptor(socket: c_int, descriptor: c_int) -> bool {
    let mut byte = 1u8;
    let mut control = [0u64; 3];
    // SAFETY: a message of one byte with one descriptor; the buffers live until it is sent.
    unsafe {
        let mut part = libc::iovec { iov_base: std::ptr::from_mut(&mut byte).cast(), iov_len: 1 };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(descriptor);
        libc::sendmsg(socket, &message, 0) == 1
    }
}

/// Nameless files that are only in what a socket has received.
fn files_in_flight() -> i32 {
    let (from, _to) = UnixStream::pair().unwrap();
    for _ in 0..12 {
        assert!(send_descriptor(from.as_raw_fd(), nameless(10).as_raw_fd()));
    }
    pause();
    0
}

/// Sockets that are only in what another one has received, each with something in it.
fn sockets_in_flight() -> i32 {
    let (from, _to) = UnixStream::pair().unwrap();
    for _ in 0..120 {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        while one.write(&[1; 4_096]).is_ok() {}
        assert!(send_descriptor(from.as_raw_fd(), one.as_raw_fd()));
        assert!(send_descriptor(from.as_raw_fd(), other.as_raw_fd()));
    }
    pause();
    0
}

/// More sockets than most programs have, and nothing in them.
fn idle_sockets() -> i32 {
    let pairs: Vec<_> = (0..200).map(|_| UnixStream::pair().unwrap()).collect();
    pause();
    i32::from(pairs.len() != 200)
}

#[test]
fn sockets_count_by_what_is_in_them() {
    let limits = |bytes| Limits { memory: Some(bytes), ..Limits::default() };
    let output = run(&plan("sockets_in_flight").limits(limits(24 << 20)), None);
    assert_eq!(output.status, Status::OutOfMemory);
    assert!(run(&plan("idle_sockets").limits(limits(40 << 20)), None).ok());
}

extern "C" fn thread_with_files(_: *mut std::ffi::c_void) -> c_int {
    std::mem::forget(nameless(60));
    pause();
    std::process::exit(0)
}

/// A nameless file that only a thread with descriptors of its own has open.
fn thread_files() -> i32 {
    let stack = vec![0u128; 1 << 16].leak();
    let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_FS;
    // SAFETY: it runs on a stack of its own, while this thread only waits.
    let thread = unsafe {
        let top = stack.as_mut_ptr_range().end;
        libc::clone(thread_with_files, top.cast(), flags, std::ptr::null_mut())
    };
    assert!(thread > 0);
    std::thread::sleep(Duration::from_secs(60));
    0
}

fn make_files(count: u32) {
    for i in 0..count {
        fs::File::create_new(format!("{i}")).unwrap();
    }
}

fn many_files() -> i32 {
    make_files(102_000);
    std::thread::sleep(Duration::from_secs(10));
    0
}

fn left_behind() -> i32 {
    make_files(20_000);
    println!("{}", env::current_dir().unwrap().display());
    std::thread::sleep(Duration::from_secs(60));
    0
}

#[test]
fn a_launch_does_not_wait_for_what_is_left_behind() {
    let mut executor = Executor::new().unwrap();
    executor.spawn(plan("left_behind")).unwrap();
    let mut text = String::new();
    let workspace = loop {
        match executor.poll(Some(Duration::from_secs(60))).unwrap() {
            Some(evalbox::Event::Stdout { data, .. }) => {
                text.push_str(&String::from_utf8_lossy(&data));
                let mut lines = text.split_inclusive('\n');
                if let Some(line) = lines.find(|line| line.starts_with('/') && line.ends_with('\n'))
                {
                    break Path::new(line.trim_end()).to_owned();
                }
            }
            other => panic!("{other:?}"),
        }
    };
    let guard = guard_of(&workspace);
    // SAFETY: the number of a guard of our own.
    assert_eq!(unsafe { libc::kill(guard, libc::SIGKILL) }, 0);
    // Once it is gone, the daemon knows.
    // SAFETY: asks only.
    while unsafe { libc::kill(guard, 0) } == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Plan::new(["true"]).run().unwrap().ok());
    assert!(workspace.exists(), "the launch has waited");
    for _ in 0..1_000 {
        if !workspace.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} is still there", workspace.display());
}

/// The parent of the program that is in a directory.
fn guard_of(directory: &Path) -> i32 {
    for process in fs::read_dir("/proc").unwrap().flatten() {
        if fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == directory) {
            let status = fs::read_to_string(process.path().join("status")).unwrap();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
            return parent.trim().parse().unwrap();
        }
    }
    panic!("nobody is in {}", directory.display());
}

/// Children whose parent does not wait for them leave no time behind.
fn unwaited_children() -> i32 {
    // SAFETY: single-threaded but for the test harness; the child only computes and exits.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        for _ in 0..12 {
            if libc::fork() == 0 {
                let mut time: libc::timespec = zeroed();
                while time.tv_sec == 0 && time.tv_nsec < 250_000_000 {
                    libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
                }
                libc::_exit(0);
            }
            libc::wait(std::ptr::null_mut());
        }
    }
    0
}

#[test]
fn time_of_children_that_nobody_waits_for_counts() {
    let limits = Limits { cpu: Some(Duration::from_millis(600)), ..Limits::default() };
    let output = run(&plan("unwaited_children").limits(limits), None);
    assert_eq!(output.status, Status::CpuLimit);
}

/// Deeper than anyone would go by recursion.
fn deep() -> i32 {
    println!("{}", env::current_dir().unwrap().display());
    for _ in 0..900 {
        fs::create_dir("d").unwrap();
        env::set_current_dir("d").unwrap();
    }
    fs::write("file", "x").unwrap();
    0
}

#[test]
fn a_deep_tree_is_removed() {
    // Such a tree counts as too large, if it is seen in time.
    let output = run(&plan("deep"), None);
    assert!(output.ok() || output.status == Status::WorkspaceLimit);
    let text = output.stdout_text();
    let workspace = text.lines().find(|line| line.starts_with('/')).unwrap();
    for _ in 0..500 {
        // The directory itself may stay for another run.
        if fs::read_dir(workspace).map_or(true, |mut entries| entries.next().is_none()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{workspace} still has something in it");
}

fn many_refused() -> i32 {
    for entry in fs::read_dir(env::var("DIR").unwrap()).unwrap() {
        let _ = fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600));
    }
    0
}

#[test]
fn refused_calls_do_not_cost_the_report() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..256 {
        fs::write(dir.path().join(format!("{}{i}", "x".repeat(200))), "").unwrap();
    }
    let limits = Limits { file_size: Some(64 << 10), ..Limits::default() };
    let plan = plan("many_refused").env("DIR", dir.path()).read(dir.path()).limits(limits);
    let output = run(&plan, None);
    assert!(output.ok() && !output.refused.is_empty() && output.refused_beyond > 0);
}

#[test]
fn a_link_in_a_writable_directory_takes_no_grant_along() {
    let dir = tempfile::tempdir().unwrap();
    let (work, secret) = (dir.path().join("work"), dir.path().join("secret"));
    fs::create_dir_all(work.join("data")).unwrap();
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "secret").unwrap();
    let plan = |script: &str| {
        let plan = Plan::new(["sh", "-c", script]).cwd(&work);
        plan.write(&work).read(work.join("data"))
    };
    let script = format!("mv data old && ln -s {} data", secret.display());
    assert!(plan(&script).run().unwrap().ok());
    for _ in 0..3 {
        assert!(plan("cat data/file").run().is_err());
    }
    // The program itself is granted, too, by being named.
    let tool = work.join("tool");
    std::os::unix::fs::symlink(&secret, &tool).unwrap();
    assert!(Plan::new([&tool]).write(&work).run().is_err());
}

#[test]
fn old_kernels_have_a_null_device() {
    for abi in [1, 2, 3] {
        let plan = Plan::new(["sh", "-c", "echo x > /dev/null && echo y > file && echo z > file"]);
        assert!(run(&plan, Some(abi)).ok(), "{abi}");
    }
}

/// A program that may not be read, and so not be inspected, that would go on for ever.
fn unreadable() -> i32 {
    if env::current_exe().unwrap().ends_with("copy") {
        std::thread::sleep(Duration::from_secs(100));
    }
    fs::copy(env::current_exe().unwrap(), "copy").unwrap();
    fs::set_permissions("copy", Permissions::from_mode(0o111)).unwrap();
    let mut again = std::process::Command::new("./copy");
    again.args(["part", "--exact"]).spawn().unwrap();
    let _ = std::os::unix::process::CommandExt::exec(again.args(["--nocapture"]));
    1
}

#[test]
fn unreadable_programs_end_in_time() {
    for abi in [None, Some(5)] {
        let begun = std::time::Instant::now();
        let output = run(&plan("unreadable").timeout(Duration::from_millis(700)), abi);
        assert_eq!(output.status, Status::TimedOut, "{abi:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{abi:?}");
    }
}

/// Settings of the caller's own threads, under their numbers.
fn own_threads() -> i32 {
    // SAFETY: numbers only.
    let own = || unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    // SAFETY: numbers only.
    let process = unsafe { libc::getpid() };
    assert_ne!(own(), process, "tests have threads of their own");
    // SAFETY: all pointers lead to what is said.
    let limit = |pid: i32| unsafe {
        let mut limit: libc::rlimit64 = zeroed();
        let null = std::ptr::null_mut::<libc::rlimit64>();
        let read = libc::prlimit64(0, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit) == 0;
        limit.rlim_cur -= 1;
        let set = libc::syscall(libc::SYS_prlimit64, pid, libc::RLIMIT_NOFILE, &limit, null) == 0;
        let wanted = limit.rlim_cur;
        libc::prlimit64(0, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit);
        read && set && limit.rlim_cur == wanted
    };
    assert!(limit(process) && limit(own()));
    let (tell, told) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let sibling = std::thread::spawn(move || {
        tell.send(own()).unwrap();
        wait.recv().unwrap();
        // SAFETY: writes one mask.
        unsafe {
            let mut mask: libc::cpu_set_t = zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut mask);
            libc::CPU_COUNT(&mask)
        }
    });
    let other = told.recv().unwrap();
    assert!(!limit(other));
    // SAFETY: masks of the size that is said.
    let narrow = |tid| unsafe {
        let mut mask: libc::cpu_set_t = zeroed();
        libc::sched_getaffinity(tid, size_of::<libc::cpu_set_t>(), &mut mask);
        let first = (0..1_024).find(|cpu| libc::CPU_ISSET(*cpu, &mask)).unwrap();
        mask = zeroed();
        libc::CPU_SET(first, &mut mask);
        libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), &mask) == 0
    };
    assert!(narrow(other));
    go.send(()).unwrap();
    assert_eq!(sibling.join().unwrap(), 1);
    assert!(narrow(own()) && narrow(process));
    let parent = std::os::unix::process::parent_id() as i32;
    assert!(!narrow(parent) && !limit(parent));
    // SAFETY: as above, without a mask and without room for one.
    unsafe {
        assert_eq!(libc::sched_setaffinity(process, 8, std::ptr::null()), -1);
        assert_eq!(libc::sched_setaffinity(other, 0, &zeroed()), -1);
    }
    0
}

#[test]
fn only_own_threads_are_set_under_their_numbers() {
    for abi in [None, Some(5)] {
        let output = run(&plan("own_threads"), abi);
        assert!(output.ok(), "{abi:?} {} {}", output.stdout_text(), output.stderr_text());
        assert!(output.refused.iter().any(|r| r.syscall == "prlimit64"), "{:?}", output.refused);
    }
}
