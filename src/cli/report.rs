//! How a run ended: as an exit status, in words, as JSON.

use std::time::Duration;

use super::Failure;
use crate::error::{Error, LaunchError, errno_text};
use crate::plan::Limits;
use crate::session::Output;
use crate::session::json::Json;
use crate::wire::{Refused, Status};

const TIMED_OUT: i32 = 124;
const FAILED: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

pub(super) fn exit_code(status: Status) -> i32 {
    match status {
        Status::Exited(code) => code,
        Status::Signaled(signal) => 128 + signal,
        Status::TimedOut => TIMED_OUT,
        _ => 128 + libc::SIGKILL,
    }
}

pub(super) fn failure_code(failure: &Failure) -> i32 {
    match failure {
        Failure::Evalbox(Error::Launch(error)) => match error {
            LaunchError::CommandNotFound { .. } => NOT_FOUND,
            LaunchError::Exec { errno: libc::ENOENT | libc::ENOTDIR, .. } => NOT_FOUND,
            LaunchError::Exec { .. } | LaunchError::NotExecutable { .. } => NOT_EXECUTABLE,
            _ => FAILED,
        },
        _ => FAILED,
    }
}

/// Why evalbox ended the program, if it did.
pub(super) fn cause(status: Status, limits: &Limits, timeout: Option<Duration>) -> Option<String> {
    let size = |limit: Option<u64>| limit.map(|bytes| format!(" of {bytes} bytes"));
    let time = |limit: Option<Duration>| limit.map(|time| format!(" of {} s", time.as_secs_f64()));
    let (what, bound, flag) = match status {
        Status::TimedOut => ("time", time(timeout), "--timeout"),
        Status::CpuLimit => ("CPU time", time(limits.cpu), "--cpu"),
        Status::OutOfMemory => ("memory", size(limits.memory), "--memory"),
        Status::OutputLimit => ("output", size(limits.output), "--output"),
        Status::WorkspaceLimit => ("workspace", size(limits.workspace), "--workspace"),
        _ => return None,
    };
    Some(format!("killed: the {what} limit{} was reached ({flag})", bound.unwrap_or_default()))
}

/// One line for each kind of refused call.
pub(super) fn refused(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output.refused.iter().map(line).collect();
    if output.refused_beyond > 0 {
        lines.push(format!("refused: {} more kinds of calls", output.refused_beyond));
    }
    lines
}

fn line(call: &Refused) -> String {
    let mut line = format!("refused: {}", call.syscall);
    if !call.target.is_empty() {
        line.push(' ');
        line.push_str(&call.target);
    }
    if call.count > 1 {
        line.push_str(&format!(" ({} times)", call.count));
    }
    line.push_str(&format!(": {}", errno_text(call.errno)));
    if let Some(grant) = &call.grant {
        line.push_str(&format!("; allowed by {}", flag(grant)));
    }
    line
}

/// `write("/a")` as `--write "/a"`, `limits.open_files` as `--open-files`.
fn flag(grant: &str) -> String {
    if let Some((word, rest)) = grant.split_once('(') {
        return format!("--{word} {}", rest.strip_suffix(')').unwrap_or(rest));
    }
    match grant.strip_prefix("limits.") {
        Some(limit) => format!("--{}", limit.replace('_', "-")),
        None => grant.to_owned(),
    }
}

/// Text that can't act on a terminal or pass for another line.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

pub(super) fn json(output: &Output) -> Json {
    let usage = &output.usage;
    Json::Object(vec![
        ("status", Json::text(output.status.name())),
        ("exit_code", Json::maybe(output.exit_code(), Json::number)),
        ("signal", Json::maybe(output.signal(), Json::number)),
        ("stdout", Json::Text(output.stdout_text())),
        ("stderr", Json::Text(output.stderr_text())),
        ("truncated", Json::Bool(output.truncated)),
        ("value", Json::maybe(output.value.as_deref(), Json::text)),
        (
            "error",
            Json::maybe(output.error.as_ref(), |error| {
                Json::Object(vec![
                    ("kind", Json::text(&error.kind)),
                    ("message", Json::text(&error.message)),
                    ("traceback", Json::text(&error.traceback)),
                ])
            }),
        ),
        ("refused", Json::List(output.refused.iter().map(refused_json).collect())),
        ("refused_beyond", Json::number(output.refused_beyond)),
        (
            "usage",
            Json::Object(vec![
                ("wall", Json::Seconds(usage.wall.as_secs_f64())),
                ("user", Json::Seconds(usage.user.as_secs_f64())),
                ("system", Json::Seconds(usage.system.as_secs_f64())),
                ("peak_memory", Json::number(usage.peak_memory)),
                ("tasks", Json::number(usage.tasks)),
            ]),
        ),
    ])
}

fn refused_json(call: &Refused) -> Json {
    Json::Object(vec![
        ("syscall", Json::text(&call.syscall)),
        ("target", Json::text(&call.target)),
        ("errno", Json::number(call.errno)),
        ("grant", Json::maybe(call.grant.as_deref(), Json::text)),
        ("count", Json::number(call.count)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_shown_as_flags() {
        assert_eq!(flag("write(\"/a b\")"), "--write \"/a b\"");
        assert_eq!(flag("connect(\"[::1]:80\")"), "--connect \"[::1]:80\"");
        assert_eq!(flag("limits.open_files"), "--open-files");
    }

    #[test]
    fn nothing_printed_acts_on_a_terminal() {
        assert_eq!(printable("a\nb\x1b[31m\u{9b}\u{202e}é"), "a\\nb\\u{1b}[31m\\u{9b}\\u{202e}é");
    }

    #[test]
    fn causes_are_told_once() {
        let io = std::io::Error::from_raw_os_error(libc::EACCES);
        let failure = Failure::Read { path: "x".into(), source: io };
        assert_eq!(crate::error::chain(&failure).matches("Permission denied").count(), 1);
    }
}
