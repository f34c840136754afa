//! Running plans: [`Executor`], its [`Event`]s and the [`Output`] of a run.

mod audit;
mod executor;
pub(crate) mod json;
mod output;

#[cfg(feature = "python")]
pub(crate) use executor::Polled;
pub use executor::{CallId, Event, Executor, Responder, SandboxId};
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

    /// As [`Plan::run`], and `decide` answers what the plan's policy asks about.
    ///
    /// ```
    /// use evalbox::{Decision, Operation, Plan, Policy, SyscallContext};
    ///
    /// let output = Plan::new(["sh", "-c", "touch a b; rm a; rm b"])
    ///     .supervised(Policy::new().ask_about([Operation::Delete]))
    ///     .run_with(|call| match call {
    ///         SyscallContext::Delete { path } if path.ends_with("a") => Decision::Deny,
    ///         _ => Decision::Allow,
    ///     })?;
    /// assert!(output.stderr_text().contains("Permission denied"));
    /// # Ok::<(), evalbox::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_with<A: Into<crate::policy::Answer>>(
        &self,
        decide: impl FnMut(&crate::policy::SyscallContext) -> A,
    ) -> Result<Output> {
        Executor::new()?.run_with(self, decide)
    }
}
