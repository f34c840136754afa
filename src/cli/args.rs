//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::plan::limits;

/// Run code that nobody trusts.
#[derive(Debug, Parser)]
#[command(name = "evalbox", version, disable_help_subcommand = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(Box<Run>),
    Doctor(Doctor),
}

/// Run a command or a piece of code in a sandbox
///
/// Nothing is granted but system programs and libraries and a private workspace, which is HOME and,
/// unless the current directory is granted, the working directory. There is no network.
///
/// The exit status is the program's; 128 + N if signal N ended it; 124 after a timeout; 125 if
/// evalbox itself failed; 126 if the command can't be executed; 127 if it was not found.
#[derive(Debug, Args)]
#[command(override_usage = "evalbox run [OPTIONS] -- COMMAND [ARGUMENT]...\n       \
    evalbox run [OPTIONS] FILE [-- ARGUMENT...]\n       evalbox run [OPTIONS] - [-- ARGUMENT...]")]
pub(super) struct Run {
    /// Language of FILE [default: by its extension or its #! line]
    #[arg(long)]
    pub(super) lang: Option<String>,
    /// Grant reading a file, or a directory and all below it
    #[arg(long, value_name = "PATH")]
    pub(super) read: Vec<PathBuf>,
    /// Grant reading, executing and every change
    #[arg(long, value_name = "PATH")]
    pub(super) write: Vec<PathBuf>,
    /// Grant reading and executing
    #[arg(long, value_name = "PATH")]
    pub(super) execute: Vec<PathBuf>,
    /// Grant connecting to ADDRESS:PORT (*:443, 10.0.0.0/8:*, localhost:80) or unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    pub(super) connect: Vec<String>,
    /// Grant listening on ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(super) bind: Vec<String>,
    /// Set a variable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<OsString>,
    /// Working directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) cwd: Option<PathBuf>,
    /// Copy the file at PATH into the workspace as NAME
    #[arg(long, value_name = "NAME=PATH")]
    pub(super) file: Vec<OsString>,
    /// Wall time in seconds, or none [default: none]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Bound<Duration>>,
    /// Memory of all processes: 256M, 2G, none [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<Bound<u64>>,
    /// Processes and threads, or none [default: 256]
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    pub(super) tasks: Option<Bound<u32>>,
    /// CPU time in seconds, or none [default: none]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) cpu: Option<Bound<Duration>>,
    /// Bytes written to standard output and error [default: none; 10M with --json]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) output: Option<Bound<u64>>,
    /// The largest file that may be written, or none [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) file_size: Option<Bound<u64>>,
    /// Open file descriptors of one process [default: 512]
    #[arg(long, value_name = "NUMBER")]
    pub(super) open_files: Option<u32>,
    /// Size of the private workspace, or none [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) workspace: Option<Bound<u64>>,
    /// List on standard error what the sandbox refused, and the grants that would allow it
    #[arg(short = 'v', long)]
    pub(super) report: bool,
    /// Print one JSON object with the output and how the run ended
    #[arg(long)]
    pub(super) json: bool,
    /// Code to run; - is standard input
    #[arg(value_name = "FILE")]
    pub(super) code: Option<PathBuf>,
    /// The command, or the arguments of FILE
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) words: Vec<OsString>,
}

/// Say what this machine can do for a sandbox
///
/// The exit status is 0 if sandboxes work here, else 1.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// A limit, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound<T>(pub(super) Option<T>);

fn bound<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Bound<T>, String> {
    if text == "none" { Ok(Bound(None)) } else { read(text).map(|value| Bound(Some(value))) }
}

fn seconds(text: &str) -> Result<Bound<Duration>, String> {
    bound(text, |text| {
        let wrong = || "write it as seconds, like 2 or 0.5, or none".to_owned();
        // What `parse` takes beyond this, inf and 1e9, is a slip.
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(wrong());
        }
        let seconds: f64 = text.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(seconds).map_err(|_| "it is too long".to_owned())
    })
}

fn size(text: &str) -> Result<Bound<u64>, String> {
    bound(text, |text| limits::size(text).map_err(|problem| format!("{problem}, or none")))
}

fn number(text: &str) -> Result<Bound<u32>, String> {
    bound(text, |text| text.parse().map_err(|_| "write it as a whole number, or none".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        let ok = |text| size(text).unwrap().0.unwrap();
        assert_eq!(ok("0"), 0);
        assert_eq!(ok("1000"), 1000);
        assert_eq!(ok("1K"), 1 << 10);
        assert_eq!(ok("256m"), 256 << 20);
        assert_eq!(ok("2GiB"), 2 << 30);
        assert_eq!(ok("3TB"), 3 << 40);
        assert_eq!(size("none").unwrap().0, None);
        for bad in ["", "M", "1.5G", "-1", "+1", " 1", "1 M", "1X", "1MM", "0x10", "K1", "١M"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
        assert!(size("18446744073709551615").is_ok());
        assert!(size("18446744073709551616").is_err());
        assert!(size("16777216T").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(seconds("0.5").unwrap().0, Some(Duration::from_millis(500)));
        assert_eq!(seconds("none").unwrap().0, None);
        for bad in ["", ".", "-1", "1s", "inf", "nan", "1e3", "1..2", "99999999999999999999999"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
