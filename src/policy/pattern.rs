//! Path patterns.

use serde::{Deserialize, Serialize};

/// A path pattern, anchored, not yet bound to a run's places.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Pattern {}
