//! Shell scripts in the sandbox.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use evalbox::error::RuntimeError;
use evalbox::{Config, Error, Output, Status, shell};

fn run(script: &str) -> Output {
    shell::run(script, &Config::new()).unwrap()
}

#[test]
fn scripts_run() {
    let output = run("echo hello; echo oops >&2; exit 3");
    assert_eq!(
        (output.stdout_text().as_str(), output.stderr_text().as_str()),
        ("hello\n", "oops\n")
    );
    assert_eq!(output.status, Status::Exited(3));
    assert!(run("").ok());
    assert_eq!(run("kill -9 $$").status, Status::Signaled(9));
    assert_eq!(run("x=(a b); echo ${x[1]} ${BASH_VERSION:+bash}").stdout_text(), "b bash\n");
    assert_eq!(run("printf '\u{e9}\u{1F40D}'").stdout_text(), "\u{e9}\u{1F40D}");
    assert_eq!(
        run("for i in 1 2 3; do echo $i; done | sort -r | tr '\\n' ' '").stdout_text(),
        "3 2 1 "
    );
    assert_eq!(run("cat <<END\n$((6 * 7))\nEND").stdout_text(), "42\n");
    assert_eq!(evalbox::runtime::run("shell", "echo x", &Config::new()).unwrap().stdout, b"x\n");
}

#[test]
fn messages_have_a_friendly_name() {
    let output = run("echo $0\nno-such-command");
    assert_eq!(output.stdout_text(), "main.sh\n");
    assert_eq!(output.stderr_text(), "main.sh: line 2: no-such-command: command not found\n");
    assert_eq!(output.exit_code(), Some(127));
    let output = run("true\nif then\n");
    assert!(output.stderr_text().starts_with("main.sh: line 2: syntax error"), "{output:?}");
    let output = shell::run("no-such-command", &Config::new().interpreter("/bin/sh")).unwrap();
    assert!(output.stderr_text().starts_with("main.sh: "), "{output:?}");
}

#[test]
fn arguments_input_files_and_environment() {
    let config = Config::new().arg("a b").arg("").arg("$HOME").stdin("line 1\nline 2\n");
    let output = shell::run("echo $#; printf '[%s]' \"$@\"; cat", &config).unwrap();
    assert_eq!(output.stdout_text(), "3\n[a b][][$HOME]line 1\nline 2\n");
    let config = Config::new()
        .file("lib.sh", "greet() { echo hi $1; }")
        .file("main.sh", "echo theirs")
        .env("WHO", "you")
        .collect("out");
    let output = shell::run(". ./lib.sh; greet $WHO > out; sh main.sh", &config).unwrap();
    assert_eq!(output.files[Path::new("out")], b"hi you\n");
    assert_eq!(output.stdout_text(), "theirs\n");
    let output = run("env | cut -d= -f1 | sort | tr '\\n' ' '");
    assert_eq!(output.stdout_text(), "HOME LANG PATH PWD SHLVL TMPDIR _ ");
}

#[test]
fn a_working_directory_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("main.sh"), "echo not this").unwrap();
    let config = Config::new().write(dir.path()).cwd(dir.path());
    let output = shell::run("echo made > file; pwd; echo ${0##*/}", &config).unwrap();
    let there = fs::canonicalize(dir.path()).unwrap();
    assert_eq!(output.stdout_text(), format!("{}\nmain.sh\n", there.display()));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"made\n");
}

#[test]
fn nothing_outside_the_grants() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "s").unwrap();
    let path = dir.path().display();
    let output = run(&format!("cat {path}/secret; ls {path}; echo x > {path}/new; ls ~root"));
    assert_eq!(output.stdout, b"");
    assert_eq!(output.stderr_text().matches("Permission denied").count(), 4, "{output:?}");
}

#[test]
fn limits_hold() {
    let output =
        shell::run("echo start; sleep 100", &Config::new().timeout(Duration::from_secs(1)))
            .unwrap();
    assert_eq!((output.status, output.stdout.as_slice()), (Status::TimedOut, &b"start\n"[..]));
    let large = format!("{}\necho end", "# a comment\n".repeat(100_000));
    assert_eq!(run(&large).stdout, b"end\n");
    // Whatever the shell makes of them, they are not an error of ours.
    for odd in [&b"echo \0 x\n"[..], b"\xff\xfe\n", b"\0\0\0"] {
        shell::run(odd, &Config::new()).unwrap();
    }
}

#[test]
fn the_shell_can_be_chosen() {
    let output =
        shell::run("echo ${BASH_VERSION:-none}", &Config::new().interpreter("sh")).unwrap();
    let is_bash = fs::canonicalize("/bin/sh").unwrap().ends_with("bash");
    assert_eq!(output.stdout_text() == "none\n", !is_bash);
    let error = shell::run("", &Config::new().interpreter("/no/such/shell")).unwrap_err();
    assert!(matches!(error, Error::Runtime(RuntimeError::NotFound { .. })));
    let text = error.to_string();
    assert!(text.contains("/no/such/shell") && text.contains("apt install"), "{text}");
}
