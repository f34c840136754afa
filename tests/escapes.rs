//! Runs every program in `tests/payloads` twice: as it is, where its escape must work, and in a
//! sandbox, where it must not. A payload that can't escape when nothing holds it proves nothing.
//!
//! Each mode is a process of its own (this test binary, executed again by [`launch`] as
//! [`worker`]), because it needs things a test thread can't have: another user id, a seccomp
//! filter, a controlling terminal, and descriptors and variables to leak.
//!
//! * `EVALBOX_ESCAPES_ONLY=a,b` runs these payloads only.
//! * `EVALBOX_ESCAPES_STRICT=1` also fails if the machine lacks what a payload needs.
//! * `EVALBOX_UPDATE=1` rewrites `tests/payloads/README.md`.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, ptr};

#[path = "common/docker.rs"]
mod docker_profile;

use evalbox::{Limits, Plan, Status};
use tempfile::TempDir;

const ORDINARY_USER: u32 = 65534;
/// Owns the file that only a capability could open.
const FOREIGN_USER: u32 = 12345;

#[test]
fn escapes_as_current_user() {
    launch(Mode::CurrentUser);
}

#[test]
fn escapes_as_ordinary_user() {
    if is_root() {
        launch(Mode::OrdinaryUser);
    }
}

#[test]
fn escapes_under_docker_profile() {
    launch(Mode::DockerProfile);
}

#[test]
fn payload_list_is_current() {
    let path = payload_dir().join("README.md");
    let wanted = readme(&payloads());
    if env::var_os("EVALBOX_UPDATE").is_some() {
        fs::write(&path, wanted).unwrap();
    } else if fs::read_to_string(&path).unwrap_or_default() != wanted {
        panic!("{} is out of date: run this test with EVALBOX_UPDATE=1", path.display());
    }
}

/// Not a test of its own: what [`launch`] starts, told what to do by the environment.
#[test]
fn worker() {
    let Some(mode) = env::var("EVALBOX_ESCAPES_MODE").ok().and_then(|name| Mode::by_name(&name))
    else {
        return;
    };
    leak_things();
    if mode == Mode::DockerProfile {
        docker_profile::install().expect("installing the filter");
    }
    let rows = examine_all(mode);
    println!("{} payloads, {}:\n{}", rows.len(), mode.name(), table(&rows));
    let failures: Vec<_> = rows.into_iter().filter(|row| !row.problems.is_empty()).collect();
    assert!(failures.is_empty(), "{} of them failed:\n{}", failures.len(), table(&failures));
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    CurrentUser,
    OrdinaryUser,
    DockerProfile,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::CurrentUser => "current-user",
            Mode::OrdinaryUser => "ordinary-user",
            Mode::DockerProfile => "docker-profile",
        }
    }

    fn by_name(name: &str) -> Option<Mode> {
        [Mode::CurrentUser, Mode::OrdinaryUser, Mode::DockerProfile]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

// ---------------------------------------------------------------------------------------------
// Payloads and what they say about themselves

struct Payload {
    name: String,
    escape: String,
    layers: Vec<String>,
    needs: Vec<String>,
    /// Paths readable inside, beyond the usual ones.
    grants: Vec<String>,
    /// Why it doesn't run outside, if it doesn't.
    skip_outside: Option<String>,
    /// Why it may work inside, if it may.
    works_inside: Option<String>,
    /// Whether being killed counts as blocked.
    dies: bool,
    /// The proof is the file `ws/marker`, made by a process that outlives the payload.
    proof_is_marker: bool,
}

const LAYERS: &[&str] = &[
    "landlock", "seccomp", "guard", "capabilities", "rlimit", "lockdown", "memory", "tasks", "tree",
];

impl Payload {
    fn parse(path: &Path) -> Payload {
        let list =
            |value: &str| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
        let mut payload = Payload {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            escape: String::new(),
            layers: Vec::new(),
            needs: Vec::new(),
            grants: Vec::new(),
            skip_outside: None,
            works_inside: None,
            dies: false,
            proof_is_marker: false,
        };
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().map_while(|line| line.strip_prefix("// ")) {
            let (key, value) = line.split_once(": ").unwrap_or((line, ""));
            match (key, value.split_once(' ').unwrap_or((value, ""))) {
                ("escape", _) => payload.escape = value.to_owned(),
                ("layer", _) => payload.layers = list(value),
                ("needs", _) => payload.needs = list(value),
                ("grant", _) => payload.grants = list(value),
                ("outside" | "inside", ("works" | "blocked", ""))
                    if (key == "outside") == (value == "works") => {}
                ("outside", ("skip", reason)) if !reason.is_empty() => {
                    payload.skip_outside = Some(reason.to_owned())
                }
                ("inside", ("works", reason)) if !reason.is_empty() => {
                    payload.works_inside = Some(reason.to_owned())
                }
                ("dies", ("yes", "")) => payload.dies = true,
                ("proof", ("marker", "")) => payload.proof_is_marker = true,
                _ => panic!("{}: what does {line:?} mean?", path.display()),
            }
        }
        assert!(!payload.escape.is_empty(), "{} doesn't say what it tries", path.display());
        assert!(
            !payload.layers.is_empty()
                && payload.layers.iter().all(|layer| LAYERS.contains(&&**layer)),
            "{} doesn't say which layer should stop it",
            path.display()
        );
        payload
    }

    /// Whether the payload makes sense for this user at all.
    fn applies(&self) -> bool {
        self.needs.iter().all(|need| match &**need {
            "root" => is_root(),
            "user" => !is_root(),
            other => panic!("{}: unknown need {other:?}", self.name),
        })
    }

    fn stopped_by(&self, layer: &str) -> bool {
        self.layers.iter().any(|own| own == layer)
    }
}

fn payload_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads")
}

fn payloads() -> Vec<Payload> {
    let mut found: Vec<_> = fs::read_dir(payload_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| Payload::parse(&path))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn readme(payloads: &[Payload]) -> String {
    let mut text = format!(
        "# Escapes\n\n\
         {} programs, one escape a file, run by `tests/escapes.rs` outside a sandbox, where they must \
         work, and inside, where they must not. This list is generated from the comments at the top of \
         each file: `EVALBOX_UPDATE=1 cargo test --test escapes payload_list`.\n\n\
         ## Protocol\n\n\
         A payload exits with 0 if the escape worked, 1 if a call was refused, 2 if it couldn't try. Its \
         arguments are `key=value`:\n\n\
         | key | what |\n|---|---|\n\
         | `out` | directory outside every grant: `secret.txt`, `victim.txt`, `victim_dir/`, `prog`, `stream.sock`, `dgram.sock` |\n\
         | `ro` | directory that may be read: `file.txt`, `prog`, and for root `foreign.txt`, closed to it but for capabilities |\n\
         | `ws` | directory that may be written, also the working directory: `host.sock`, which is the host's |\n\
         | `tcp`, `tcp2`, `mptcp`, `udp` | ports of echo servers on the loopback interface |\n\
         | `unix`, `dgram` | unix sockets in `out` |\n\
         | `abstract` | name of an abstract unix socket |\n\
         | `vpid` | a process outside; it blocks all signals, its stdin is a pipe, its working directory `out` |\n\
         | `vstack` | address of the last page of its stack, where its environment holds a secret |\n\n\
         Comments at the top of a payload:\n\n\
         | comment | meaning |\n|---|---|\n\
         | `escape:` | what it tries |\n\
         | `layer:` | which layers should stop it: {} |\n\
         | `needs:` | `root` or `user`: runs for these only |\n\
         | `grant:` | paths readable inside, beyond the usual ones |\n\
         | `outside:` | `works`, or `skip` and why |\n\
         | `inside:` | `blocked` (default), or `works` and why that is no hole |\n\
         | `dies: yes` | being killed counts as blocked |\n\
         | `proof: marker` | it worked if a descendant that outlives it makes `ws/marker` |\n\n\
         ## List\n\n\
         | payload | tries to | stopped by | notes |\n|---|---|---|---|\n",
        payloads.len(),
        LAYERS.join(", "),
    );
    for payload in payloads {
        let mut notes = Vec::new();
        notes.extend(payload.needs.iter().map(|need| format!("{need} only")));
        notes
            .extend(payload.skip_outside.iter().map(|reason| format!("not run outside: {reason}")));
        notes.extend(payload.works_inside.iter().map(|reason| format!("works inside: {reason}")));
        let escape = payload.escape.replace('|', "\\|");
        let notes = notes.join("; ").replace('|', "\\|");
        writeln!(
            text,
            "| `{}` | {escape} | {} | {notes} |",
            payload.name,
            payload.layers.join(", ")
        )
        .unwrap();
    }
    text
}

/// Compiles what has changed and returns the directory with the programs.
fn compiled() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("payloads");
        fs::create_dir_all(&dir).unwrap();
        let modified =
            |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let newest_header = fs::read_dir(payload_dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
            .filter_map(|path| modified(&path))
            .max();
        let stale: Vec<_> = payloads()
            .into_iter()
            .map(|payload| {
                (payload_dir().join(&payload.name).with_extension("c"), dir.join(&payload.name))
            })
            .filter(|(source, program)| modified(program) < modified(source).max(newest_header))
            .collect();
        in_parallel(&stale, |(source, program)| {
            let fresh = program.with_extension(format!("new-{}", std::process::id()));
            let output = Command::new("cc")
                .args(["-O1", "-w", "-pthread", "-o"])
                .args([&fresh, source])
                .output()
                .expect("the payloads need a C compiler named cc");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} doesn't compile:\n{errors}", source.display());
            fs::rename(fresh, program).unwrap();
        });
        dir
    })
}

// ---------------------------------------------------------------------------------------------
// The process of a mode

/// Executes this binary again as [`worker`] and fails as it fails.
fn launch(mode: Mode) {
    // A program can't be executed while the fork of another thread has it open for writing.
    static STAGING: Mutex<()> = Mutex::new(());
    let staging = STAGING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    // Everything is copied to where another user can read it.
    let stage = tempfile::Builder::new().prefix("evalbox-escapes-").tempdir().unwrap();
    let at = |name: &str| stage.path().join(name);
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set_mode(stage.path(), 0o755);
    for (dir, mode) in [("bin", 0o755), ("tmp", 0o1777)] {
        fs::create_dir(at(dir)).unwrap();
        set_mode(&at(dir), mode);
    }
    for payload in payloads() {
        let program = at("bin").join(&payload.name);
        fs::copy(compiled().join(&payload.name), &program).unwrap();
        set_mode(&program, 0o755);
    }
    fs::copy(env::current_exe().unwrap(), at("escapes")).unwrap();
    set_mode(&at("escapes"), 0o755);

    let mut command = if mode == Mode::OrdinaryUser {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={ORDINARY_USER}"), format!("--regid={ORDINARY_USER}")]);
        command.arg("--clear-groups").arg(at("escapes"));
        command
    } else {
        Command::new(at("escapes"))
    };
    if let Some(daemon) = option_env!("CARGO_BIN_EXE_evalbox-daemon") {
        fs::copy(daemon, at("evalbox-daemon")).unwrap();
        set_mode(&at("evalbox-daemon"), 0o755);
        command.env("EVALBOX_DAEMON", at("evalbox-daemon"));
    }
    let report = File::create(at("report")).unwrap();
    command
        .args(["worker", "--exact", "--nocapture", "--test-threads=1"])
        .env("EVALBOX_ESCAPES_MODE", mode.name())
        .env("EVALBOX_ESCAPES_BIN", at("bin"))
        .env("HOST_SECRET", "CANARY-HOST")
        .env("TMPDIR", at("tmp"))
        .current_dir(stage.path())
        .stdin(Stdio::null())
        .stdout(report.try_clone().unwrap())
        .stderr(report);

    // The worker has a terminal, so that payloads have one to steal.
    let terminal = open_terminal().expect("a pseudo terminal");
    let slave = terminal.1.as_raw_fd();
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            libc::ioctl(slave, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    drop(staging);
    let status = wait_for(&mut child, Duration::from_secs(170));
    drop(terminal);

    let report = fs::read_to_string(at("report")).unwrap_or_default();
    println!("{report}");
    // The daemon notices the worker's end, ends its guards, and cleans up.
    let entries = || -> Vec<_> {
        fs::read_dir(at("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let mut left = entries();
    for _ in 0..100 {
        if left.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        left = entries();
    }
    let status = status.map_or("timed out".to_owned(), |status| status.to_string());
    assert!(status == "exit status: 0", "{} failed, see above: {status}", mode.name());
    assert!(left.is_empty(), "{}: left behind in TMPDIR: {left:?}", mode.name());
    stage.close().unwrap();
}

fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut master, mut slave): (RawFd, RawFd) = (-1, -1);
    // SAFETY: both descriptors are written before they are used, and then owned.
    unsafe {
        check(libc::openpty(
            &mut master,
            &mut slave,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        ))?;
        for fd in [master, slave] {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        Ok((OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)))
    }
}

/// What a careless host has lying about: an open file that isn't close-on-exec, an ignored signal.
fn leak_things() {
    let file = File::open("/dev/zero").unwrap();
    // SAFETY: plain calls on a descriptor we own; the copy is meant to stay open.
    unsafe {
        assert!(libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 700) >= 700);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
    }
}

// ---------------------------------------------------------------------------------------------
// Running and judging

/// What became of one run of a payload.
#[derive(Clone, PartialEq)]
enum Verdict {
    Worked,
    Blocked,
    CouldNotTry,
    NotRun,
    /// Neither of these, in words.
    Other(String),
}

struct Row {
    name: String,
    layers: String,
    outside: (Verdict, String),
    inside: (Verdict, String),
    problems: Vec<String>,
}

fn examine_all(mode: Mode) -> Vec<Row> {
    let only = env::var("EVALBOX_ESCAPES_ONLY").ok();
    let chosen =
        |name: &str| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name));
    let list: Vec<_> = payloads()
        .into_iter()
        .filter(|payload| payload.applies() && chosen(&payload.name))
        .collect();
    let bin = PathBuf::from(env::var_os("EVALBOX_ESCAPES_BIN").unwrap());
    in_parallel(&list, |payload| examine(payload, &bin.join(&payload.name), mode))
}

fn examine(payload: &Payload, program: &Path, mode: Mode) -> Row {
    let mut problems = Vec::new();
    // Memory in nobody's page tables is only known as a sum for the whole machine: hundreds of
    // megabytes that another one gives back at that moment would hide it.
    let _alone = payload.stopped_by("memory").then(alone);

    // Under Docker's profile much fails by the profile, which says nothing about the payload.
    let outside = match &payload.skip_outside {
        Some(reason) => (Verdict::NotRun, reason.clone()),
        None if mode == Mode::DockerProfile => (Verdict::NotRun, String::new()),
        None => run_outside(payload, program),
    };
    let strict = env::var_os("EVALBOX_ESCAPES_STRICT").is_some();
    match outside.0 {
        Verdict::Worked | Verdict::NotRun => {}
        Verdict::CouldNotTry if !strict => {}
        _ => problems.push("doesn't work outside, so it proves nothing".to_owned()),
    }

    let inside = run_inside(payload, program, &mut problems);
    match inside.0 {
        Verdict::Blocked => {}
        Verdict::Worked if payload.works_inside.is_some() => {}
        Verdict::CouldNotTry if outside.0 != Verdict::Worked => {}
        Verdict::Worked => problems.push("ESCAPED".to_owned()),
        Verdict::CouldNotTry => problems.push("wasn't tried inside".to_owned()),
        _ => problems.push("ended in another way inside".to_owned()),
    }
    if payload.works_inside.is_some() && inside.0 == Verdict::Blocked {
        problems.push("is said to work inside, but doesn't".to_owned());
    }
    Row { name: payload.name.clone(), layers: payload.layers.join(", "), outside, inside, problems }
}

/// A lock between the workers, whichever users they are.
fn alone() -> UnixListener {
    let address =
        std::os::unix::net::SocketAddr::from_abstract_name("evalbox-escapes-memory").unwrap();
    loop {
        match UnixListener::bind_addr(&address) {
            Ok(lock) => return lock,
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn verdict_of(code: i32) -> Verdict {
    match code {
        0 => Verdict::Worked,
        1 => Verdict::Blocked,
        2 => Verdict::CouldNotTry,
        other => Verdict::Other(format!("exit code {other}")),
    }
}

fn run_outside(payload: &Payload, program: &Path) -> (Verdict, String) {
    let fixture = Fixture::new();
    let errors = fixture.dir.path().join("stderr");
    let mut child = Command::new(program)
        .args(&fixture.arguments)
        .env_clear()
        .env("HOST_SECRET", "CANARY-HOST")
        .env("SSH_AUTH_SOCK", fixture.out().join("stream.sock"))
        .current_dir(fixture.ws())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&errors).unwrap()) // not a pipe, which survivors would hold open
        .spawn()
        .unwrap();
    let status = wait_for(&mut child, Duration::from_secs(20));
    let mut verdict = match status {
        None => Verdict::Other("timed out".to_owned()),
        Some(status) => match status.code() {
            Some(code) => verdict_of(code),
            None => Verdict::Other(format!("signal {}", status.signal().unwrap_or(0))),
        },
    };
    if payload.proof_is_marker && verdict == Verdict::Worked {
        let marker = fixture.ws().join("marker");
        if !within(Duration::from_secs(5), || marker.exists()) {
            verdict = Verdict::Other("no marker".to_owned());
        }
    }
    for pid in fixture.survivors() {
        // SAFETY: the process has our private directory in its arguments.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    within(Duration::from_secs(1), || fixture.survivors().is_empty());
    (verdict, last_line(&fs::read(errors).unwrap_or_default()))
}

fn run_inside(payload: &Payload, program: &Path, problems: &mut Vec<String>) -> (Verdict, String) {
    let fixture = Fixture::new();
    let before = fixture.state();
    let words = [OsString::from(program)].into_iter().chain(fixture.arguments.iter().cloned());
    let mut plan = Plan::new(words)
        .execute(program)
        .read(fixture.ro())
        .write(fixture.ws())
        .cwd(fixture.ws())
        .timeout(Duration::from_secs(10))
        .limits(Limits { memory: Some(256 << 20), tasks: Some(64), ..Limits::default() });
    for grant in &payload.grants {
        plan = plan.read(grant);
    }
    let output = match plan.run() {
        Ok(output) => output,
        Err(error) => return (Verdict::Other(format!("not run: {error:?}")), String::new()),
    };
    let counts_as_blocked = match output.status {
        Status::OutOfMemory => payload.stopped_by("memory"),
        Status::WorkspaceLimit => payload.stopped_by("rlimit"),
        Status::Signaled(libc::SIGSYS) | Status::Killed => payload.dies,
        Status::Signaled(libc::SIGKILL) => payload.dies || payload.stopped_by("memory"),
        Status::Signaled(libc::SIGXFSZ) => payload.stopped_by("rlimit"),
        _ => false,
    };
    let mut verdict = match output.status {
        _ if counts_as_blocked => Verdict::Blocked,
        Status::Exited(code) => verdict_of(code),
        ref other => Verdict::Other(format!("{other:?}")),
    };

    // Whatever the payload believes, look for ourselves.
    if !within(Duration::from_millis(100), || fixture.survivors().is_empty()) {
        problems.push(format!("survivors: {:?}", fixture.survivors()));
    }
    if payload.proof_is_marker && verdict == Verdict::Worked {
        let marker = fixture.ws().join("marker");
        let made = within(Duration::from_millis(900), || marker.exists());
        verdict = if made { Verdict::Worked } else { Verdict::Blocked };
    }
    let after = fixture.state();
    for (what, value) in &before {
        let now = after.get(what).map_or("gone", |now| now);
        if now != value {
            problems.push(format!("{what}: {value} → {now}"));
        }
    }
    problems.extend(
        after
            .keys()
            .filter(|what| !before.contains_key(*what))
            .map(|what| format!("{what} appeared")),
    );
    problems.extend(fixture.forbidden_in_workspace());
    problems.extend(fixture.contacts().into_iter().map(|server| format!("{server} was contacted")));

    let mut note = last_line(&output.stderr);
    if counts_as_blocked {
        note = format!("{:?} {note}", output.status);
    }
    (verdict, note)
}

fn table(rows: &[Row]) -> String {
    let show = |(verdict, note): &(Verdict, String)| {
        let word = match verdict {
            Verdict::Worked => "worked",
            Verdict::Blocked => "blocked",
            Verdict::CouldNotTry => "couldn't try",
            Verdict::NotRun => "not run",
            Verdict::Other(what) => what,
        };
        // The payload's own first word says the same again.
        let note = note.split_once(": ").map_or(&**note, |(_, rest)| rest);
        if note.is_empty() { word.to_owned() } else { format!("{word} ({note})") }
    };
    let mut text = String::new();
    let mut line = |cells: [&str; 4], problems: &[String]| {
        let [name, outside, inside, layers] = cells;
        writeln!(text, "{name:26} | {outside:40} | {inside:58} | {layers}").unwrap();
        for problem in problems {
            writeln!(text, "{:26} ^ {problem}", "").unwrap();
        }
    };
    line(["payload", "outside", "inside", "layer"], &[]);
    for row in rows {
        line([&row.name, &show(&row.outside), &show(&row.inside), &row.layers], &row.problems);
    }
    text
}

// ---------------------------------------------------------------------------------------------
// What payloads attack

struct Fixture {
    dir: TempDir,
    arguments: Vec<OsString>,
    servers: Servers,
    victim: Victim,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::Builder::new().prefix("f").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["out", "ro", "ws", "out/victim_dir"] {
            fs::create_dir(at(name)).unwrap();
        }
        let files = [
            ("out/secret.txt", "CANARY-SECRET\n", 0o644),
            ("out/victim.txt", "untouched\n", 0o644),
            ("out/prog", "#!/bin/sh\nexit 42\n", 0o755),
            ("ro/file.txt", "read only\n", 0o644),
            ("ro/prog", "#!/bin/sh\nexit 42\n", 0o755),
        ];
        for (name, content, mode) in files {
            fs::write(at(name), content).unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        for name in ["out/victim.txt", "ro/file.txt"] {
            set_attribute(&at(name), c"user.evalbox", b"1");
        }
        if is_root() {
            fs::write(at("ro/foreign.txt"), "CANARY-SECRET\n").unwrap();
            fs::set_permissions(at("ro/foreign.txt"), Permissions::from_mode(0o600)).unwrap();
            chown(at("ro/foreign.txt"), Some(FOREIGN_USER), Some(FOREIGN_USER)).unwrap();
        }

        let unique = dir.path().file_name().unwrap().to_str().unwrap();
        let servers = Servers::start(&at("out"), &at("ws"), unique);
        let victim = Victim::start(&at("out"));
        let mut arguments: Vec<OsString> = Vec::new();
        for name in ["out", "ro", "ws"] {
            let mut argument = OsString::from(format!("{name}="));
            argument.push(at(name));
            arguments.push(argument);
        }
        arguments.extend(servers.arguments.iter().map(OsString::from));
        arguments.push(format!("vpid={}", victim.child.id()).into());
        arguments.push(format!("vstack={:x}", victim.stack).into());
        Fixture { dir, arguments, servers, victim }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn ro(&self) -> PathBuf {
        self.dir.path().join("ro")
    }

    fn ws(&self) -> PathBuf {
        self.dir.path().join("ws")
    }

    /// Everything that a run inside must leave as it was.
    fn state(&self) -> BTreeMap<String, String> {
        let mut state = self.victim.state();
        for root in [self.out(), self.ro()] {
            walk(&root, &mut |path, metadata| {
                let name = path.strip_prefix(self.dir.path()).unwrap().display();
                let mut note =
                    |what: &str, value: String| state.insert(format!("{what} of {name}"), value);
                note("mode", format!("{:o}", metadata.mode()));
                note("owner", format!("{}:{}", metadata.uid(), metadata.gid()));
                note("links", metadata.nlink().to_string());
                note(
                    "modification time",
                    format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()),
                );
                // Changes with whatever else may change.
                note("change time", format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec()));
                if metadata.is_file() {
                    let content = fs::read(path).unwrap_or_default();
                    note("content", format!("{:?}", String::from_utf8_lossy(&content)));
                    note("attributes", attributes(path));
                }
            });
        }
        state
    }

    /// What no sandbox may leave in a workspace: it would be a weapon in somebody else's hands.
    fn forbidden_in_workspace(&self) -> Vec<String> {
        let mut found = Vec::new();
        // SAFETY: geteuid always succeeds.
        let me = unsafe { libc::geteuid() };
        walk(&self.ws(), &mut |path, metadata| {
            let kind = metadata.file_type();
            if kind.is_block_device() || kind.is_char_device() {
                found.push(format!("device {}", path.display()));
            }
            if metadata.mode() & 0o6000 != 0 {
                found.push(format!("mode {:o} on {}", metadata.mode(), path.display()));
            }
            if metadata.uid() != me {
                found.push(format!("owner {} of {}", metadata.uid(), path.display()));
            }
        });
        found
    }

    /// Processes that still run with this fixture's directory in their arguments.
    fn survivors(&self) -> Vec<i32> {
        let needle = self.dir.path().as_os_str().as_bytes();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.windows(needle.len()).any(|part| part == needle)
            })
            .collect()
    }

    /// The servers that heard from the payload.
    fn contacts(&self) -> Vec<&'static str> {
        self.servers.stop()
    }
}

/// Calls `visit` for `root` and everything below, without following symlinks.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let Ok(metadata) = fs::symlink_metadata(root) else {
        return;
    };
    visit(root, &metadata);
    if metadata.is_dir() {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            walk(&entry.path(), visit);
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Filesystems without attributes are fine: the payloads on them will say so.
fn set_attribute(path: &Path, name: &std::ffi::CStr, value: &[u8]) {
    // SAFETY: all pointers are valid for the lengths given.
    unsafe {
        libc::setxattr(c_path(path).as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
}

fn attributes(path: &Path) -> String {
    let path = c_path(path);
    let mut names = [0u8; 1024];
    // SAFETY: the buffer is as long as we say.
    let length = unsafe { libc::listxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let mut text = String::new();
    for name in
        names[..length.max(0) as usize].split(|&byte| byte == 0).filter(|name| !name.is_empty())
    {
        let mut value = [0u8; 256];
        let name = CString::new(name).unwrap();
        // SAFETY: the buffer is as long as we say.
        let length = unsafe {
            libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
        };
        let value = String::from_utf8_lossy(&value[..length.max(0) as usize]).into_owned();
        write!(text, "{}={value:?} ", name.to_string_lossy()).unwrap();
    }
    text
}

/// A process of the same user that has nothing to do with the sandbox. It blocks every signal, so
/// that one that reaches it stays pending and can be seen.
struct Victim {
    child: Child,
    pipe: OwnedFd,
    stack: u64,
}

impl Victim {
    fn start(dir: &Path) -> Victim {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"PIPE-SECRET").unwrap();
        let mut command = Command::new("/bin/sleep");
        command
            .arg("1000")
            .env_clear()
            .env("VICTIM_SECRET", "CANARY-VICTIM")
            .current_dir(dir)
            .stdin(reader.try_clone().unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                let mut all = zeroed();
                libc::sigfillset(&mut all);
                libc::sigprocmask(libc::SIG_BLOCK, &all, ptr::null_mut());
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let end = stack.split(['-', ' ']).nth(1).unwrap();
        let stack = u64::from_str_radix(end, 16).unwrap() - 4096;
        Victim { child, pipe: reader.into(), stack }
    }

    fn state(&self) -> BTreeMap<String, String> {
        let pid = self.child.id();
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{pid}/{name}"))
                .unwrap_or_else(|error| error.to_string())
        };
        let mut state = BTreeMap::new();
        let mut note = |what: &str, value: String| state.insert(format!("victim's {what}"), value);
        for line in read("status").lines() {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            if ["SigPnd", "ShdPnd", "Cpus_allowed", "TracerPid", "Uid", "Threads"].contains(&key) {
                note(key, value.trim().to_owned());
            }
        }
        for line in read("limits").lines() {
            let (what, values) = line.split_at(line.len().min(26));
            note(what.trim(), values.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        note("oom_score_adj", read("oom_score_adj"));
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Counted from the field after the name, which proc(5) numbers 3.
        for (what, number) in [("priority", 18), ("nice", 19), ("policy", 41)] {
            note(what, fields.get(number - 3).unwrap_or(&"gone").to_string());
        }
        note("being alive", (fields.first().is_some_and(|state| *state != "Z")).to_string());
        // SAFETY: plain numbers in, a number out; FIONREAD writes one int.
        unsafe {
            note("ioprio", libc::syscall(libc::SYS_ioprio_get, 1, pid).to_string());
            let mut waiting: libc::c_int = -1;
            libc::ioctl(self.pipe.as_raw_fd(), libc::FIONREAD, &mut waiting);
            note("bytes in its pipe", waiting.to_string());
        }
        state
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Echo servers of every kind on one thread, and the sound of whoever knocks.
struct Servers {
    arguments: Vec<String>,
    stopping: Arc<AtomicBool>,
    contacts: Arc<Mutex<Vec<&'static str>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Server {
    name: &'static str,
    fd: OwnedFd,
    listens: bool,
}

impl Servers {
    fn start(dir: &Path, writable: &Path, unique: &str) -> Servers {
        let mut arguments = Vec::new();
        let mut list = Vec::new();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        for name in ["tcp", "tcp2"] {
            let listener = TcpListener::bind(loopback).unwrap();
            arguments.push(format!("{name}={}", listener.local_addr().unwrap().port()));
            list.push(Server { name, fd: listener.into(), listens: true });
        }
        // A kernel without MPTCP leaves its payloads nothing to try.
        if let Ok((fd, port)) = mptcp_listener() {
            arguments.push(format!("mptcp={port}"));
            list.push(Server { name: "mptcp", fd, listens: true });
        }
        let udp = UdpSocket::bind(loopback).unwrap();
        arguments.push(format!("udp={}", udp.local_addr().unwrap().port()));
        list.push(Server { name: "udp", fd: udp.into(), listens: false });

        let path = dir.join("stream.sock");
        list.push(Server {
            name: "unix",
            fd: UnixListener::bind(&path).unwrap().into(),
            listens: true,
        });
        arguments.push(format!("unix={}", path.display()));
        let path = writable.join("host.sock");
        let listener = UnixListener::bind(&path).unwrap();
        list.push(Server { name: "host.sock", fd: listener.into(), listens: true });
        let path = dir.join("dgram.sock");
        list.push(Server {
            name: "dgram",
            fd: UnixDatagram::bind(&path).unwrap().into(),
            listens: false,
        });
        arguments.push(format!("dgram={}", path.display()));
        let name = format!("evalbox-{}-{unique}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        list.push(Server { name: "abstract", fd: listener.into(), listens: true });
        arguments.push(format!("abstract={name}"));

        let stopping = Arc::new(AtomicBool::new(false));
        let contacts = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let (stopping, contacts) = (stopping.clone(), contacts.clone());
            move || serve(list, &stopping, &contacts)
        });
        Servers { arguments, stopping, contacts, thread: Mutex::new(Some(thread)) }
    }

    /// Ends the service and says who was contacted, up to the last packet that had arrived.
    fn stop(&self) -> Vec<&'static str> {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.lock().unwrap().take() {
            thread.join().unwrap();
        }
        self.contacts.lock().unwrap().clone()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(servers: Vec<Server>, stopping: &AtomicBool, contacts: &Mutex<Vec<&'static str>>) {
    let mut clients: Vec<File> = Vec::new();
    loop {
        // Read before the poll, so that the last round sees all that came before the stop.
        let last = stopping.load(Ordering::SeqCst);
        let fds = servers
            .iter()
            .map(|server| server.fd.as_raw_fd())
            .chain(clients.iter().map(|client| client.as_raw_fd()));
        let mut polled: Vec<_> =
            fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: the array is as long as we say.
        let ready = unsafe {
            libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, if last { 0 } else { 5 })
        };
        if ready <= 0 && last {
            return;
        }
        let (at_servers, at_clients) = polled.split_at(servers.len());
        let gone: Vec<bool> = at_clients
            .iter()
            .zip(&mut clients)
            .map(|(poll, client)| {
                let mut buffer = [0; 256];
                poll.revents != 0
                    && match client.read(&mut buffer) {
                        Ok(n) if n > 0 => client.write_all(&buffer[..n]).is_err(),
                        _ => true,
                    }
            })
            .collect();
        let mut gone = gone.into_iter();
        clients.retain(|_| !gone.next().unwrap());
        for (poll, server) in at_servers.iter().zip(&servers).filter(|(poll, _)| poll.revents != 0)
        {
            contacts.lock().unwrap().push(server.name);
            if server.listens {
                // SAFETY: a descriptor just made, owned from here.
                let fd = unsafe {
                    libc::accept4(poll.fd, ptr::null_mut(), ptr::null_mut(), libc::SOCK_CLOEXEC)
                };
                if fd >= 0 {
                    // SAFETY: as above.
                    clients.push(unsafe { File::from_raw_fd(fd) });
                }
            } else {
                echo_datagram(poll.fd);
            }
        }
        if last {
            return;
        }
    }
}

fn echo_datagram(fd: RawFd) {
    let mut buffer = [0u8; 256];
    // SAFETY: all buffers are as long as we say; an unnamed peer has length 0 and gets no answer.
    unsafe {
        let mut peer: libc::sockaddr_storage = zeroed();
        let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let peer = ptr::from_mut(&mut peer).cast::<libc::sockaddr>();
        let n = libc::recvfrom(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0, peer, &mut length);
        if n > 0 && length > size_of::<libc::sa_family_t>() as libc::socklen_t {
            libc::sendto(fd, buffer.as_ptr().cast(), n as usize, libc::MSG_NOSIGNAL, peer, length);
        }
    }
}

fn mptcp_listener() -> io::Result<(OwnedFd, u16)> {
    const IPPROTO_MPTCP: libc::c_int = 262;
    // SAFETY: the address is a plain structure of the length given.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, IPPROTO_MPTCP);
        check(fd)?;
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
        let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let pointer = ptr::from_mut(&mut address).cast::<libc::sockaddr>();
        check(libc::bind(fd.as_raw_fd(), pointer, length))?;
        check(libc::listen(fd.as_raw_fd(), 16))?;
        check(libc::getsockname(fd.as_raw_fd(), pointer, &mut length))?;
        Ok((fd, u16::from_be((*pointer.cast::<libc::sockaddr_in>()).sin_port)))
    }
}

// ---------------------------------------------------------------------------------------------
// Small things

fn is_root() -> bool {
    // SAFETY: geteuid always succeeds.
    unsafe { libc::geteuid() == 0 }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a child, or kills it after the limit and returns None.
fn wait_for(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let mut status = None;
    let mut ended = || {
        status = child.try_wait().unwrap();
        status.is_some()
    };
    let start = Instant::now();
    while !ended() && start.elapsed() < limit {
        thread::sleep(Duration::from_millis(1));
    }
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().last().unwrap_or_default().to_owned()
}

/// Maps over a list on a few threads; the results keep its order.
fn in_parallel<T: Sync, R: Send>(list: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(2, |count| count.get()).clamp(2, 8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = list.get(index) else { break };
                    let result = work(item);
                    results.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
