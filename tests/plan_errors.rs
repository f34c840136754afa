//! Every bad input through the real path, and every odd but good one: what the error names, and
//! that bytes come out as they went in.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use evalbox::error::{LaunchError, Machine, PlanError, SessionError, Unavailable};
use evalbox::{Error, Event, Executor, Limits, Plan, Sink, Status, Stdin};

#[test]
fn host_role() {
    play(&[
        ("no_daemon", no_daemon),
        ("strange_daemon", strange_daemon),
        ("unwritable_tmp", unwritable_tmp),
        ("full_tmp", full_tmp),
    ]);
}

#[track_caller]
fn fails(plan: &Plan) -> Error {
    match plan.run() {
        Ok(output) => panic!("it ran: {output:?}"),
        Err(error) => error,
    }
}

fn file(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> &Path {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    path
}

// ---------------------------------------------------------------------------------------------
// Grants

#[test]
fn a_missing_grant_is_named_with_its_field() {
    let tmp = temp();
    let missing = tmp.path().join("not here");
    let plan = || Plan::new(["true"]);
    for (field, plan) in [
        ("read", plan().read(&missing)),
        ("write", plan().write(&missing)),
        ("execute", plan().execute(&missing)),
    ] {
        match fails(&plan) {
            Error::Plan(PlanError::Path { field: found, path, errno }) => {
                assert_eq!((found.as_ref(), errno), (field, libc::ENOENT));
                assert_eq!(path, format!("{:?}", missing.to_str().unwrap()));
            }
            other => panic!("{field}: {other:?}"),
        }
        let message = fails(&plan).to_string();
        assert!(message.starts_with(field) && message.contains("ENOENT"), "{message}");
    }
    // Below a file, and a loop.
    let inside = file(&tmp.path().join("file"), "", 0o644).join("below");
    assert!(fails(&plan().read(&inside)).to_string().contains("ENOTDIR"));
    symlink("loop", tmp.path().join("loop")).unwrap();
    assert!(fails(&plan().read(tmp.path().join("loop"))).to_string().contains("ELOOP"));
}

#[test]
fn no_write_grant_leads_into_the_kernels_file_systems() {
    let tmp = temp();
    let mut targets = vec!["/proc", "/proc/self", "/sys", "/sys/kernel", "/dev", "/"];
    targets.extend(["/sys/fs/cgroup"].iter().filter(|path| Path::new(path).exists()));
    for (index, target) in targets.iter().enumerate() {
        let link = tmp.path().join(format!("link{index}"));
        symlink(target, &link).unwrap();
        for path in [Path::new(target), &link] {
            match fails(&Plan::new(["true"]).write(path)) {
                Error::Plan(PlanError::Forbidden { field, .. }) => assert_eq!(field, "write"),
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }
    // A link to what may be written is fine.
    fs::create_dir(tmp.path().join("dir")).unwrap();
    symlink("dir", tmp.path().join("good")).unwrap();
    let plan =
        sh("echo x > \"$0\"/file").arg(tmp.path().join("good")).write(tmp.path().join("good"));
    good(&plan.run().unwrap());
    assert_eq!(fs::read(tmp.path().join("dir/file")).unwrap(), b"x\n");
}

#[test]
fn a_cgroup_file_system_mounted_elsewhere_is_refused_too() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut found = 0;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind)) = (fields.next(), fields.next()) else { continue };
        if kind.starts_with("cgroup") && !path.contains('\\') {
            let error = fails(&Plan::new(["true"]).write(path)).to_string();
            assert!(error.starts_with("write: "), "{error}");
            found += 1;
        }
    }
    if found == 0 {
        skip("no cgroup file system is mounted");
    }
}

// ---------------------------------------------------------------------------------------------
// Working directory

#[test]
fn a_bad_working_directory_is_named() {
    let tmp = temp();
    let missing = tmp.path().join("missing");
    let plain = tmp.path().join("plain");
    file(&plain, "", 0o644);
    for (path, errno) in [(&missing, libc::ENOENT), (&plain, libc::ENOTDIR)] {
        for command in ["true", "/bin/true"] {
            let plan = Plan::new([command]).cwd(path);
            match fails(&plan) {
                Error::Plan(PlanError::Path { field, path: found, errno: why }) => {
                    assert_eq!((field.as_ref(), why), ("cwd", errno));
                    assert_eq!(found, format!("{:?}", path.to_str().unwrap()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_working_directory_of_somebody_else_is_named() {
    if !is_root() {
        return skip("only root can make a directory that is closed to this user");
    }
    let tmp = temp();
    let closed = tmp.path().join("closed");
    fs::create_dir(&closed).unwrap();
    std::os::unix::fs::chown(&closed, Some(12_345), Some(12_345)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    // Without capabilities root is like anybody else.
    for cwd in [closed.clone(), closed.join("below")] {
        match fails(&Plan::new(["true"]).cwd(&cwd)) {
            Error::Plan(PlanError::Path { field, path, errno }) => {
                assert_eq!((field.as_ref(), errno), ("cwd", libc::EACCES));
                assert!(path.contains("closed"), "{path}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_working_directory_need_not_be_granted_but_is_not_readable_then() {
    let tmp = temp();
    file(&tmp.path().join("file"), "content\n", 0o644);
    let plan = sh("pwd; cat file; ls").cwd(tmp.path());
    let output = plan.clone().run().unwrap();
    assert!(!output.ok());
    assert_eq!(output.stdout_text(), format!("{}\n", tmp.path().display()));
    let output = plan.read(tmp.path()).run().unwrap();
    good(&output);
    assert!(output.stdout_text().ends_with("content\nfile\n"));
}

// ---------------------------------------------------------------------------------------------
// The command

#[test]
fn a_command_that_is_not_found_shows_the_path() {
    let error = fails(&Plan::new(["no-such-program-anywhere"]));
    match &error {
        Error::Launch(LaunchError::CommandNotFound { command, path }) => {
            assert_eq!(command, "\"no-such-program-anywhere\"");
            assert!(path.contains("/usr/bin:"), "{path}");
        }
        other => panic!("{other:?}"),
    }
    let error = fails(&Plan::new(["sh"]).env("PATH", "/nowhere:relative:")).to_string();
    assert!(error.contains("/nowhere:relative:"), "{error}");
    // A relative directory in PATH never counts: the program writes there.
    let plan = Plan::new(["tool"]).env("PATH", ".:bin:").file("bin/tool", "#!/bin/sh\n");
    assert!(matches!(fails(&plan), Error::Launch(LaunchError::CommandNotFound { .. })));
    // With a slash it is no matter of PATH.
    match fails(&Plan::new(["/no/such/program"])) {
        Error::Launch(LaunchError::Exec { path, errno }) => {
            assert_eq!((path.as_str(), errno), ("\"/no/such/program\"", libc::ENOENT));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_executed_is_named_with_the_reason() {
    let tmp = temp();
    let at = |name: &str| tmp.path().join(name);
    // A program of a machine that nobody has (e_machine 0xfefe), otherwise in good order.
    let mut elf = fs::read("/bin/true").unwrap();
    elf[18..20].copy_from_slice(&[0xfe, 0xfe]);
    fs::create_dir(at("directory")).unwrap();
    let nothing = Path::new("/dev/null");
    let cases = [
        (at("directory"), "it is a directory"),
        (nothing.to_owned(), "it is not a regular file"),
        (file(&at("no-x"), "#!/bin/sh\n", 0o644).to_owned(), "no execute permission"),
        (
            file(&at("no-interpreter"), "#!/no/such/sh -e\n", 0o755).to_owned(),
            "\"/no/such/sh\" does not exist",
        ),
        (file(&at("text"), "just text\n", 0o755).to_owned(), "neither a program nor a script"),
        (file(&at("no-shebang"), "echo hello\n", 0o755).to_owned(), "#!/bin/sh"),
        (file(&at("empty"), "", 0o755).to_owned(), "neither a program nor a script"),
        (file(&at("other-machine"), &elf, 0o755).to_owned(), "built for this machine"),
        (file(&at("short-elf"), &elf[..40], 0o755).to_owned(), "built for this machine"),
        (
            file(&at("no-loader"), without_loader(), 0o755).to_owned(),
            "loader it names does not exist",
        ),
    ];
    for (path, reason) in cases {
        let error = fails(&Plan::new([&path]));
        let name = path.to_str().unwrap();
        match &error {
            Error::Launch(LaunchError::NotExecutable { path, .. }) => assert!(path.contains(name)),
            other => panic!("{name}: {other:?}"),
        }
        let message = error.to_string();
        assert!(message.starts_with("command: ") && message.contains(reason), "{message}");
    }
}

/// A program whose dynamic loader isn't there.
fn without_loader() -> Vec<u8> {
    let mut elf = fs::read("/bin/true").unwrap();
    let at = elf.windows(5).position(|window| window == b"/lib6" || window == b"/lib/").unwrap();
    elf[at..at + 5].copy_from_slice(b"/none");
    elf
}

#[test]
fn a_program_outside_every_grant_is_refused_unless_the_plan_names_it() {
    let tmp = temp();
    let script = file(&tmp.path().join("script"), "#!/bin/sh\necho ran\n", 0o755).to_owned();
    // Named by the plan, it is approved by the plan.
    let output = Plan::new([&script]).run().unwrap();
    assert_eq!(output.stdout_text(), "ran\n");
    let plan = Plan::new(["script"]).env("PATH", tmp.path());
    let error = fails(&plan);
    assert!(matches!(error, Error::Launch(LaunchError::NotExecutable { .. })), "{error:?}");
    assert!(error.to_string().contains("execute grant"), "{error}");
    assert_eq!(plan.execute(tmp.path()).run().unwrap().stdout_text(), "ran\n");
}

#[test]
fn an_interpreter_outside_every_grant_is_named() {
    let tmp = temp();
    let interpreter = tmp.path().join("interpreter");
    fs::copy("/bin/sh", &interpreter).unwrap();
    let script = tmp.path().join("script");
    file(&script, format!("#!{}\necho ran\n", interpreter.display()), 0o755);
    let error = fails(&Plan::new([&script])).to_string();
    assert!(error.contains(interpreter.to_str().unwrap()), "{error}");
    assert!(error.contains("execute"), "{error}");
    let output = Plan::new([&script]).execute(&interpreter).run().unwrap();
    assert_eq!(output.stdout_text(), "ran\n");
}

#[test]
fn a_command_in_the_workspace_runs() {
    let plan = Plan::new(["bin/tool", "word"]).file("bin/tool", "#!/bin/sh\necho \"$1\"\n");
    // Files are data until something makes them more.
    let error = fails(&plan).to_string();
    assert!(error.contains("no execute permission"), "{error}");
    let output =
        sh("chmod +x bin/tool; bin/tool word").file("bin/tool", "#!/bin/sh\necho \"$1\"\n").run();
    assert_eq!(output.unwrap().stdout_text(), "word\n");
    let output =
        Plan::new(["cat"]).workspace_arg("dir/file").file("dir/file", "data").run().unwrap();
    assert_eq!(output.stdout_text(), "data");
}

// ---------------------------------------------------------------------------------------------
// Files

#[test]
fn files_that_the_workspace_cannot_hold_are_named() {
    let plan = || Plan::new(["true"]);
    let long = "x".repeat(256);
    for plan in [plan().file(&long, ""), plan().file(format!("dir/{long}/file"), "")] {
        match fails(&plan) {
            Error::Plan(PlanError::TooLarge { field, size: 256, limit: 255, .. }) => {
                assert_eq!(field, "files");
            }
            other => panic!("{other:?}"),
        }
    }
    // A file where a directory must be.
    match fails(&plan().file("a", "").file("a/b", "")) {
        Error::Launch(LaunchError::File { path, errno }) => {
            assert_eq!((path.as_str(), errno), ("\"a/b\"", libc::ENOTDIR));
        }
        other => panic!("{other:?}"),
    }
    match fails(&plan().file("a/b", "").file("a", "")) {
        Error::Launch(LaunchError::File { path, errno }) => {
            assert_eq!((path.as_str(), errno), ("\"a\"", libc::EEXIST));
        }
        other => panic!("{other:?}"),
    }
    // The longest names that there may be.
    let name = "n".repeat(255);
    let deep = format!("{}/leaf", ["d"; 1_000].join("/"));
    let output =
        plan().file(&name, "1").file(&deep, "2").collect(&name).collect(&deep).run().unwrap();
    good(&output);
    assert_eq!(output.files.len(), 2);
}

#[test]
fn a_file_larger_than_its_limit_is_named() {
    let limits = limits(|limits| limits.file_size = Some(1_000));
    let plan = Plan::new(["true"]).file("small", vec![0; 1_000]).file("large", vec![0; 1_001]);
    match fails(&plan.limits(limits)) {
        Error::Launch(LaunchError::File { path, errno }) => {
            assert_eq!((path.as_str(), errno), ("\"large\"", libc::EFBIG));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ten_thousand_files_are_written() {
    let mut plan = sh("find . -type f | wc -l; cat d7/f*7 | wc -c").timeout(3 * SOON);
    for number in 0..10_000 {
        plan = plan.file(format!("d{}/f{number}", number % 10), number.to_string());
    }
    let output = plan.run().unwrap();
    good(&output);
    let bytes: usize = (0..10_000).filter(|n| n % 10 == 7).map(|n: i32| n.to_string().len()).sum();
    let numbers: Vec<usize> =
        output.stdout_text().split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(numbers, [10_000, bytes]);
    let error = fails(&plan_with_one_more(plan));
    assert!(matches!(&error, Error::Plan(PlanError::TooLarge { field, .. }) if field == "files"));
}

fn plan_with_one_more(plan: Plan) -> Plan {
    plan.file("one-more", "")
}

#[test]
fn large_files_come_out_as_they_went_in() {
    let data: Vec<u8> =
        (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let plan = sh("cp in out; : > empty").file("in", data.clone());
    let output = plan.collect("out").collect("empty").collect("missing").run().unwrap();
    good(&output);
    assert_eq!(output.files.keys().collect::<Vec<_>>(), [Path::new("empty"), Path::new("out")]);
    assert!(output.files[Path::new("out")] == data);
    assert!(output.files[Path::new("empty")].is_empty());
}

#[test]
fn only_plain_files_of_the_workspace_are_collected() {
    let tmp = temp();
    file(&tmp.path().join("secret"), "CANARY", 0o644);
    let script = format!(
        "ln -s {0}/secret link; ln -s {0} dir; mkfifo fifo; mkdir plain; echo x > plain/file",
        tmp.path().display()
    );
    let mut plan = sh(&script).read(tmp.path());
    for name in ["link", "dir/secret", "fifo", "plain", "plain/file"] {
        plan = plan.collect(name);
    }
    let output = plan.run().unwrap();
    good(&output);
    assert_eq!(output.files, BTreeMap::from([("plain/file".into(), b"x\n".to_vec())]));
}

// ---------------------------------------------------------------------------------------------
// Bytes

/// Every byte but NUL and those that the place can't hold.
fn odd_bytes(without: &[u8]) -> OsString {
    let bytes: Vec<u8> = (1..=255).filter(|byte| !without.contains(byte)).collect();
    OsStr::from_bytes(&bytes).to_owned()
}

#[test]
fn arguments_and_variables_are_bytes() {
    let word = odd_bytes(b"");
    let output = Plan::new(["printf", "%s"]).arg(&word).run().unwrap();
    good(&output);
    assert_eq!(output.stdout, word.as_bytes());

    let name = odd_bytes(b"=");
    let output = Plan::new(["env", "-0"]).env(&name, &word).run().unwrap();
    good(&output);
    let wanted = [name.as_bytes(), b"=", word.as_bytes()].concat();
    assert!(output.stdout.split(|byte| *byte == 0).any(|entry| entry == wanted));

    let output =
        Plan::new(["sh", "-c", "printf '<%s>' \"$@\"", "sh", "", " ", "\n", "\u{fffd}", "-"]);
    assert_eq!(output.run().unwrap().stdout_text(), "<>< ><\n><\u{fffd}><->");
}

#[test]
fn paths_are_bytes() {
    let tmp = temp();
    // A name of at most 255 bytes, without a slash.
    let name = odd_bytes(b"/");
    let dir = tmp.path().join(&name);
    fs::create_dir(&dir).unwrap();
    file(&dir.join(&name), "read\n", 0o644);
    // cwd, grant, argument.
    let plan = sh("pwd; cat \"$0\"; echo written > new").arg(&name);
    let output = plan.cwd(&dir).write(&dir).run().unwrap();
    good(&output);
    let wanted = [dir.as_os_str().as_bytes(), b"\nread\n"].concat();
    assert_eq!(output.stdout, wanted);
    assert_eq!(fs::read(dir.join("new")).unwrap(), b"written\n");
    // File names in and out, and a program.
    let inner = Path::new(&name).join(&name);
    let plan = sh("cat \"$0/$0\"; echo more >> \"$0/$0\"").arg(&name);
    let output = plan.file(&inner, "data\n").collect(&inner).run().unwrap();
    good(&output);
    assert_eq!(output.stdout_text(), "data\n");
    assert_eq!(output.files[&inner], b"data\nmore\n");
    let program = dir.join("program");
    fs::copy("/bin/echo", &program).unwrap();
    assert_eq!(
        Plan::new([program.as_os_str(), &name]).run().unwrap().stdout,
        [name.as_bytes(), b"\n"].concat()
    );
    // Errors show them escaped, in one line of ASCII.
    let error = fails(&Plan::new(["true"]).read(dir.join("missing"))).to_string();
    assert!(error.is_ascii() && !error.contains('\n') && error.contains("\\xff"), "{error}");
}

#[test]
fn output_is_bytes() {
    let data: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let output =
        Plan::new(["tee", "/dev/stderr"]).stdin(data.clone()).stderr_to(Sink::Capture).run();
    let output = output.unwrap();
    assert!(output.stdout == data);
}

// ---------------------------------------------------------------------------------------------
// Sizes

#[test]
fn a_large_environment_and_a_long_argument_arrive() {
    let mut plan = sh("env | wc -c; printf %s \"$0\" | wc -c");
    for number in 0..10 {
        plan = plan.env(format!("V{number}"), "x".repeat(100_000));
    }
    let output = plan.arg("y".repeat(120_000)).run().unwrap();
    good(&output);
    let numbers: Vec<usize> =
        output.stdout_text().split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert!(numbers[0] > 1_000_000);
    assert_eq!(numbers[1], 120_000);
    // The longest string that the kernel takes, and one byte more.
    let longest = 131_071;
    good(&Plan::new(["true"]).arg("y".repeat(longest)).run().unwrap());
    let error = fails(&Plan::new(["true"]).arg("y".repeat(longest + 1))).to_string();
    assert!(error.starts_with("command: one word: 131072"), "{error}");
    // More than the kernel takes in all is an error too, ours or the kernel's.
    let mut plan = Plan::new(["true"]);
    for number in 0..30 {
        plan = plan.env(format!("V{number}"), "x".repeat(100_000));
    }
    assert!(matches!(fails(&plan), Error::Plan(PlanError::TooLarge { .. })));
    let mut plan = Plan::new(["true"]);
    for number in 0..15 {
        plan = plan.env(format!("V{number}"), "x".repeat(100_000)).arg("x".repeat(100_000));
    }
    match plan.run() {
        Ok(output) => good(&output),
        Err(Error::Launch(LaunchError::Exec { errno, .. })) => assert_eq!(errno, libc::E2BIG),
        Err(Error::Plan(PlanError::TooLarge { .. })) => {}
        Err(other) => panic!("{other:?}"),
    }
}

// ---------------------------------------------------------------------------------------------
// Standard streams

fn checksum(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}

fn much() -> Vec<u8> {
    (0..64u64 << 17).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

#[test]
fn sixty_four_megabytes_go_through_cat() {
    let data = much();
    let limits = limits(|limits| limits.output = None);
    let plan = Plan::new(["cat"]).limits(limits).stdin(data.clone()).timeout(3 * SOON);
    let output = plan.run().unwrap();
    good(&output);
    assert_eq!(output.stdout.len(), data.len());
    assert_eq!(checksum(&output.stdout), checksum(&data));
}

#[test]
fn input_that_is_written_in_pieces_arrives_whole() {
    let data: Vec<u8> = much().into_iter().take(5_000_000).collect();
    let limits = limits(|limits| limits.output = None);
    let mut executor = Executor::new().unwrap();
    let plan = Plan::new(["cat"]).limits(limits).stdin_from(Stdin::Piped).timeout(3 * SOON);
    let sandbox = executor.spawn(plan).unwrap();
    let mut size = 1;
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        executor.write_stdin(sandbox, piece).unwrap();
        rest = after;
        size = size * 3 % 100_003;
    }
    executor.close_stdin(sandbox).unwrap();
    executor.close_stdin(sandbox).unwrap();
    let error = executor.write_stdin(sandbox, b"x").unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::StdinClosed)), "{error:?}");
    let output = end_of(&mut executor, sandbox).unwrap();
    assert_eq!(checksum(&output.stdout), checksum(&data));
}

#[test]
fn input_that_nobody_reads_holds_nothing_up() {
    let data = much();
    for script in
        ["exit 3", "exec <&-; exit 3", "sleep 0.3; exit 3", "head -c 10 > /dev/null; exit 3"]
    {
        let output = sh(script).stdin(data.clone()).timeout(SOON).run().unwrap();
        assert_eq!(output.status, Status::Exited(3), "{script}");
    }
    let slow = sh("sleep 600").stdin(data).timeout(Duration::from_millis(500)).run().unwrap();
    assert_eq!(slow.status, Status::TimedOut);
}

#[test]
fn writing_to_closed_input_is_an_error() {
    let mut executor = Executor::new().unwrap();
    let plan = sh("exec <&-; echo closed; sleep 600").stdin_from(Stdin::Piped).no_timeout();
    let sandbox = executor.spawn(plan).unwrap();
    hear_from(&mut executor, sandbox, "closed\n");
    let mut last = None;
    eventually("the closed input is noticed", || {
        executor.poll(Some(Duration::from_millis(5))).unwrap();
        last = executor.write_stdin(sandbox, b"data").err();
        last.is_some()
    });
    assert!(matches!(last, Some(Error::Session(SessionError::StdinClosed))), "{last:?}");
    executor.kill(sandbox).unwrap();
    assert_eq!(end_of(&mut executor, sandbox).unwrap().status, Status::Killed);
    // Without piped input there is nothing to write to.
    let sandbox = executor.spawn(sh("sleep 600")).unwrap();
    let error = executor.write_stdin(sandbox, b"data").unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::StdinClosed)), "{error:?}");
}

#[test]
fn a_program_may_close_its_streams() {
    for script in [
        "exec >&- 2>&-; sleep 0.2; exit 4", "exec <&- >&- 2>&-; sleep 0.2; exit 4",
        "exec >&-; echo to stderr >&2; exit 4",
    ] {
        let output = sh(script).stdin("input").run().unwrap();
        assert_eq!(output.status, Status::Exited(4), "{script}");
        assert_eq!(output.stdout_text(), "");
    }
    // One that keeps a stream open beyond the program's end does not keep the run.
    let output = sh("(sleep 600; echo late) & echo early").run().unwrap();
    assert_eq!((output.status, output.stdout_text()), (Status::Exited(0), "early\n".into()));
}

#[test]
fn streams_are_empty_by_default_and_nothing_is_lost_at_the_end() {
    let output = Plan::new(["cat"]).run().unwrap();
    assert_eq!((output.status, output.stdout.len()), (Status::Exited(0), 0));
    for _ in 0..50 {
        let output = sh("head -c 60000 /dev/zero; printf end >&2; kill -9 $$").run().unwrap();
        assert_eq!(output.status, Status::Signaled(9));
        assert_eq!((output.stdout.len(), output.stderr_text()), (60_000, "end".into()));
    }
}

#[test]
fn streams_may_be_descriptors() {
    let tmp = temp();
    file(&tmp.path().join("in"), "one\ntwo\n", 0o644);
    let open = |name: &str| -> Arc<OwnedFd> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(tmp.path().join(name));
        Arc::new(file.unwrap().into())
    };
    let (input, out, err) = (open("in"), open("out"), open("err"));
    let plan = sh("tr a-z A-Z; echo problem >&2")
        .stdin_from(Stdin::Fd(input))
        .stdout_to(Sink::Fd(out.clone()))
        .stderr_to(Sink::Fd(err));
    let output = plan.run().unwrap();
    good(&output);
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
    assert_eq!(fs::read_to_string(tmp.path().join("out")).unwrap(), "ONE\nTWO\n");
    assert_eq!(fs::read_to_string(tmp.path().join("err")).unwrap(), "problem\n");
    // The caller's descriptor is as before.
    let mut file = File::from(out.try_clone().unwrap());
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "ONE\nTWO\n");
    // The same for both, mixed with others.
    let both = open("both");
    let plan = sh("echo a; echo b >&2; echo c").stdin("x");
    let plan = plan.stdout_to(Sink::Fd(both.clone())).stderr_to(Sink::Fd(both));
    good(&plan.run().unwrap());
    assert_eq!(fs::read_to_string(tmp.path().join("both")).unwrap(), "a\nb\nc\n");
    let plan = sh("cat; echo err >&2").stdin("data").stderr_to(Sink::Fd(open("err2")));
    assert_eq!(plan.run().unwrap().stdout_text(), "data");
    assert_eq!(fs::read_to_string(tmp.path().join("err2")).unwrap(), "err\n");
}

#[test]
fn a_pipe_from_the_caller_ends_when_the_caller_closes_it() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (mut result, out) = std::io::pipe().unwrap();
    let plan = Plan::new(["wc", "-c"])
        .stdin_from(Stdin::Fd(Arc::new(reader.into())))
        .stdout_to(Sink::Fd(Arc::new(out.into())));
    let feeder = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &vec![b'x'; 300_000]).unwrap();
    });
    let output = plan.run().unwrap();
    good(&output);
    feeder.join().unwrap();
    drop(plan);
    // Nobody else holds the other end: not the guard, not the daemon.
    let mut text = String::new();
    assert!(within(SOON, || readable(&result)));
    result.read_to_string(&mut text).unwrap();
    assert_eq!(text.trim(), "300000");
}

fn readable(file: &impl AsRawFd) -> bool {
    let mut one = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure.
    unsafe { libc::poll(&mut one, 1, 0) == 1 }
}

// ---------------------------------------------------------------------------------------------
// The installation

#[test]
fn a_missing_daemon_is_named() {
    let tmp = temp();
    let daemon = |command: &mut std::process::Command| {
        command.env("EVALBOX_DAEMON", "/nonexistent");
    };
    Host::start_with("no_daemon", tmp.path(), daemon).finish();
}

fn no_daemon() {
    for error in [fails(&sh("true")), Executor::new().unwrap_err()] {
        match error {
            Error::Unavailable(Unavailable::DaemonStart { path, source }) => {
                assert_eq!(path, Path::new("/nonexistent"));
                assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
            }
            other => panic!("{other:?}"),
        }
    }
    // A mistake in the plan is found without it.
    let empty: [&str; 0] = [];
    assert!(matches!(Plan::new(empty).validate(), Err(Error::Plan(PlanError::EmptyCommand))));
    // SAFETY: no other thread looks at the environment.
    unsafe { env::remove_var("EVALBOX_DAEMON") };
    good(&sh("true").run().unwrap());
}

#[test]
fn a_daemon_that_is_none_is_named() {
    let tmp = temp();
    let script = tmp.path().join("strange");
    file(&script, "#!/bin/sh\necho hello >&3\nexec sleep 600\n", 0o755);
    let silent = tmp.path().join("silent");
    file(&silent, "#!/bin/sh\nexec 3>&-\nexec sleep 2\n", 0o755);
    let not_executable = tmp.path().join("plain");
    file(&not_executable, "", 0o644);
    for path in [Path::new("/bin/true"), Path::new("/bin/cat"), &script, &silent, &not_executable] {
        let daemon = |command: &mut std::process::Command| {
            command.env("EVALBOX_DAEMON", path);
        };
        let host = Host::start_with("strange_daemon", tmp.path(), daemon);
        let said = host.hear();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        host.finish();
        eventually("it is ended", || {
            bearing(tmp.path())
                .into_iter()
                .all(|pid| name_of(pid) != "sleep" && name_of(pid) != "cat")
        });
    }
}

fn strange_daemon() {
    let error = fails(&sh("true"));
    match &error {
        Error::Unavailable(Unavailable::DaemonVersion { .. }) => {}
        Error::Unavailable(Unavailable::DaemonStart { source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(libc::EACCES));
        }
        other => panic!("{other:?}"),
    }
    tell(error);
}

#[test]
fn a_temporary_directory_that_cannot_be_used_is_named() {
    let tmp = temp();
    let plain = tmp.path().join("plain");
    file(&plain, "", 0o644);
    let closed = tmp.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    for dir in [tmp.path().join("missing"), plain, closed] {
        Host::start("unwritable_tmp", &dir).finish();
    }
}

fn unwritable_tmp() {
    let dir = env::temp_dir();
    match fails(&sh("true")) {
        Error::Unavailable(Unavailable::Machine(Machine::Workspace { path, errno })) => {
            assert!(path.contains(dir.to_str().unwrap()), "{path}");
            assert!([libc::ENOENT, libc::ENOTDIR, libc::EACCES].contains(&errno), "{errno}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_is_told_from_other_errors() {
    let tmp = temp();
    let (source, target) = (c_path(Path::new("tmpfs")), c_path(tmp.path()));
    // SAFETY: C strings.
    let mounted = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            source.as_ptr(),
            0,
            c"size=1m,mode=1777".as_ptr().cast(),
        )
    };
    if check(mounted).is_err() {
        return skip("no right to mount a small file system");
    }
    let played = std::panic::catch_unwind(|| Host::start("full_tmp", tmp.path()).finish());
    eventually("the daemon has let go", || {
        // SAFETY: a C string.
        check(unsafe { libc::umount(target.as_ptr()) }).is_ok()
    });
    if let Err(panic) = played {
        std::panic::resume_unwind(panic);
    }
}

fn full_tmp() {
    // Files of the plan.
    match fails(&sh("true").file("fits", vec![1; 500_000]).file("large", vec![1; 800_000])) {
        Error::Launch(LaunchError::File { path, errno }) => {
            assert_eq!((path.as_str(), errno), ("\"large\"", libc::ENOSPC));
        }
        other => panic!("{other:?}"),
    }
    // The program's own.
    let output = sh("head -c 2M /dev/zero > file; echo $?").run().unwrap();
    assert!(output.stderr_text().contains("No space left"), "{output:?}");
    // A disk that is full before anything is made.
    let filler = env::temp_dir().join("filler");
    let mut file = File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4_096]).is_ok() {}
    let mut made = 0;
    while fs::create_dir(env::temp_dir().join(made.to_string())).is_ok() && made < 2_000 {
        made += 1;
    }
    match sh("echo hello").run() {
        Ok(output) => good(&output),
        Err(Error::Launch(
            LaunchError::Resources { errno, .. } | LaunchError::File { errno, .. },
        )) => {
            assert_eq!(errno, libc::ENOSPC);
        }
        Err(other) => panic!("{other:?}"),
    }
    fs::remove_file(filler).unwrap();
    // It was full, and is no longer.
    good(&sh("echo hello > file").file("data", "x").run().unwrap());
}

#[test]
fn numbers_outside_their_limits_are_named() {
    let plan = || sh("true");
    for (field, plan) in [
        ("limits.memory", plan().limits(limits(|l| l.memory = Some(1)))),
        ("limits.cpu", plan().limits(limits(|l| l.cpu = Some(Duration::ZERO)))),
        ("limits.tasks", plan().limits(limits(|l| l.tasks = Some(0)))),
        ("limits.output", plan().limits(limits(|l| l.output = Some(0)))),
        ("limits.file_size", plan().limits(limits(|l| l.file_size = Some(0)))),
        ("limits.open_files", plan().limits(limits(|l| l.open_files = 1))),
        ("limits.workspace", plan().limits(limits(|l| l.workspace = Some(1)))),
        ("timeout", plan().timeout(Duration::MAX)),
    ] {
        match fails(&plan) {
            Error::Plan(PlanError::OutOfRange { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    // The least and the most that are accepted can be run.
    good(&plan().limits(Limits::unlimited()).no_timeout().run().unwrap());
    let least = limits(|l| {
        l.memory = Some(8 << 20);
        l.cpu = Some(Duration::from_secs(1));
        l.tasks = Some(1);
        l.output = Some(1);
        l.file_size = Some(1);
        l.open_files = 8;
        l.workspace = Some(4_096);
    });
    good(&Plan::new(["/bin/true"]).limits(least).run().unwrap());
}

#[test]
fn an_executor_goes_on_after_every_failure() {
    let mut executor = Executor::new().unwrap();
    for _ in 0..20 {
        assert!(executor.run(&Plan::new(["no-such-program"])).is_err());
        let sandbox = executor.spawn(Plan::new(["/etc"])).unwrap();
        match executor.poll(Some(SOON)).unwrap() {
            Some(Event::Failed { sandbox: id, error: Error::Launch(_) }) => assert_eq!(id, sandbox),
            other => panic!("{other:?}"),
        }
        good(&executor.run(&sh("true")).unwrap());
    }
    assert_eq!(executor.active(), 0);
    assert!(executor.poll(None).unwrap().is_none());
}
