//! Languages: what turns code into a [`Plan`].
//!
//! ```
//! let config = evalbox::Config::new().read("/usr/share");
//! let output = evalbox::python::run("print('hello')\n6 * 7", &config)?;
//! assert_eq!(output.stdout, b"hello\n");
//! assert_eq!(output.value.as_deref(), Some("42"));
//! # Ok::<(), evalbox::Error>(())
//! ```

mod probe;
pub mod python;
pub mod shell;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Result, RuntimeError};
use crate::plan::{Limits, Plan, Sink, Stdin, Word};
use crate::session::Output;

/// Languages that can be run.
pub const NAMES: &[&str] = &["python", "shell"];

/// A language.
pub trait Runtime: std::fmt::Debug + Send + Sync {
    /// Its name, one of [`NAMES`].
    fn name(&self) -> &'static str;

    /// The plan that runs code.
    ///
    /// # Errors
    /// [`Error::Runtime`](crate::Error::Runtime) if there is no usable interpreter.
    fn plan(&self, code: &[u8], config: &Config) -> Result<Plan>;

    /// Takes what belongs to the runtime out of the output of such a plan. To be called once, at
    /// the end of the run.
    fn finish(&self, _output: &mut Output) {}
}

/// The runtime of a language.
///
/// # Errors
/// [`RuntimeError::UnknownLanguage`].
pub fn by_name(language: &str) -> Result<&'static dyn Runtime> {
    match language {
        "python" => Ok(&python::Python),
        "shell" => Ok(&shell::Shell),
        _ => Err(RuntimeError::UnknownLanguage(language.to_owned()).into()),
    }
}

/// Runs code of a language to its end.
///
/// # Errors
/// As [`by_name`], [`Runtime::plan`] and [`Plan::run`]. A program that fails is not an error.
pub fn run(language: &str, code: impl AsRef<[u8]>, config: &Config) -> Result<Output> {
    run_with(by_name(language)?, code.as_ref(), config)
}

fn run_with(runtime: &dyn Runtime, code: &[u8], config: &Config) -> Result<Output> {
    let mut output = runtime.plan(code, config)?.run()?;
    runtime.finish(&mut output);
    Ok(output)
}

/// What code may do and what it is given: everything of a [`Plan`] but the command, and the choice
/// of an interpreter.
#[derive(Debug, Clone)]
#[must_use = "a config does nothing until code is run with it"]
pub struct Config {
    template: Plan,
    venv: Option<PathBuf>,
    interpreter: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// The methods of [`Plan`] that say the same of code.
macro_rules! forward {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*);)*) => {
        impl Config {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nSee [`Plan::", stringify!($name), "`].")]
                pub fn $name(mut self, $($arg: $type),*) -> Self {
                    self.template = self.template.$name($($arg),*);
                    self
                }
            )*
        }
    };
}

forward! {
    /// One more argument of the program.
    arg(word: impl Into<OsString>);
    /// One more argument: the absolute path of a file in the workspace.
    workspace_arg(path: impl AsRef<Path>);
    /// Sets a variable.
    env(name: impl Into<OsString>, value: impl Into<OsString>);
    /// The working directory. Default: the workspace.
    cwd(path: impl Into<PathBuf>);
    /// Writes a file into the workspace before the start. Python can import it.
    file(path: impl Into<PathBuf>, data: impl Into<Vec<u8>>);
    /// Brings a file of the workspace back.
    collect(path: impl Into<PathBuf>);
    /// Standard input. Default: empty.
    stdin(data: impl Into<Vec<u8>>);
    /// Standard input from elsewhere.
    stdin_from(stdin: Stdin);
    /// Standard output to elsewhere.
    stdout_to(sink: Sink);
    /// Standard error to elsewhere.
    stderr_to(sink: Sink);
    /// Has a policy decide, call by call, what the code may do within the grants.
    supervised(policy: impl Into<crate::Policy>);
    /// Writes every decision to a file.
    audit(file: impl Into<std::os::fd::OwnedFd>);
    /// Makes the descriptor given as standard input the controlling terminal.
    terminal(on: bool);
    /// Grants reading.
    read(path: impl Into<PathBuf>);
    /// Grants reading and executing.
    execute(path: impl Into<PathBuf>);
    /// Grants reading, executing and every change.
    write(path: impl Into<PathBuf>);
    /// Whether system programs, libraries and harmless devices are granted. Default: yes.
    system(on: bool);
    /// Grants TCP connections to `address:port`, or to a unix socket.
    connect(endpoint: impl Into<String>);
    /// Grants listening on a TCP `address:port`.
    bind(endpoint: impl Into<String>);
    /// Replaces all limits.
    limits(limits: Limits);
    /// Wall time, after which everything is killed. Default: 30 seconds.
    timeout(time: Duration);
    /// No limit on wall time.
    no_timeout();
}

impl Config {
    /// A config with the defaults of [`Plan`].
    pub fn new() -> Self {
        let no_command: [&str; 0] = [];
        Self { template: Plan::new(no_command), venv: None, interpreter: None }
    }

    /// A config with everything that a plan without a command says; its words are arguments.
    #[cfg(feature = "cli")]
    pub(crate) fn from_plan(template: Plan) -> Self {
        Self { template, ..Self::new() }
    }

    /// Python: the virtual environment to run in. It can be read and not be changed.
    pub fn venv(mut self, path: impl Into<PathBuf>) -> Self {
        self.venv = Some(path.into());
        self
    }

    /// The interpreter: a path, or a name to be looked up in this process's `PATH`. It comes before
    /// [`Config::venv`].
    pub fn interpreter(mut self, path: impl Into<PathBuf>) -> Self {
        self.interpreter = Some(path.into());
        self
    }

    /// The template with a command before its arguments.
    fn plan(&self, command: Vec<Word>) -> Plan {
        let mut plan = self.template.clone();
        plan.argv.splice(0..0, command);
        plan
    }

    /// A name for the program's file that none of the config's files has.
    fn free_name(&self, stem: &str, extension: &str) -> String {
        let taken = |name: &str| {
            self.template.files.iter().any(|(path, _)| {
                let first = path.components().find(|part| *part != std::path::Component::CurDir);
                first.is_some_and(|part| part.as_os_str() == name)
            })
        };
        let numbered = (1..).map(|n| format!("{stem}_{n}.{extension}"));
        let mut names = std::iter::once(format!("{stem}.{extension}")).chain(numbered);
        names.find(|name| !taken(name)).unwrap_or_default()
    }
}

fn text(word: impl Into<OsString>) -> Word {
    Word::Text(word.into().into_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_runtime() {
        for name in NAMES {
            assert_eq!(by_name(name).unwrap().name(), *name);
        }
        let error = by_name("cobol").unwrap_err().to_string();
        assert!(error.contains("cobol") && error.contains("python"), "{error}");
    }

    #[test]
    fn the_programs_file_takes_a_name_that_is_free() {
        let config = Config::new();
        assert_eq!(config.free_name("main", "py"), "main.py");
        let config = config.file("./main.py", "").file("main_1.py/x", "");
        assert_eq!(config.free_name("main", "py"), "main_2.py");
    }
}
