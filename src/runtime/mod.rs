//! Languages.

/// Languages that can be run.
pub const NAMES: &[&str] = &["python", "shell"];
