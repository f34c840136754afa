//! Shell: `bash` where there is one, else `sh`.

use std::path::PathBuf;

use super::{Config, Runtime, probe, run_with, text};
use crate::error::{Result, RuntimeError};
use crate::plan::{Plan, Word};
use crate::session::Output;

/// Places that hold a shell whose libraries every plan may read. They come before `PATH`.
const SYSTEM: [&str; 2] = ["/bin", "/usr/bin"];

/// The runtime.
#[derive(Debug, Clone, Copy)]
pub struct Shell;

/// Runs a script.
///
/// ```
/// let output = evalbox::shell::run("echo $1", &evalbox::Config::new().arg("hello"))?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), evalbox::Error>(())
/// ```
///
/// # Errors
/// As [`runtime::run`](super::run).
pub fn run(script: impl AsRef<[u8]>, config: &Config) -> Result<Output> {
    run_with(&Shell, script.as_ref(), config)
}

/// The plan that runs a script.
///
/// # Errors
/// [`Error::Runtime`](crate::Error::Runtime) if there is no shell.
pub fn plan(script: impl AsRef<[u8]>, config: &Config) -> Result<Plan> {
    Shell.plan(script.as_ref(), config)
}

impl Runtime for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn plan(&self, code: &[u8], config: &Config) -> Result<Plan> {
        let shell = find(config)?;
        let name = config.free_name("main", "sh");
        // Its name is in every message of the shell: short, where the shell finds it that way.
        let script = match config.template.cwd {
            None => text(name.as_str()),
            Some(_) => Word::Workspace(name.clone().into_bytes()),
        };
        Ok(config.plan(vec![text(shell), script]).file(name, code))
    }
}

fn find(config: &Config) -> Result<PathBuf, RuntimeError> {
    let mut looked = Vec::new();
    let names = match &config.interpreter {
        Some(path) => vec![path.clone()],
        None => vec!["bash".into(), "sh".into()],
    };
    for name in names {
        let path = probe::path_directories();
        let places = SYSTEM.into_iter().map(PathBuf::from).chain(path);
        for file in probe::candidates(&name, places) {
            if probe::is_program(&file) {
                return Ok(file);
            }
            looked.push(file);
        }
    }
    Err(RuntimeError::NotFound {
        language: "shell",
        looked,
        remedy: "install one (Debian: apt install bash) or name one with `interpreter`",
    })
}
