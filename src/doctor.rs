//! What this machine can do for a sandbox: [`doctor`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::client::{self, Daemon};
use crate::error::{Result, chain, errno_text};
use crate::isolation::abi::{Cover, LAYERS, NEWEST};
use crate::plan::{Plan, Word};
use crate::runtime::{self, Config};
use crate::session::Output;
use crate::sys::{landlock, seccomp};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// As it should be, or as it may be.
    Ok,
    /// Something else stands in for it, or does without.
    Degraded,
    /// Not there.
    Missing,
}

impl State {
    /// The state as one lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it, if there is something to do.
    pub remedy: Option<String>,
}

impl Entry {
    fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state, detail: detail.into(), remedy: None }
    }

    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, State::Ok, detail)
    }

    fn degraded(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, State::Degraded, detail)
    }

    fn missing(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, State::Missing, detail)
    }

    fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }
}

/// What [`doctor`] found. Prints as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doctor {
    /// Everything that was looked at.
    pub entries: Vec<Entry>,
    works: bool,
}

impl Doctor {
    /// Whether a sandbox could be made and run here. A layer that a substitute stands in for is no
    /// reason against it, nor is a language that isn't installed.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.works
    }
}

impl fmt::Display for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.works { "sandboxes work here" } else { "no sandbox can run here" };
        writeln!(f, "evalbox {}: {verdict}\n", env!("CARGO_PKG_VERSION"))?;
        let width = self.entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
        for Entry { name, state, detail, remedy } in &self.entries {
            writeln!(f, "  {:<8}  {name:<width$}  {}", state.name(), plain(detail))?;
            if let Some(remedy) = remedy {
                writeln!(f, "  {:<8}  {:<width$}  -> {}", "", "", plain(remedy))?;
            }
        }
        Ok(())
    }
}

/// Paths may hold anything.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(plain).collect()
}

/// Looks at everything that sandboxes depend on, and makes one. Never fails: what is wrong is in
/// what it returns.
///
/// ```
/// println!("{}", evalbox::doctor());
/// ```
#[must_use]
pub fn doctor() -> Doctor {
    let begun = Instant::now();
    let daemon = client::current();
    let start = begun.elapsed();
    let trial = daemon.is_ok().then(|| {
        let begun = Instant::now();
        (Plan::new(["true"]).run(), begun.elapsed())
    });
    let works = trial.as_ref().is_some_and(|(output, _)| output.as_ref().is_ok_and(Output::ok));
    let mut entries = vec![kernel()];
    let abi = landlock::abi();
    entries.push(landlock_entry(abi));
    entries.extend(layers(abi.unwrap_or(0)));
    if abi.is_ok_and(|abi| abi >= 6) {
        entries.push(signal_scope(trial.as_ref().map(|(output, _)| output.is_ok())));
    }
    entries.push(user_notification(seccomp::user_notification().err()));
    entries.push(killable_waits(seccomp::wait_killable()));
    entries.extend(daemon.as_ref().ok().map(|daemon| pidfd_getfd(daemon.hello.pidfd_getfd)));
    let read = |path: &str| std::fs::read_to_string(path).ok();
    entries.push(ptrace_scope(read("/proc/sys/kernel/yama/ptrace_scope").as_deref()));
    entries.push(cgroup(&read("/proc/self/cgroup").unwrap_or_default()));
    entries.push(user_namespaces());
    let status = read("/proc/self/status").unwrap_or_default();
    entries.push(container());
    entries.push(own_filter(&status));
    entries.push(capabilities(&status));
    entries.push(daemon_entry(&daemon, start));
    entries.extend(trial.map(|(output, time)| trial_run(&output, time)));
    entries.extend(runtimes());
    Doctor { entries, works }
}

fn kernel() -> Entry {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let release = release.as_deref().map_or("of unknown release", str::trim);
    let arch = std::env::consts::ARCH;
    match crate::isolation::filter::Arch::native() {
        Some(_) => Entry::ok("kernel", format!("Linux {release}, {arch}")),
        None => Entry::missing("kernel", format!("Linux {release}, {arch}: no filter for it"))
            .remedy("evalbox knows the system calls of x86_64 and aarch64"),
    }
}

fn landlock_entry(abi: Result<u32, Errno>) -> Entry {
    match abi {
        Ok(abi @ 1..) if abi > NEWEST => {
            Entry::ok("Landlock", format!("ABI {abi}, used as ABI {NEWEST}"))
        }
        Ok(abi @ 1..) => Entry::ok("Landlock", format!("ABI {abi}")),
        other => {
            let errno = other.err().unwrap_or(Errno::EOPNOTSUPP);
            Entry::missing("Landlock", errno_text(errno as i32)).remedy(match errno {
                Errno::EOPNOTSUPP => "boot with lsm=landlock before the other modules",
                Errno::EPERM => {
                    "a seccomp filter around this process refuses it: allow \
                    landlock_create_ruleset, landlock_add_rule and landlock_restrict_self"
                }
                _ => "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK",
            })
        }
    }
}

/// What keeps each thing from the program on a kernel of this ABI.
fn layers(abi: u32) -> impl Iterator<Item = Entry> {
    LAYERS.iter().filter(move |_| abi > 0).map(move |layer| match layer.cover(abi) {
        Cover::Landlock => Entry::ok(layer.name, "kept by Landlock"),
        Cover::Substitute(substitute) => Entry::degraded(
            layer.name,
            format!("{substitute} (Landlock keeps it from ABI {})", layer.needs),
        ),
    })
}

/// Each sandbox proves it before it starts, so a run is the proof.
fn signal_scope(started: Option<bool>) -> Entry {
    match started {
        Some(true) => Entry::ok("signal scope", "proved by the trial run"),
        _ => Entry::degraded("signal scope", "not proved: no trial run"),
    }
}

fn user_notification(wrong: Option<Errno>) -> Entry {
    match wrong {
        None => Entry::ok("seccomp user notification", "the guard is asked about calls"),
        Some(errno) => Entry::missing("seccomp user notification", errno_text(errno as i32))
            .remedy("Linux 5.9 or newer with CONFIG_SECCOMP_FILTER"),
    }
}

fn killable_waits(there: bool) -> Entry {
    if there {
        return Entry::ok("WAIT_KILLABLE_RECV", "signals don't interrupt a call that is judged");
    }
    Entry::degraded("WAIT_KILLABLE_RECV", "a signal makes a call that is judged begin again")
        .remedy("Linux 5.19 or newer")
}

fn pidfd_getfd(there: bool) -> Entry {
    if there {
        return Entry::ok("pidfd_getfd", "the guard connects the program's own sockets");
    }
    Entry::degraded("pidfd_getfd", "refused here: the guard makes the program's sockets itself")
        .remedy("allow pidfd_getfd in the seccomp profile of the container")
}

fn ptrace_scope(text: Option<&str>) -> Entry {
    let name = "Yama ptrace_scope";
    match text.map(str::trim) {
        None => Entry::ok(name, "no Yama"),
        Some(scope @ ("0" | "1")) => Entry::ok(name, scope),
        Some(scope) => Entry::degraded(
            name,
            format!(
                "{scope}: the guard can't read the program's memory, so the calls it performs \
                for the program fail (connect, chmod and their like)"
            ),
        )
        .remedy("sysctl kernel.yama.ptrace_scope=1"),
    }
}

/// For information: limits on a tree are kept by the guard and the meter.
fn cgroup(own: &str) -> Entry {
    let name = "cgroup v2 delegation";
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Entry::ok(name, "no cgroup v2; limits are kept by rlimits and by sampling");
    };
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let there = |root: &&&str| Path::new(root).join("cgroup.controllers").exists();
    let Some(root) = roots.iter().find(there) else {
        return Entry::ok(name, "not mounted; limits are kept by rlimits and by sampling");
    };
    let dir = Path::new(root).join(path);
    let controllers = std::fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let lacking: Vec<_> = ["memory", "pids"]
        .into_iter()
        .filter(|wanted| !controllers.split_whitespace().any(|c| c == *wanted))
        .collect();
    let writable = access(&dir, AccessFlags::W_OK).is_ok()
        && access(&dir.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
    let dir = dir.display();
    Entry::ok(
        name,
        match (writable, lacking.as_slice()) {
            (true, []) => format!("{dir} is writable and has memory and pids"),
            (false, _) => {
                format!("{dir} is not writable; limits are kept by rlimits and by sampling")
            }
            (true, some) => format!("{dir} is writable, without {}", some.join(" and ")),
        },
    )
}

/// For information: they are not used.
fn user_namespaces() -> Entry {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    let off = if is("/proc/sys/user/max_user_namespaces", "0") {
        Some("user.max_user_namespaces=0")
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        Some("kernel.unprivileged_userns_clone=0")
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        Some("kernel.apparmor_restrict_unprivileged_userns=1")
    } else {
        None
    };
    let detail = off.map_or("available".to_owned(), |why| format!("restricted ({why})"));
    Entry::ok("unprivileged user namespaces", detail + "; evalbox doesn't need them")
}

fn container() -> Entry {
    let marks = [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")];
    let marked = marks.iter().find(|(path, _)| Path::new(path).exists()).map(|(_, name)| *name);
    let named = || std::env::var("container").ok().filter(|name| !name.is_empty());
    let found = marked.map(str::to_owned).or_else(named);
    let kubernetes = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    Entry::ok(
        "container",
        match found {
            Some(name) if kubernetes => format!("{name}, in Kubernetes"),
            Some(name) => name,
            None if kubernetes => "Kubernetes".into(),
            None => "none seen".into(),
        },
    )
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn own_filter(status: &str) -> Entry {
    let name = "seccomp filter around this process";
    match (field(status, "Seccomp"), field(status, "Seccomp_filters")) {
        (Some("2"), Some(count)) => Entry::ok(name, format!("yes ({count})")),
        (Some("2"), None) => Entry::ok(name, "yes"),
        _ => Entry::ok(name, "none"),
    }
}

fn capabilities(status: &str) -> Entry {
    let set = |name| field(status, name).and_then(|set| u64::from_str_radix(set, 16).ok());
    let name = "capabilities of this process";
    match set("CapEff") {
        None => Entry::ok(name, "unknown"),
        Some(0) => Entry::ok(name, "none"),
        Some(held) => {
            let count = held.count_ones();
            Entry::ok(name, format!("{count} ({held:#x}); the daemon gives all of them up"))
        }
    }
}

fn daemon_entry(daemon: &Result<Arc<Daemon>>, start: Duration) -> Entry {
    match daemon {
        Ok(daemon) => {
            let path = std::fs::canonicalize(&daemon.path);
            let path = path.as_deref().unwrap_or(&daemon.path).display();
            let version = crate::daemon::VERSION;
            Entry::ok("daemon", format!("{path}, version {version}, there in {}", millis(start)))
        }
        Err(error) => Entry::missing("daemon", chain(error)),
    }
}

fn trial_run(output: &Result<Output>, time: Duration) -> Entry {
    match output {
        Ok(output) if output.ok() => Entry::ok("trial run", format!("true, {}", millis(time))),
        Ok(output) => Entry::missing("trial run", format!("true ended with {:?}", output.status)),
        Err(error) => Entry::missing("trial run", chain(error)),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// What there is to run code with: the languages, then what no language uses yet.
fn runtimes() -> Vec<Entry> {
    let languages = runtime::NAMES.iter().map(|name| {
        let plan = runtime::by_name(name).and_then(|language| language.plan(b"", &Config::new()));
        match plan.as_ref().map(|plan| plan.argv.first()) {
            Ok(Some(Word::Text(path))) => Entry::ok(*name, String::from_utf8_lossy(path)),
            Ok(_) => Entry::ok(*name, "there"),
            Err(error) => Entry::missing(*name, chain(error)),
        }
    });
    let others = ["node", "rustc", "go"].map(|name| match in_path(name) {
        Some(path) => Entry::ok(name, path.display().to_string()),
        None => Entry::missing(name, "not in PATH"),
    });
    languages.chain(others).collect()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_name_their_substitutes() {
        for abi in 1..=NEWEST {
            for (entry, layer) in layers(abi).zip(LAYERS) {
                let expected = if abi >= layer.needs { State::Ok } else { State::Degraded };
                assert_eq!(entry.state, expected, "{} at {abi}", layer.name);
                assert_eq!(entry.detail.contains(layer.substitute), abi < layer.needs);
            }
        }
        assert_eq!(layers(0).count(), 0);
        assert_eq!(landlock_entry(Ok(0)).state, State::Missing);
        assert_eq!(landlock_entry(Err(Errno::ENOSYS)).state, State::Missing);
        assert!(landlock_entry(Ok(99)).detail.contains(&format!("used as ABI {NEWEST}")));
    }

    #[test]
    fn a_strict_yama_is_degraded() {
        assert_eq!(ptrace_scope(None).state, State::Ok);
        assert_eq!(ptrace_scope(Some("1\n")).state, State::Ok);
        assert_eq!(ptrace_scope(Some("2\n")).state, State::Degraded);
    }

    #[test]
    fn the_table_is_one_line_for_each_thing() {
        let entries =
            vec![Entry::ok("a", "b\n\x1b[0m"), Entry::missing("long name", "c").remedy("d")];
        let text = Doctor { entries, works: false }.to_string();
        assert_eq!(text.lines().count(), 5);
        assert!(!text.contains('\x1b'));
        assert!(text.contains("  ok        a          b"), "{text}");
        assert!(text.contains("                       -> d"), "{text}");
    }

    #[test]
    fn the_process_status_is_read() {
        let status = "CapEff:\t0000000000000000\nSeccomp:\t2\nSeccomp_filters:\t3\n";
        assert_eq!(capabilities(status).detail, "none");
        assert_eq!(own_filter(status).detail, "yes (3)");
        assert!(capabilities("CapEff:\t3\n").detail.starts_with("2 (0x3)"));
    }
}
