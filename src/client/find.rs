//! Where the daemon's executable is.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::Unavailable;
use crate::sys::entry::{DAEMON_NAME, is_privileged, linked_into_program};

static PACKAGED: OnceLock<PathBuf> = OnceLock::new();

/// Names the executable that a package carries, for a library that is loaded into another program.
/// The first call counts.
pub fn set_packaged_daemon(path: impl Into<PathBuf>) {
    let _ = PACKAGED.set(path.into());
}

/// `EVALBOX_DAEMON`; the package's; this program itself, if it links this library; beside the
/// program; in `PATH`.
///
/// For a program with more rights than whoever started it, only the package's: they choose the
/// environment, may link the program to beside something of theirs, and as a daemon the program
/// would not know itself.
pub(super) fn daemon() -> Result<PathBuf, Unavailable> {
    if is_privileged() {
        let packaged = PACKAGED.get().cloned();
        let looked = packaged.iter().cloned().collect();
        return packaged.filter(|path| is_executable(path)).ok_or(Unavailable::NoDaemon { looked });
    }
    if let Some(named) = std::env::var_os("EVALBOX_DAEMON").filter(|name| !name.is_empty()) {
        // Named means this one or none.
        return Ok(PathBuf::from(named));
    }
    let mut looked = Vec::new();
    let mut exists = |path: PathBuf| {
        let found = is_executable(&path).then(|| path.clone());
        looked.push(path);
        found
    };
    if let Some(found) = PACKAGED.get().cloned().and_then(&mut exists) {
        return Ok(found);
    }
    if linked_into_program() {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    let name = DAEMON_NAME.to_str().unwrap_or_default();
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    if let Some(found) = beside.and_then(&mut exists) {
        return Ok(found);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for dir in std::env::split_paths(&path).filter(|dir| dir.is_absolute()) {
        if let Some(found) = exists(dir.join(name)) {
            return Ok(found);
        }
    }
    Err(Unavailable::NoDaemon { looked })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}
