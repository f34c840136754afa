//! `Plan` → `CheckedPlan`: every mistake that can be seen without the machine.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::paths::{NEVER_WRITABLE, WRITABLE_DEVICES};
use super::{
    Access, CheckedPlan, Confinement, FileSpec, Grant, Launch, Network, Plan, Sink, Stdin, Stream,
    Word, bytes, escape, limits, network,
};
use crate::error::{Error, PlanError};
use crate::policy::Policy;

/// `MAX_ARG_STRLEN` of the kernel: 32 pages for one string of argv or the environment.
const MAX_STRING: usize = 131_071;
/// A quarter of the usual 8 MiB stack: the kernel's limit on argv and the environment together.
const MAX_STRINGS: usize = 2_000_000;
const MAX_GRANTS: usize = 1_024;
const MAX_FILES: usize = 10_000;
const MAX_FILE_BYTES: usize = 1 << 30;

pub(super) fn validate(plan: &Plan) -> Result<CheckedPlan, Error> {
    let mut policy = plan.policy.as_ref().map(Policy::check).transpose()?;
    if let Some(policy) = &mut policy {
        policy.audit = plan.audit.is_some();
        policy.workspace = plan.cwd.as_deref().map(|path| absolute("cwd", path)).transpose()?;
        policy.home = std::env::var_os("HOME")
            .map(|home| bytes(&home))
            .filter(|home| home.first() == Some(&b'/'));
    }
    plan.limits.validate()?;
    let timeout = plan.timeout.map(limits::millis);
    // A longer time than this is a mistake in units; `no_timeout` says "for ever".
    limits::within("timeout", timeout, 1, 366 * 86_400_000, " ms")?;
    let argv = command(plan)?;
    let env = environment(plan, &argv)?;
    let confinement = Confinement {
        system: plan.system,
        grants: grants(plan, &argv)?,
        network: Network {
            connect: endpoints("connect", &plan.connect)?,
            bind: endpoints("bind", &plan.bind)?,
        },
        limits: plan.limits.clone(),
        terminal: plan.terminal,
        policy,
    };
    let cwd = plan.cwd.as_deref().map(|path| absolute("cwd", path)).transpose()?;
    let collect =
        plan.collect.iter().map(|path| inside("collect", path)).collect::<Result<_, _>>()?;
    let launch = Launch {
        argv,
        env,
        cwd,
        files: files(plan)?,
        collect,
        stdio: [stdin(&plan.stdin), sink(&plan.stdout), sink(&plan.stderr)],
        timeout: plan.timeout,
    };
    Ok(CheckedPlan {
        confinement: Arc::new(confinement),
        launch,
        stdin: plan.stdin.clone(),
        stdout: plan.stdout.clone(),
        stderr: plan.stderr.clone(),
        audit: plan.audit.clone(),
    })
}

fn command(plan: &Plan) -> Result<Vec<Word>, PlanError> {
    match plan.argv.first() {
        None => return Err(PlanError::EmptyCommand),
        Some(Word::Text(program)) if program.is_empty() => return Err(PlanError::EmptyCommand),
        _ => {}
    }
    let mut total = 0;
    for word in &plan.argv {
        let (Word::Text(text) | Word::Workspace(text)) = word;
        no_nul("command", text)?;
        at_most("command: one word", text.len(), MAX_STRING, " bytes")?;
        total += text.len() + 9;
        if let Word::Workspace(path) = word {
            inside("command", Path::new(as_os(path)))?;
        }
    }
    at_most("command", total, MAX_STRINGS, " bytes")?;
    Ok(plan.argv.clone())
}

/// Names and values.
type Variables = Vec<(Vec<u8>, Vec<u8>)>;

fn environment(plan: &Plan, argv: &[Word]) -> Result<Variables, PlanError> {
    let mut total: usize = argv.len();
    let mut checked = Vec::with_capacity(plan.env.len());
    for (name, value) in &plan.env {
        let (name, value) = (bytes(name), bytes(value));
        if name.is_empty() || name.contains(&b'=') {
            return Err(PlanError::EnvName { name: escape(&name) });
        }
        no_nul("env", &name)?;
        no_nul("env", &value)?;
        at_most("env: one variable", name.len() + value.len() + 1, MAX_STRING, " bytes")?;
        total += name.len() + value.len() + 10;
        checked.push((name, value));
    }
    at_most("env", total, MAX_STRINGS, " bytes")?;
    Ok(checked)
}

fn grants(plan: &Plan, argv: &[Word]) -> Result<Vec<Grant>, PlanError> {
    at_most("grants", plan.grants.len(), MAX_GRANTS, "")?;
    let mut list = Vec::new();
    if plan.terminal {
        list.push(Grant { path: b"/dev/tty".to_vec(), access: Access::Write, required: false });
    }
    // The program the plan names is approved by the plan, wherever it is.
    if let Some(Word::Text(program)) =
        argv.first().filter(|w| matches!(w, Word::Text(p) if p.starts_with(b"/")))
    {
        list.push(Grant { path: program.clone(), access: Access::Execute, required: false });
    }
    for (path, access) in &plan.grants {
        let field = match access {
            Access::Read => "read",
            Access::Execute => "execute",
            Access::Write => "write",
        };
        let path = absolute(field, path)?;
        if *access == Access::Write {
            writable(&path)?;
        }
        list.push(Grant { path, access: *access, required: true });
    }
    Ok(list)
}

/// Refuses write grants from which a program could reach past the sandbox. The guard looks again
/// with the path resolved.
pub(crate) fn writable(path: &[u8]) -> Result<(), PlanError> {
    let forbidden = |reason: &'static str| PlanError::Forbidden {
        field: "write".into(),
        path: escape(path),
        reason: reason.into(),
    };
    let path_text = Path::new(as_os(path));
    if path_text == Path::new("/") {
        return Err(forbidden("it holds /proc, /sys and /dev; name the directories to write"));
    }
    if WRITABLE_DEVICES.iter().any(|allowed| path_text.starts_with(allowed)) {
        return Ok(());
    }
    if NEVER_WRITABLE.iter().any(|root| path_text.starts_with(root)) {
        return Err(forbidden("writing there reaches past the sandbox"));
    }
    Ok(())
}

fn endpoints(field: &'static str, list: &[String]) -> Result<Vec<super::Endpoint>, PlanError> {
    at_most(field, list.len(), MAX_GRANTS, "")?;
    let mut all = Vec::new();
    for text in list {
        all.extend(network::parse(field, text)?);
    }
    Ok(all)
}

fn files(plan: &Plan) -> Result<Vec<FileSpec>, PlanError> {
    at_most("files", plan.files.len(), MAX_FILES, "")?;
    let mut seen = HashSet::new();
    let mut total = 0usize;
    let mut list = Vec::with_capacity(plan.files.len());
    for (path, data) in &plan.files {
        let path = inside("files", path)?;
        if !seen.insert(path.clone()) {
            return Err(PlanError::DuplicateFile { path: escape(&path) });
        }
        total = total.saturating_add(data.len());
        at_most("files", total, MAX_FILE_BYTES, " bytes")?;
        list.push(FileSpec { path, data: data.clone() });
    }
    Ok(list)
}

fn stdin(stdin: &Stdin) -> Stream {
    match stdin {
        Stdin::Null => Stream::Null,
        Stdin::Bytes(data) if data.is_empty() => Stream::Null,
        Stdin::Bytes(_) | Stdin::Piped => Stream::Pipe,
        Stdin::Fd(_) => Stream::Passed,
    }
}

fn sink(sink: &Sink) -> Stream {
    match sink {
        Sink::Capture => Stream::Pipe,
        Sink::Null => Stream::Null,
        Sink::Fd(_) => Stream::Passed,
    }
}

/// An absolute path without `..`, in its shortest spelling.
fn absolute(field: &'static str, path: &Path) -> Result<Vec<u8>, PlanError> {
    let raw = bytes(path.as_os_str());
    no_nul(field, &raw)?;
    let wrong = || PlanError::NotAbsolute { field: field.into(), path: escape(&raw) };
    if raw.first() != Some(&b'/') {
        return Err(wrong());
    }
    let mut clean = Vec::with_capacity(raw.len());
    for part in raw.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." {
            return Err(PlanError::Forbidden {
                field: field.into(),
                path: escape(&raw),
                reason: "it has '..'; give the path it leads to".into(),
            });
        }
        clean.push(b'/');
        clean.extend_from_slice(part);
    }
    if clean.is_empty() {
        clean.push(b'/');
    }
    at_most(field, clean.len(), 4_095, " bytes")?;
    Ok(clean)
}

/// A relative path that stays below its root, in its shortest spelling.
fn inside(field: &'static str, path: &Path) -> Result<Vec<u8>, PlanError> {
    let raw = bytes(path.as_os_str());
    no_nul(field, &raw)?;
    let wrong = || PlanError::Traversal { field: field.into(), path: escape(&raw) };
    if raw.first() == Some(&b'/') {
        return Err(wrong());
    }
    let mut clean = Vec::with_capacity(raw.len());
    for part in raw.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." {
            return Err(wrong());
        }
        at_most(field, part.len(), 255, " bytes in one name")?;
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(part);
    }
    if clean.is_empty() {
        return Err(wrong());
    }
    at_most(field, clean.len(), 3_000, " bytes")?;
    Ok(clean)
}

fn no_nul(field: &'static str, value: &[u8]) -> Result<(), PlanError> {
    if value.contains(&0) {
        return Err(PlanError::NulByte { field: field.into(), value: escape(value) });
    }
    Ok(())
}

fn at_most(
    field: &'static str,
    size: usize,
    limit: usize,
    unit: &'static str,
) -> Result<(), PlanError> {
    if size > limit {
        return Err(PlanError::TooLarge {
            field: field.into(),
            size: size as u64,
            limit: limit as u64,
            unit: unit.into(),
        });
    }
    Ok(())
}

fn as_os(bytes: &[u8]) -> &OsStr {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;
    use std::time::Duration;

    fn wrong(plan: Plan) -> String {
        plan.validate().expect_err("must be refused").to_string()
    }

    #[test]
    fn every_mistake_names_its_field() {
        let empty: [&str; 0] = [];
        let ok = || Plan::new(["true"]);
        let cases = [
            (wrong(Plan::new(empty)), "command"),
            (wrong(Plan::new([""])), "command"),
            (wrong(Plan::new(["a\0b"])), "command"),
            (wrong(Plan::new(["x".repeat(200_000)])), "command"),
            (wrong(ok().env("A=B", "c")), "env"),
            (wrong(ok().env("", "c")), "env"),
            (wrong(ok().env("A", "c\0")), "env"),
            (wrong(ok().cwd("tmp")), "cwd"),
            (wrong(ok().read("data")), "read"),
            (wrong(ok().read("/data/../etc")), "read"),
            (wrong(ok().write("/proc/self")), "write"),
            (wrong(ok().write("/")), "write"),
            (wrong(ok().write("/dev/sda")), "write"),
            (wrong(ok().write("//sys/./kernel")), "write"),
            (wrong(ok().file("../x", "")), "files"),
            (wrong(ok().file("/x", "")), "files"),
            (wrong(ok().file(".", "")), "files"),
            (wrong(ok().file("a", "").file("./a", "")), "files"),
            (wrong(ok().collect("a/../../b")), "collect"),
            (wrong(ok().connect("example.com:80")), "connect"),
            (wrong(ok().timeout(Duration::ZERO)), "timeout"),
            (wrong(ok().limits(Limits { memory: Some(0), ..Limits::default() })), "limits.memory"),
            (wrong(ok().limits(Limits { tasks: Some(0), ..Limits::default() })), "limits.tasks"),
            (
                wrong(ok().limits(Limits { open_files: 3, ..Limits::default() })),
                "limits.open_files",
            ),
            (
                wrong(ok().limits(Limits { output: Some(u64::MAX), ..Limits::default() })),
                "limits.output",
            ),
        ];
        for (message, field) in cases {
            assert!(message.starts_with(field), "{message:?} must name {field}");
        }
    }

    #[test]
    fn paths_come_out_in_their_shortest_spelling() {
        let plan = Plan::new(["true"]).read("//a/./b/").file("./x//y", "z").validate().unwrap();
        assert!(plan.confinement.grants.iter().any(|g| g.path == b"/a/b" && g.required));
        assert_eq!(plan.launch.files[0].path, b"x/y");
    }

    #[test]
    fn shared_memory_is_the_one_writable_device_directory() {
        assert!(Plan::new(["true"]).write("/dev/shm").validate().is_ok());
        assert!(Plan::new(["true"]).write("/dev/shmx").validate().is_err());
    }
}
