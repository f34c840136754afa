//! Network targets of rules.

use serde::{Deserialize, Serialize};

/// `[udp:]host:ports` or `unix:pattern`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Endpoint {}
