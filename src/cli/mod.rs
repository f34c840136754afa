//! The command line: `evalbox run`, `evalbox doctor`.

mod args;

mod language;
mod launch;
mod options;
mod relay;
mod report;
mod streams;
mod terminal;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use crate::session::json::Json;
use args::{Cli, Command};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Evalbox(#[from] crate::Error),
    #[error("{path}")]
    Read { path: String, source: io::Error },
    #[error("{call}")]
    Call { call: &'static str, source: io::Error },
    #[error("{0}")]
    Usage(String),
}

/// Runs the command line, whose first word is the program's name, and returns the exit status.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.command {
        Command::Run(run) => match options::request(*run).and_then(|request| run_request(&request))
        {
            Ok(code) => code,
            Err(failure) => {
                complain(&crate::error::chain(&failure));
                report::failure_code(&failure)
            }
        },
        Command::Doctor(args) => {
            let doctor = crate::doctor();
            if args.json {
                say(&format!("{}\n", doctor_json(&doctor)));
            } else {
                say(&doctor.to_string());
            }
            i32::from(!doctor.ok())
        }
    }
}

fn run_request(request: &options::Request) -> Result<i32, Failure> {
    let output = launch::run(request)?;
    if let Some(cause) = report::cause(output.status, &request.limits, request.timeout) {
        complain(&cause);
    }
    if request.report {
        report::refused(&output).iter().for_each(|line| complain(line));
    }
    if request.json {
        say(&format!("{}\n", report::json(&output)));
    }
    Ok(report::exit_code(output.status))
}

fn usage(error: &clap::Error) -> i32 {
    let text = error.render().to_string();
    if error.use_stderr() {
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let _ = write!(io::stderr(), "evalbox: {text}");
        return 125;
    }
    say(&text);
    0
}

/// To standard output, which the reader may have closed.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "evalbox: {}", report::printable(text));
}

fn doctor_json(doctor: &crate::Doctor) -> Json {
    let entry = |entry: &crate::doctor::Entry| {
        Json::Object(vec![
            ("name", Json::text(&*entry.name)),
            ("state", Json::text(entry.state.name())),
            ("detail", Json::text(&entry.detail)),
            ("remedy", Json::maybe(entry.remedy.as_deref(), Json::text)),
        ])
    };
    Json::Object(vec![
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("ok", Json::Bool(doctor.ok())),
        ("entries", Json::List(doctor.entries.iter().map(entry).collect())),
    ])
}
