//! Running plans: [`Executor`], its [`Event`]s and the [`Output`] of a run.

mod executor;
mod output;

#[cfg(feature = "python")]
pub(crate) use executor::Polled;
pub use executor::{Event, Executor, SandboxId};
pub use output::{Exception, Output};

use crate::error::Result;
use crate::plan::Plan;

impl Plan {
    /// Runs the plan to its end and returns everything it did.
    ///
    /// # Errors
    /// A mistake in the plan, a machine that can't hold a sandbox, a program that can't be started.
    /// A program that fails is not an error: see [`Output::status`].
    pub fn run(&self) -> Result<Output> {
        Executor::new()?.run(self)
    }
}
