//! What the host, the daemon and its guards say to each other. Data only, no I/O.

mod frame;
mod message;

pub(crate) use frame::{Frame, decode, encode};
pub(crate) use message::{
    Decided, FromMeter, Greeting, Hello, Limit, Question, Report, ToDaemon, ToMeter,
};
pub use message::{Refused, Status, Usage};
