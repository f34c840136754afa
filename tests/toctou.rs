//! Races against an answer: a call is made again and again while another thread or process changes
//! what it means. Not one may win; and the same programs do win where calls are continued after they
//! were judged, so these tests can fail.

#![allow(clippy::print_stdout, reason = "what the harness shows when a test fails")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use common::temp;
use evalbox::{Decision, Executor, Limits, Operation, Plan, Policy, SyscallContext};

/// Tries of the cheap kinds. `EVALBOX_RACES` changes it.
fn tries() -> u64 {
    std::env::var("EVALBOX_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000)
}

fn programs() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toctou");
        fs::create_dir_all(&dir).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toctou");
        let build = |source: &str, name: &str, flag: &str| {
            let fresh = dir.join(format!("{name}.{}", std::process::id()));
            let status = Command::new("cc")
                .args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", flag, "-o"])
                .args([&fresh, &sources.join(source)])
                .status()
                .expect("the races need a C compiler named cc");
            assert!(status.success(), "{source}");
            fs::rename(fresh, dir.join(name)).unwrap();
        };
        build("race.c", "race", "-g0");
        build("code.c", "code-ok", "-DCODE=41");
        build("code.c", "code-no", "-DCODE=42");
        dir
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Score {
    allowed: u64,
    refused: u64,
    wins: u64,
}

/// Who says no.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Rule,
    Host,
}

fn race(kind: &str, tries: u64, by: By, executor: &mut Executor) -> Score {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    for name in ["dir_ok", "dir_no", "dir_a/t", "dir_b"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("../dir_no", dir.join("dir_b/t")).unwrap();
    fs::write(dir.join("dir_ok/file"), "").unwrap();
    fs::write(dir.join("dir_no/file"), "denied").unwrap();
    if kind.starts_with("exec") {
        fs::copy(programs().join("code-ok"), dir.join("r_ok")).unwrap();
        fs::copy(programs().join("code-no"), dir.join("r_no")).unwrap();
    } else if kind == "mkdir" {
        // Neither is there.
    } else {
        fs::write(dir.join("r_ok"), "").unwrap();
        fs::write(dir.join("r_no"), "denied").unwrap();
    }
    let listeners: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
    for listener in &listeners {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            // To the end of the test.
            for stream in listener.incoming() {
                drop(stream);
            }
        });
    }
    let free = (kind == "bind").then(|| {
        let free: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        free.iter().map(|l| l.local_addr().unwrap().port()).collect::<Vec<_>>()
    });
    let ports = free.unwrap_or(ports);
    let no_port = format!("loopback:{}", ports[1]);
    let policy = match by {
        By::Rule => Policy::new()
            .deny(Operation::Write, ["./r_no"])
            .deny(Operation::Read, ["./r_no", "./dir_no"])
            .deny(Operation::Delete, ["./dir_no"])
            .deny(Operation::Exec, ["./r_no"])
            .deny(Operation::Network, [no_port]),
        By::Host => Policy::new().ask_about([Operation::Read, Operation::Delete]),
    };
    let race = programs().join("race");
    let plan = Plan::new([race.as_os_str()])
        .arg(kind)
        .arg(tries.to_string())
        .arg(ports[0].to_string())
        .arg(ports[1].to_string())
        .read(&race)
        .write(&dir)
        .cwd(&dir)
        .connect("127.0.0.1:*")
        .bind("127.0.0.1:*")
        .limits(Limits { cpu: None, ..Limits::default() })
        .timeout(Duration::from_secs(120))
        .supervised(policy);
    let output = executor
        .run_with(&plan, |call| match call.path() {
            Some(path) if path.ends_with("r_no") || path.starts_with(dir.join("dir_no")) => {
                Decision::Deny
            }
            _ => {
                assert!(!matches!(call, SyscallContext::Exec { .. }));
                Decision::Allow
            }
        })
        .unwrap();
    assert!(output.ok(), "{kind}: {output:?}");
    let text = output.stdout_text();
    let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let score = Score { allowed: numbers[1], refused: numbers[2], wins: numbers[3] };
    println!("{kind}: {} tries, {score:?}", numbers[0]);
    score
}

/// Not one win, and both outcomes, or nothing was raced.
fn safe(kind: &str, tries: u64, by: By) {
    let score = race(kind, tries, by, &mut Executor::new().unwrap());
    assert_eq!(score.wins, 0, "{kind}: {score:?}");
    assert!(score.allowed > 0 && score.refused > 0, "{kind} raced nothing: {score:?}");
}

macro_rules! races {
    ($($test:ident $kind:literal $tries:expr;)*) => {
        $(#[test]
        fn $test() {
            safe($kind, $tries, By::Rule);
        })*
    };
}

races! {
    opening_a_file "open" tries();
    opening_a_file_for_writing "write" tries();
    deleting_a_file "unlink" tries();
    renaming_a_file "rename" tries();
    making_a_directory "mkdir" tries();
    changing_a_mode "chmod" tries();
    connecting "connect" tries();
    binding "bind" tries();
    a_path_in_memory_of_another_process "alias" tries();
    a_directory_changed_by_another_thread "cwd" tries();
    a_descriptor_replaced_by_another_thread "dirfd" tries();
    a_link_in_the_path_replaced "link" tries();
    directories_above_exchanged "ancestor" tries();
    executing_a_program "exec" tries() / 20;
    executing_from_another_thread "exec-thread" tries() / 20;
    executing_from_two_threads "exec-two" tries() / 20;
    under_a_storm_of_signals "storm" tries();
    under_a_storm_of_signals_that_restart "storm-restart" tries();
}

#[test]
fn answers_of_the_host_hold_as_well() {
    safe("open", tries() / 10, By::Host);
    safe("unlink", tries() / 10, By::Host);
    safe("link", tries() / 10, By::Host);
}

/// A path that can't be read is no path that may be opened.
#[test]
fn a_page_that_comes_and_goes() {
    let score = race("protect", tries(), By::Rule, &mut Executor::new().unwrap());
    assert_eq!((score.wins, score.allowed), (0, 0), "{score:?}");
}

#[test]
fn the_races_can_be_won() {
    for kind in ["open", "unlink", "connect", "exec", "cwd", "link"] {
        let mut executor = Executor::with_racy_continue().unwrap();
        let rounds = if kind == "exec" { tries() / 20 } else { tries() };
        let won = (0..10).any(|_| race(kind, rounds, By::Rule, &mut executor).wins > 0);
        assert!(won, "{kind} can't be won even if calls are continued: it proves nothing");
    }
}
