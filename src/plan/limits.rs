//! What a run may use, over its whole process tree.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::PlanError;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Limits of one run. `None` means unlimited, where the field is an option.
///
/// All of them hold for the tree of processes the run starts, not for each process, except
/// `file_size` and `open_files`, which are `RLIMIT_FSIZE` and `RLIMIT_NOFILE` of `getrlimit(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of the tree in bytes, shared memory counted once. Default 1 GiB.
    pub memory: Option<u64>,
    /// CPU time of the tree, user and system. Default unlimited.
    pub cpu: Option<Duration>,
    /// Processes and threads alive at once. Default 256.
    pub tasks: Option<u32>,
    /// Bytes written to standard output and standard error together. Default 10 MiB.
    pub output: Option<u64>,
    /// The largest file, in bytes, that may be written. Default 1 GiB.
    pub file_size: Option<u64>,
    /// File descriptors open at once in one process. Default 512.
    pub open_files: u32,
    /// Bytes on disk in the private workspace. Default 1 GiB.
    pub workspace: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Some(GIB),
            cpu: None,
            tasks: Some(256),
            output: Some(10 * MIB),
            file_size: Some(GIB),
            open_files: 512,
            workspace: Some(GIB),
        }
    }
}

impl Limits {
    /// No limit but `open_files`, which the kernel always has.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            memory: None,
            cpu: None,
            tasks: None,
            output: None,
            file_size: None,
            open_files: 65_536,
            workspace: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), PlanError> {
        // Below these a dynamic program can't even be loaded, so the limit is a mistake.
        within("limits.memory", self.memory, 8 * MIB, 1 << 50, " bytes")?;
        within("limits.cpu", self.cpu.map(millis), 10, u64::MAX >> 1, " ms")?;
        within("limits.tasks", self.tasks.map(u64::from), 1, 4_194_304, "")?;
        within("limits.output", self.output, 1, 1 << 50, " bytes")?;
        within("limits.file_size", self.file_size, 1, 1 << 60, " bytes")?;
        within("limits.open_files", Some(self.open_files.into()), 8, 1_048_576, "")?;
        within("limits.workspace", self.workspace, 4 * KIB, 1 << 60, " bytes")
    }
}

/// Bytes, from a whole number and perhaps a unit: `1000`, `256M`, `2GiB`. The error says what it
/// should be.
#[cfg(feature = "cli")]
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err("the unit is K, M, G or T, each 1024 times the one before"),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("write it as a whole number and a unit, like 256M");
    }
    let number: u64 = digits.parse().map_err(|_| "it is too large")?;
    number.checked_mul(1 << shift).ok_or("it is too large")
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn within(
    field: &'static str,
    value: Option<u64>,
    min: u64,
    max: u64,
    unit: &'static str,
) -> Result<(), PlanError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(PlanError::OutOfRange { field: field.into(), value, min, max, unit: unit.into() })
        }
        _ => Ok(()),
    }
}
