//! Run code that nobody trusts, and decide what it may do.
//!
//! ```
//! let output = evalbox::Plan::new(["sh", "-c", "echo $((6 * 7))"]).run()?;
//! assert_eq!(output.stdout_text(), "42\n");
//! # Ok::<(), evalbox::Error>(())
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("evalbox needs Linux");

#[cfg(feature = "python")]
mod bindings;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod daemon;
pub mod doctor;
pub mod error;
mod guard;
pub mod isolation;
pub mod plan;
pub mod policy;
pub mod runtime;
pub mod session;
mod spawn;
mod sys;
mod wire;

pub use doctor::{Doctor, doctor};
pub use error::{Error, Result};
pub use isolation::filter::build_whitelist_filter;
pub use plan::{CheckedPlan, Limits, Plan, Sink, Stdin};
pub use policy::{Decision, Operation, Policy, Remember, Rule, SyscallContext};
pub use runtime::{Config, python, shell};
pub use session::{CallId, Event, Exception, Executor, Output, Responder, SandboxId};
pub use wire::{Refused, Status, Usage};

#[doc(hidden)]
pub use client::set_packaged_daemon;

/// Becomes the daemon. For the `evalbox-daemon` executable.
#[doc(hidden)]
pub fn daemon_main() -> ! {
    daemon::main()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/getting-started.md")]
#[doc = include_str!("../docs/supervision.md")]
mod documentation {}
