//! Making one sandbox: its workspace, its standard streams, its target.

pub(crate) mod command;
pub(crate) mod stdio;
pub(crate) mod workspace;
