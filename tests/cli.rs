//! The command line, by running it.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(30);

fn evalbox() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalbox"));
    command.env_remove("EVALBOX_DAEMON").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    evalbox().arg("run").args(args).output().unwrap()
}

fn sh(script: &str) -> Output {
    run(&["--", "sh", "-c", script])
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("evalbox itself is not to be ended by a signal")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails with everything the command said.
#[track_caller]
fn expect(output: &Output, status: i32, out: &str, err: &str) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(code(output), status, "{stdout:?} {stderr:?}");
    assert_eq!(stdout, out, "{stderr:?}");
    assert!(stderr.contains(err), "{stderr:?} lacks {err:?}");
    if err.is_empty() {
        assert_eq!(stderr, "");
    }
}

/// Waits for a child, but not for ever.
#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("evalbox did not end");
}

#[track_caller]
fn read_until(from: &mut impl Read, wanted: &str) {
    let mut seen = Vec::new();
    let mut one = [0];
    while !text(&seen).contains(wanted) {
        assert_ne!(from.read(&mut one).unwrap(), 0, "{:?} lacks {wanted:?}", text(&seen));
        seen.push(one[0]);
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

#[test]
fn exit_statuses() {
    expect(&sh("exit 0"), 0, "", "");
    expect(&sh("exit 3"), 3, "", "");
    expect(&sh("exit 255"), 255, "", "");
    expect(&sh("kill -TERM $$"), 128 + 15, "", "");
    expect(&sh("kill -KILL $$"), 128 + 9, "", "");
    expect(
        &run(&["--timeout", "0.2", "--", "sleep", "60"]),
        124,
        "",
        "evalbox: killed: the time limit of 0.2 s",
    );
    expect(
        &run(&["--", "no-such-program"]),
        127,
        "",
        "evalbox: command: \"no-such-program\" was not found",
    );
    expect(
        &run(&["--", "/no/such/program"]),
        127,
        "",
        "evalbox: command: \"/no/such/program\": ENOENT",
    );
    expect(&run(&["--", "/etc/passwd"]), 126, "", "no execute permission");
    expect(&run(&["--", "/usr"]), 126, "", "it is a directory");
    expect(
        &run(&["--cpu", "0.5", "--", "sh", "-c", "while :; do :; done"]),
        137,
        "",
        "the CPU time limit of 0.5 s",
    );
}

#[test]
fn mistakes_are_told_on_one_line_and_end_with_125() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "nothing to run"),
        (&["--read", "/no/such", "--", "true"], "read: \"/no/such\": ENOENT"),
        (&["--read", "../no/such", "--", "true"], "read: \"../no/such\": ENOENT"),
        (&["--write", "/proc", "--", "true"], "write: \"/proc\" can't be granted"),
        (&["--connect", "example.org:80", "--", "true"], "connect: \"example.org:80\""),
        (&["--env", "=x", "--", "true"], "--env: \"=x\" is not NAME=VALUE"),
        (&["--env", "x", "--", "true"], "--env: \"x\" is not NAME=VALUE"),
        (&["--file", "a=/no/such", "--", "true"], "/no/such: No such file"),
        (&["--file", "../a=/etc/passwd", "--", "true"], "files: \"../a\""),
        (&["--cwd", "/no/such", "--", "true"], "cwd: \"/no/such\": ENOENT"),
        (&["--memory", "1K", "--", "true"], "limits.memory: 1024"),
        (&["--timeout", "0", "--", "true"], "timeout: 0"),
        (&["--lang", "python", "--", "true"], "--lang is about FILE"),
        (&["--lang", "cobol", "-"], "language: \"cobol\" is not known; known are"),
        (&["/no/such.py"], "/no/such.py: No such file"),
        (&["/etc/passwd"], "evalbox run -- COMMAND"),
        (&["-"], "say --lang"),
    ];
    for (args, message) in cases {
        let output = run(args);
        expect(&output, 125, "", message);
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("evalbox: "), "{stderr:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
    }
    let usage: &[&[&str]] = &[
        &["--memory", "12X", "--", "true"],
        &["--memory", "-1", "--", "true"],
        &["--memory", "99999999T", "--", "true"],
        &["--timeout", "1s", "--", "true"],
        &["--tasks", "few", "--", "true"],
        &["--no-such-flag", "--", "true"],
    ];
    for args in usage {
        let output = run(args);
        assert_eq!(code(&output), 125, "{args:?}");
        assert!(output.stderr.starts_with(b"evalbox: "), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn messages_can_not_act_on_a_terminal() {
    let output = run(&["--", "\x1b[31mred\nevalbox: all is well"]);
    assert_eq!(code(&output), 127);
    assert!(!output.stderr.contains(&0x1b));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn help_and_version_go_to_standard_output() {
    for args in [&["--help"][..], &["run", "--help"], &["doctor", "--help"], &["--version"]] {
        let output = evalbox().args(args).output().unwrap();
        assert_eq!(code(&output), 0);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
}

/// Every byte value, and more than fits into a pipe.
fn binary() -> Vec<u8> {
    (0..400_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn streams_are_passed_through_byte_by_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    fs::write(&input, binary()).unwrap();
    for limit in [&[][..], &["--output", "1M"]] {
        let status = evalbox()
            .arg("run")
            .args(limit)
            .args(["--", "cat"])
            .stdin(File::open(&input).unwrap())
            .stdout(File::create(&output).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        assert!(fs::read(&output).unwrap() == binary(), "{limit:?}");

        let mut child = evalbox()
            .arg("run")
            .args(limit)
            .args(["--", "sh", "-c", "cat >&2"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = thread::spawn(move || stdin.write_all(&binary()).unwrap());
        let mut seen = Vec::new();
        child.stderr.take().unwrap().read_to_end(&mut seen).unwrap();
        writer.join().unwrap();
        assert!(wait(&mut child).success());
        assert!(seen == binary(), "{limit:?}");
    }
}

#[test]
fn what_is_not_read_stays_in_the_callers_pipe() {
    let script =
        format!("printf 'a\nb\n' | ({} run -- head -c 2; cat)", env!("CARGO_BIN_EXE_evalbox"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    expect(&output, 0, "a\nb\n", "");
}

#[test]
fn output_beyond_its_limit_is_cut_there() {
    let output = run(&["--output", "10K", "--", "yes"]);
    assert_eq!(code(&output), 137);
    assert_eq!(output.stdout.len(), 10 << 10);
    assert!(
        text(&output.stderr).contains("the output limit of 10240 bytes was reached (--output)")
    );
}

#[test]
fn a_closed_pipe_ends_the_program() {
    for limit in ["", "--output 1G"] {
        let script = format!("{} run {limit} -- yes | head -n 1", env!("CARGO_BIN_EXE_evalbox"));
        let begun = Instant::now();
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        expect(&output, 0, "y\n", "");
        assert!(begun.elapsed() < PATIENCE);
    }
    let script = format!("{} doctor | true", env!("CARGO_BIN_EXE_evalbox"));
    expect(&Command::new("sh").args(["-c", &script]).output().unwrap(), 0, "", "");
}

#[test]
fn closed_streams_are_empty() {
    let run = |streams: &str| {
        let binary = env!("CARGO_BIN_EXE_evalbox");
        let script = format!("{binary} run -- sh -c 'cat; echo x; echo y >&2' {streams}");
        Command::new("sh").args(["-c", &script]).output().unwrap()
    };
    expect(&run("<&-"), 0, "x\n", "y");
    expect(&run("<&- >&-"), 0, "", "y");
    expect(&run("<&- 2>&-"), 0, "x\n", "");
    expect(&run("<&- >&- 2>&-"), 0, "", "");
}

#[test]
fn the_environment_is_clean_but_for_what_is_set() {
    let output = evalbox()
        .env("SECRET", "x")
        .args(["run", "--env", "A=b=c", "--env", "E=", "--", "env"])
        .output()
        .unwrap();
    let stdout = text(&output.stdout);
    assert!(!stdout.contains("SECRET") && !stdout.contains("TERM"), "{stdout}");
    assert!(stdout.contains("A=b=c\n") && stdout.contains("E=\n"), "{stdout}");
}

/// Runs in a directory of the caller's that nothing else grants.
fn run_in(dir: &Path, args: &[&str]) -> Output {
    evalbox().current_dir(dir).arg("run").args(args).output().unwrap()
}

#[test]
fn grants_are_relative_to_the_callers_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(path.join("sub")).unwrap();
    fs::write(path.join("data"), "d").unwrap();
    let data = path.join("data").display().to_string();

    let output = run_in(&path, &["--", "cat", &data]);
    assert_eq!((code(&output), &*output.stdout), (1, &b""[..]));
    expect(&run_in(&path, &["--read", "data", "--", "cat", &data]), 0, "d", "");
    expect(&run_in(&path.join("sub"), &["--read", "../data", "--", "cat", &data]), 0, "d", "");
    assert_eq!(code(&run_in(&path, &["--read", ".", "--", "sh", "-c", "echo x > data"])), 2);
    expect(&run_in(&path, &["--write", ".", "--", "sh", "-c", "echo x > data"]), 0, "", "");
    assert_eq!(fs::read(path.join("data")).unwrap(), b"x\n");
}

#[test]
fn the_working_directory_is_the_callers_if_it_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(path.join("sub")).unwrap();
    let here = format!("{}\n", path.display());
    let below = format!("{}/sub\n", path.display());
    expect(&run_in(&path, &["--read", ".", "--", "pwd"]), 0, &here, "");
    expect(&run_in(&path.join("sub"), &["--write", "..", "--", "pwd"]), 0, &below, "");
    expect(&run_in(&path, &["--read", ".", "--cwd", "sub", "--", "pwd"]), 0, &below, "");
    let output =
        run_in(&path, &["--read", "sub", "--", "sh", "-c", "[ \"$PWD\" = \"$HOME\" ] && echo w"]);
    expect(&output, 0, "w\n", "");
}

#[test]
fn a_program_named_by_path_is_the_callers() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    let file = path.join("hello");
    fs::write(&file, "#!/bin/sh\necho hello $1\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    expect(&run_in(&path, &["--", "./hello", "you"]), 0, "hello you\n", "");
}

#[test]
fn files_are_copied_into_the_workspace() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("from"), "content").unwrap();
    let output = run_in(dir.path(), &["--file", "a/b=from", "--", "cat", "a/b"]);
    expect(&output, 0, "content", "");
}

#[test]
fn connections_need_a_grant() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}", address.port());
    let args = ["--", "bash", "-c", &script];
    assert_ne!(code(&run(&args)), 0);
    let endpoint = address.to_string();
    let granted = [&["--connect", &endpoint][..], &args].concat();
    expect(&run(&granted), 0, "", "");
    let other = [&["-v", "--connect", "127.0.0.2:*"][..], &args].concat();
    let output = run(&other);
    assert_eq!(code(&output), 1);
    let wanted = format!("evalbox: refused: connect {address}: EACCES");
    assert!(text(&output.stderr).contains(&wanted), "{}", text(&output.stderr));
    let wanted = format!("; allowed by --connect \"{address}\"");
    assert!(text(&output.stderr).contains(&wanted), "{}", text(&output.stderr));
}

#[test]
fn refused_calls_are_told_on_request() {
    let quiet = sh("chmod 700 /etc/passwd");
    assert!(!text(&quiet.stderr).contains("evalbox:"));
    for flag in ["-v", "--report"] {
        let output = run(&[flag, "--", "chmod", "700", "/etc/passwd"]);
        let told = text(&output.stderr);
        assert!(told.contains("allowed by --write \"/etc/passwd\"\n"), "{told}");
    }
}

#[test]
fn limits_are_kept() {
    let many = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait";
    assert_ne!(code(&run(&["--tasks", "4", "--", "sh", "-c", many])), 0);
    let output = run(&["--file-size", "1K", "--", "sh", "-c", "head -c 2000 /dev/zero > x"]);
    assert_ne!(code(&output), 0);
    expect(&run(&["--open-files", "50", "--", "sh", "-c", "ulimit -n"]), 0, "50\n", "");
    expect(&run(&["--memory", "none", "--workspace", "none", "--", "true"]), 0, "", "");
}

#[test]
fn code_runs_from_a_file_and_from_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.sh"), "echo sh $1; cat").unwrap();
    fs::write(dir.path().join("b"), "#!/bin/sh\necho b\n").unwrap();
    let mut child = evalbox()
        .current_dir(dir.path())
        .args(["run", "a.sh", "--", "x"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"in").unwrap();
    expect(&child.wait_with_output().unwrap(), 0, "sh x\nin", "");
    expect(&run_in(dir.path(), &["b"]), 0, "b\n", "");

    let mut child = evalbox()
        .args(["run", "-", "--lang", "shell"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"echo code; cat; exit 4").unwrap();
    expect(&child.wait_with_output().unwrap(), 4, "code\n", "");
}

#[test]
fn python_runs_as_a_script() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    fs::write(path.join("a.py"), "import sys\nprint(sys.argv[1:], sys.stdin.read())\n6 * 7\n")
        .unwrap();
    expect(&run_in(&path, &["a.py", "--", "x", "-y"]), 0, "['x', '-y'] \n", "");
    let output = run_in(&path, &["--json", "a.py"]);
    assert!(text(&output.stdout).contains(r#""value":"42""#), "{}", text(&output.stdout));
    fs::write(path.join("b.py"), "open('/etc/shadow')").unwrap();
    let output = run_in(&path, &["-v", "b.py"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("PermissionError"), "{}", text(&output.stderr));
    // The grants are the runtime's to see: what it starts outside may not be changed inside.
    let link = path.join("python3");
    std::os::unix::fs::symlink("/usr/bin/python3", &link).unwrap();
    let output = evalbox()
        .current_dir(&path)
        .env("PATH", &path)
        .args(["run", "--write", ".", "a.py"])
        .output()
        .unwrap();
    expect(&output, 125, "", "grant writing to less");
}

#[test]
fn json_has_the_output_and_how_it_ended() {
    let output = run(&["--json", "--", "sh", "-c", "printf 'a\\n\\377\"'; echo e >&2; exit 3"]);
    assert_eq!(code(&output), 3);
    let json = text(&output.stdout);
    let start = r#"{"status":"exited","exit_code":3,"signal":null,"stdout":"a\n�\"","stderr":"e\n","truncated":false,"#;
    assert!(json.starts_with(start) && json.ends_with("}}\n"), "{json}");
    assert_eq!(text(&output.stderr), "");
    let output = run(&["--json", "--output", "4", "--", "yes"]);
    assert_eq!(code(&output), 137);
    let start = r#"{"status":"output_limit","exit_code":null,"signal":9,"stdout":"y\ny\n","#;
    assert!(text(&output.stdout).starts_with(start), "{}", text(&output.stdout));
}

#[test]
fn doctor_says_that_it_works_here() {
    let output = evalbox().arg("doctor").output().unwrap();
    let table = text(&output.stdout);
    assert_eq!(code(&output), 0, "{table}");
    for name in ["Landlock", "files by path", "trial run", "daemon"] {
        assert!(table.contains(&format!("ok        {name}")), "{table}");
    }
    let output = evalbox().args(["doctor", "--json"]).output().unwrap();
    assert!(text(&output.stdout).starts_with("{\"version\":\""));
    let output = evalbox().arg("doctor").env("EVALBOX_DAEMON", "/no/such").output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stdout).contains("missing   daemon"), "{}", text(&output.stdout));
}

/// Starts a script and waits until it says `ready`.
fn start(script: &str) -> Child {
    let mut child =
        evalbox().args(["run", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    child
}

#[test]
fn signals_reach_the_program() {
    let mut child = start("echo ready; exec sleep 60");
    signal(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).code(), Some(143));

    for (name, number) in [
        ("TERM", Signal::SIGTERM),
        ("INT", Signal::SIGINT),
        ("HUP", Signal::SIGHUP),
        ("QUIT", Signal::SIGQUIT),
        ("USR1", Signal::SIGUSR1),
        ("USR2", Signal::SIGUSR2),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done"
        );
        let mut child = start(&script);
        signal(&child, number);
        read_until(child.stdout.as_mut().unwrap(), &format!("got {name}\n"));
        assert_eq!(wait(&mut child).code(), Some(7));
    }
}

#[test]
fn the_second_signal_kills() {
    let mut child =
        start("trap '' TERM INT; trap 'echo usr' USR1; echo ready; while :; do sleep 0.01; done");
    signal(&child, Signal::SIGTERM);
    // It still runs.
    signal(&child, Signal::SIGUSR1);
    read_until(child.stdout.as_mut().unwrap(), "usr\n");
    signal(&child, Signal::SIGINT);
    assert_eq!(wait(&mut child).code(), Some(137));
}

#[test]
fn ten_seconds_after_a_signal_the_program_is_killed() {
    let begun = Instant::now();
    let mut child = start("trap '' TERM; echo ready; while :; do sleep 0.1; done");
    signal(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).code(), Some(137));
    assert!(begun.elapsed() > Duration::from_secs(9));
}

#[test]
fn ignored_signals_stay_ignored() {
    let binary = env!("CARGO_BIN_EXE_evalbox");
    let script = format!(
        "trap '' HUP; exec {binary} run -- sh -c 'trap \"echo hup\" HUP; echo ready; sleep 1'"
    );
    let mut child =
        Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    signal(&child, Signal::SIGHUP);
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!((wait(&mut child).code(), &*rest), (Some(0), ""));
}

#[test]
fn nothing_is_left_when_evalbox_is_killed() {
    let mut child = start("echo $$; echo ready; exec sleep 61.25");
    signal(&child, Signal::SIGKILL);
    assert_eq!(wait(&mut child).signal(), Some(9));
    let alive = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x0061.25\0")
        })
    };
    let end = Instant::now() + PATIENCE;
    while alive() {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(10));
    }
}

/// A user at a terminal.
struct User {
    child: Child,
    master: Option<File>,
    slave: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    before: Termios,
    reader: Option<(Sender<()>, JoinHandle<()>)>,
}

/// As `openpty`, but no child of another test inherits it.
fn pair() -> (File, OwnedFd) {
    let master = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open("/dev/ptmx")
        .unwrap();
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: reads an int, takes numbers, and the kernel makes a descriptor for us.
    let slave = unsafe {
        assert_eq!(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &0), 0);
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        assert!(slave >= 0);
        OwnedFd::from_raw_fd(slave)
    };
    (master, slave)
}

impl User {
    fn run(args: &[&str]) -> Self {
        let mut command = evalbox();
        command.arg("run").args(args);
        Self::start(command, [true; 3])
    }

    /// `on`: which of the streams are the terminal; the others are as the command has them.
    fn start(mut command: Command, on: [bool; 3]) -> Self {
        let (master, slave) = pair();
        set_size(&master, 33, 77);
        let mut modes = tcgetattr(&slave).unwrap();
        // Something to be recognised by.
        modes.control_chars[nix::sys::termios::SpecialCharacterIndices::VKILL as usize] = 0x0b;
        tcsetattr(&slave, SetArg::TCSANOW, &modes).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let stream = || Stdio::from(slave.try_clone().unwrap());
        if on[0] {
            command.stdin(stream());
        }
        if on[1] {
            command.stdout(stream());
        }
        if on[2] {
            command.stderr(stream());
        }
        command.env("TERM", "vt100");
        let terminal = slave.as_raw_fd();
        // SAFETY: system calls only, on a descriptor that the child has until it executes evalbox.
        unsafe {
            command.pre_exec(move || {
                if libc::setsid() < 0 || libc::ioctl(terminal, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, seen) = (master.try_clone().unwrap(), Arc::clone(&screen));
        let (stop, stopped) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                let mut one = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
                if poll(&mut one, PollTimeout::from(20u8)) == Ok(0) {
                    continue;
                }
                let count = from.read(&mut part).unwrap_or(0);
                seen.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        Self { child, master: Some(master), slave, screen, before, reader: Some((stop, reader)) }
    }

    fn types(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn screen(&self) -> String {
        text(&self.screen.lock().unwrap())
    }

    #[track_caller]
    fn sees(&self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen().contains(wanted) {
            assert!(Instant::now() < end, "{:?} lacks {wanted:?}", self.screen());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn hangs_up(&mut self) {
        let (stop, reader) = self.reader.take().unwrap();
        drop(stop);
        reader.join().unwrap();
        self.master = None;
    }

    #[track_caller]
    fn ends(&mut self) -> i32 {
        let status = wait(&mut self.child);
        // What the reader has not seen yet.
        thread::sleep(Duration::from_millis(50));
        assert!(tcgetattr(&self.slave).unwrap() == self.before, "the terminal is as it was");
        status.code().unwrap_or_else(|| panic!("{status:?} {:?}", self.screen()))
    }

    /// The terminal's name, which the program must not get.
    fn name(&self) -> String {
        fs::read_link(format!("/proc/self/fd/{}", self.slave.as_raw_fd()))
            .unwrap()
            .display()
            .to_string()
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave)
            .unwrap()
            .local_flags
            .intersects(LocalFlags::ICANON | LocalFlags::ISIG)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_program_has_a_terminal_of_its_own() {
    let script = "tty; echo to-tty > /dev/tty; test -t 0 -a -t 1 -a -t 2 && echo $TERM; \
        ps -o tty= -p $$ 2> /dev/null; stty -a | grep -c 'kill = ^K'; exit 5";
    let mut user = User::run(&["--", "sh", "-c", script]);
    assert_eq!(user.ends(), 5);
    let screen = user.screen();
    assert!(screen.contains("/dev/pts/"), "{screen:?}");
    assert!(!screen.lines().any(|line| line.trim_end() == user.name()), "{screen:?}");
    assert!(screen.contains("to-tty\r\nvt100\r\n"), "{screen:?}");
    assert!(screen.ends_with("1\r\n"), "the modes are the user's: {screen:?}");
}

#[test]
fn the_program_can_not_reach_the_users_terminal() {
    let mut user =
        User::run(&["--", "sh", "-c", "read name; echo x > $name; cat $name; echo done"]);
    let name = user.name();
    user.types(&format!("{name}\n"));
    user.sees("done");
    assert_eq!(user.ends(), 0);
    let refusals = user.screen().matches("ermission denied").count();
    assert_eq!(refusals, 2, "{:?}", user.screen());
}

#[test]
fn the_size_follows() {
    let script = "trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.02; done";
    let mut user = User::run(&["--", "sh", "-c", script]);
    user.sees("33 77\r\n");
    set_size(user.master.as_ref().unwrap(), 44, 99);
    user.sees("44 99\r\n");
    assert_eq!(user.ends(), 0);
}

fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: reads one `struct winsize`.
    let answer = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(answer, 0);
}

#[test]
fn keys_are_the_programs() {
    let script = "trap 'echo got INT' INT; echo ready; read line; echo line:$line; cat; echo end";
    let mut user = User::run(&["--", "bash", "-c", script]);
    user.sees("ready\r\n");
    assert!(user.is_raw());
    user.types("\x03");
    user.sees("got INT\r\n");
    // The line discipline of the program's terminal edits: ^K kills the line.
    user.types("wrong\x0bright\n");
    user.sees("line:right\r\n");
    user.types("\x04");
    user.sees("end\r\n");
    assert_eq!(user.ends(), 0);
}

#[test]
fn a_shell_has_job_control() {
    let mut user = User::run(&["--", "bash", "--norc", "--noprofile", "-i"]);
    user.types("PS1='ready> '\n");
    user.sees("hready> ");
    user.types("sleep 60\n");
    thread::sleep(Duration::from_millis(300));
    user.types("\x1a");
    user.sees("Stopped");
    user.types("bg\n");
    user.sees("sleep 60 &");
    user.types("kill %1; wait; echo a$((20 + 3))b\n");
    user.sees("a23b");
    user.types("exit 6\n");
    assert_eq!(user.ends(), 6);
    let screen = user.screen();
    assert!(!screen.contains("no job control") && !screen.contains("cannot set"), "{screen:?}");
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let mut user = User::run(&["--", "sh", "-c", "stty -echo raw; echo ready; exec sleep 60"]);
    user.sees("ready");
    assert!(user.is_raw());
    signal(&user.child, Signal::SIGTERM);
    assert_eq!(user.ends(), 143);

    let mut user = User::run(&["--timeout", "0.5", "--", "sh", "-c", "echo ready; sleep 60"]);
    assert_eq!(user.ends(), 124);
    user.sees("\r\nevalbox: killed: the time limit of 0.5 s was reached (--timeout)\r\n");

    let mut user = User::run(&["--", "no-such-program"]);
    assert_eq!(user.ends(), 127);
    user.sees("evalbox: command: \"no-such-program\"");
}

#[test]
fn stopping_gives_the_terminal_back() {
    let mut user = User::run(&["--", "sh", "-c", "echo ready; read line; echo line:$line"]);
    user.sees("ready");
    assert!(user.is_raw());
    signal(&user.child, Signal::SIGTSTP);
    let end = Instant::now() + PATIENCE;
    while user.is_raw() {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(5));
    }
    signal(&user.child, Signal::SIGCONT);
    while !user.is_raw() {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(5));
    }
    user.types("x\n");
    user.sees("line:x\r\n");
    assert_eq!(user.ends(), 0);
}

#[test]
fn a_terminal_that_goes_away_ends_the_program() {
    let mut user = User::run(&["--", "sh", "-c", "echo ready; sleep 60"]);
    user.sees("ready");
    user.hangs_up();
    assert_eq!(wait(&mut user.child).code(), Some(129));
}

#[test]
fn output_alone_on_a_terminal() {
    let mut command = evalbox();
    let script = "cat; test -t 0 || echo no 0; test -t 1 && test -t 2 && echo 1 2; stty size <&1; \
        echo x > /dev/tty";
    command.args(["run", "--", "sh", "-c", script]).stdin(Stdio::piped());
    let mut user = User::start(command, [false, true, true]);
    user.child.stdin.take().unwrap().write_all(b"piped\n").unwrap();
    assert_ne!(user.ends(), 0);
    let screen = user.screen();
    assert!(screen.starts_with("piped\r\nno 0\r\n1 2\r\n33 77\r\n"), "{screen:?}");
    assert!(screen.contains("/dev/tty"), "there is none: {screen:?}");
}

#[test]
fn input_alone_from_a_terminal() {
    let mut command = evalbox();
    command
        .args(["run", "--", "sh", "-c", "test -t 0 || echo no terminal; cat"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut user = User::start(command, [true, false, false]);
    assert!(!user.is_raw());
    user.types("a\nb\n\x04");
    let mut seen = String::new();
    user.child.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    assert_eq!((user.ends(), &*seen), (0, "no terminal\na\nb\n"));
}

#[test]
fn everything_written_reaches_the_screen() {
    let mut user = User::run(&["--", "seq", "20000"]);
    assert_eq!(user.ends(), 0);
    user.sees("\r\n20000\r\n");
    let expected: String = (1..=20_000).map(|i| format!("{i}\r\n")).collect();
    assert!(user.screen() == expected);
}
