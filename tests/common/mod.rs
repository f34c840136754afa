//! What several test files need: waiting with a deadline, finding processes by a mark, helper
//! host processes (this binary, executed again), and Docker's filter.
#![allow(dead_code)] // each file uses its part

pub(crate) mod docker;

use std::ffi::{CString, OsStr};
use std::fmt::Display;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, thread};

use evalbox::{Event, Executor, Limits, Output, Plan, SandboxId};

/// How long something may take that takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if done() {
            return true;
        }
        if begun.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, done: impl FnMut() -> bool) {
    assert!(within(SOON, done), "not within {SOON:?}: {what}");
}

/// A test that can't be made here says so and passes.
pub(crate) fn skip(reason: impl Display) {
    println!("skipped: {reason}");
}

pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid always succeeds.
    unsafe { libc::geteuid() == 0 }
}

pub(crate) fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub(crate) fn sh(script: &str) -> Plan {
    Plan::new(["/bin/sh", "-c", script])
}

const PYTHON: &str = "/usr/bin/python3";

/// A Python program, or nothing (and a word about it) if there is no Python among the system's
/// programs.
pub(crate) fn python(script: &str) -> Option<Plan> {
    if !Path::new(PYTHON).exists() {
        skip(format_args!("no {PYTHON}"));
        return None;
    }
    // Nothing from the environment, no site packages, no files left beside the sources.
    Some(Plan::new([PYTHON, "-I", "-S", "-B", "-c", script]))
}

/// Asserts that the program ended well, and shows what it said if not.
#[track_caller]
pub(crate) fn good(output: &Output) {
    let text = output.stderr_text();
    assert!(output.ok(), "{:?}\n{}\n{text}", output.status, output.stdout_text());
}

/// Waits for the end of one sandbox.
#[track_caller]
pub(crate) fn end_of(executor: &mut Executor, sandbox: SandboxId) -> evalbox::Result<Output> {
    let end = Instant::now() + 3 * SOON;
    loop {
        match executor.poll(Some(end.saturating_duration_since(Instant::now()))).unwrap() {
            Some(
                Event::Completed { sandbox: id, output } | Event::TimedOut { sandbox: id, output },
            ) if id == sandbox => {
                return Ok(output);
            }
            Some(Event::Failed { sandbox: id, error }) if id == sandbox => return Err(error),
            Some(_) => {}
            None => panic!("no end of {sandbox:?}"),
        }
    }
}

/// Waits until a sandbox has written this to standard output (all of it since the start).
#[track_caller]
pub(crate) fn hear_from(executor: &mut Executor, sandbox: SandboxId, wanted: &str) {
    let end = Instant::now() + 3 * SOON;
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(wanted) {
        match executor.poll(Some(end.saturating_duration_since(Instant::now()))).unwrap() {
            Some(Event::Stdout { sandbox: id, data }) if id == sandbox => heard.extend(data),
            Some(Event::Stdout { .. } | Event::Stderr { .. }) => {}
            other => panic!("{wanted:?} wasn't heard, but {heard:?}, then {other:?}"),
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Processes

/// A word that nobody else uses.
pub(crate) fn mark() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("mark.{}.{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Living processes other than this one that have the mark in their environment or arguments.
pub(crate) fn bearing(mark: impl AsRef<OsStr>) -> Vec<i32> {
    let mark = mark.as_ref().as_bytes();
    let has = |path: String| {
        fs::read(path).is_ok_and(|text| text.windows(mark.len()).any(|window| window == mark))
    };
    pids()
        .filter(|pid| *pid != std::process::id() as i32)
        .filter(|pid| has(format!("/proc/{pid}/environ")) || has(format!("/proc/{pid}/cmdline")))
        .filter(|pid| is_alive(*pid))
        .collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(crate) fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

pub(crate) fn named(pids: &[i32], name: &str) -> Vec<i32> {
    pids.iter().copied().filter(|pid| name_of(*pid) == name).collect()
}

/// The daemons with this mark.
pub(crate) fn daemons(mark: impl AsRef<OsStr>) -> Vec<i32> {
    let mut found = named(&bearing(mark), "evalbox-daemon");
    // A guard has that name too until it gives itself its own.
    let all = found.clone();
    found.retain(|pid| !all.contains(&parent_of(*pid)));
    found
}

/// State and parent, from `/proc/pid/stat`.
pub(crate) fn state_of(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

pub(crate) fn is_alive(pid: i32) -> bool {
    state_of(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

pub(crate) fn parent_of(pid: i32) -> i32 {
    state_of(pid).map_or(0, |(_, parent)| parent)
}

pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    pids().filter(|pid| parent_of(*pid) == parent).collect()
}

/// The guard above a process of a sandbox.
pub(crate) fn guard_of(pid: i32) -> i32 {
    let mut pid = pid;
    while pid > 1 && name_of(pid) != "evalbox-guard" {
        pid = parent_of(pid);
    }
    assert!(pid > 1, "no guard above the process");
    pid
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(pid, signal) }).unwrap();
}

/// Resident bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    status_field(pid, "VmRSS:") * 1_024
}

pub(crate) fn threads_of(pid: u32) -> u64 {
    status_field(pid, "Threads:")
}

fn status_field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) fn open_descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

/// Whether nothing of a run is left in its workspace. The empty directory may serve another run.
pub(crate) fn is_cleared(workspace: &Path) -> bool {
    fs::read_dir(workspace).map_or(true, |mut entries| entries.next().is_none())
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

// ---------------------------------------------------------------------------------------------
// Helper processes: what needs a host of its own, to kill or to spoil

/// The test of every file that uses [`Host`] is `host_role`, which does this.
pub(crate) fn play(roles: &[(&str, fn())]) {
    let Ok(wanted) = env::var("EVALBOX_TEST_ROLE") else { return };
    let (_, role) = roles.iter().find(|(name, _)| *name == wanted).expect("a role of this file");
    role();
    tell("done");
}

/// From a helper to its test.
pub(crate) fn tell(text: impl Display) {
    // Its own line, whatever the test harness has written before.
    let mut out = std::io::stdout().lock();
    write!(out, "\n@{}\n", text.to_string().replace('\n', " / ")).unwrap();
    out.flush().unwrap();
}

/// The next line from the test, in a helper.
pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    let count = std::io::stdin().read_line(&mut line).unwrap();
    (count > 0).then(|| line.trim_end().to_owned())
}

/// A helper: this binary, executed again. Its temporary directory tells its processes apart.
pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) tmp: PathBuf,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Host {
    pub(crate) fn start(role: &str, tmp: &Path) -> Self {
        Self::start_with(role, tmp, |_| {})
    }

    pub(crate) fn start_with(role: &str, tmp: &Path, change: impl FnOnce(&mut Command)) -> Self {
        Self::start_program(&env::current_exe().unwrap(), role, tmp, change)
    }

    /// A copy of this binary, say.
    pub(crate) fn start_program(
        program: &Path,
        role: &str,
        tmp: &Path,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(["host_role", "--exact", "--nocapture", "--test-threads=1"])
            .env("EVALBOX_TEST_ROLE", role)
            .env("TMPDIR", tmp)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                match line.strip_prefix('@') {
                    Some(text) => drop(sender.send(text.to_owned())),
                    None => println!("    | {line}"),
                }
            }
        });
        Self { child, tmp: tmp.to_owned(), stdin, lines }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The next line that the helper tells.
    #[track_caller]
    pub(crate) fn hear(&self) -> String {
        self.lines.recv_timeout(6 * SOON).expect("the helper says something")
    }

    pub(crate) fn tell(&mut self, text: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{text}").unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Its daemon.
    #[track_caller]
    pub(crate) fn daemon(&self) -> i32 {
        let found = daemons(&self.tmp);
        assert_eq!(found.len(), 1, "one daemon: {found:?}");
        found[0]
    }

    /// Its processes: itself, its daemon, guards, and what runs in sandboxes.
    pub(crate) fn processes(&self) -> Vec<i32> {
        bearing(&self.tmp)
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        assert_eq!(self.hear(), "done");
        self.stdin = None;
        let status = self.wait(SOON);
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        within(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Something to do between fork and exec.
pub(crate) fn before_exec(
    command: &mut Command,
    what: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: callers make system calls only.
    unsafe { command.pre_exec(what) };
}

/// A directory that other users may look into, unlike the default.
pub(crate) fn temp() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("eb").tempdir().unwrap()
}

pub(crate) fn set_modified(path: &Path, ago: Duration) {
    let time = std::time::SystemTime::now() - ago;
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}
