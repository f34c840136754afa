//! What the guard's threads share: the listener, the rules, and the list of refused calls.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;

use super::tree::Tasks;
use crate::isolation::abi::Kernel;
use crate::isolation::filter::Arch;
use crate::isolation::landlock::WritableRoot;
use crate::isolation::syscalls::{self, Profile};
use crate::plan::Network;
use crate::sys::notify::{Listener, Notification};
use crate::sys::shared::Shared;
use crate::wire::Refused;

/// Kinds of refused calls that are remembered; more are only counted.
const MAX_REFUSED: usize = 256;
/// Bytes of a target that are remembered.
const MAX_TARGET: usize = 1_024;
/// Bytes of the whole list: with it the report still fits into one packet, for which the guard
/// needs no file that a limit of the run could be too small for.
const MAX_BYTES: usize = 48 * 1_024;

/// Shared by the thread that serves the listener, the lanes and the control loop.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) listener: Listener,
    pub(crate) profile: Profile,
    pub(crate) arch: Arch,
    pub(crate) kernel: Kernel,
    /// `/proc`, opened for listing before the guard confined itself.
    pub(crate) procfs: OwnedFd,
    /// Held while `procfs` is listed.
    pub(crate) listing: Mutex<()>,
    pub(crate) writable: Vec<WritableRoot>,
    pub(crate) network: Network,
    /// Whether a policy judges calls.
    pub(crate) judges: bool,
    /// Judged calls are continued. Only for tests that must be seen to fail.
    pub(crate) racy: bool,
    pub(crate) tasks: Tasks,
    /// Proof that signals of this guard stay inside, where the kernel scopes them.
    pub(crate) scope: Option<crate::sys::process::SignalScope>,
    /// `limits.open_files`.
    pub(crate) open_files: u32,
    /// This process.
    pub(crate) guard: i32,
    /// The first process of the sandbox, and what it shares with this one until its first exec.
    pub(crate) target: i32,
    pub(crate) shared: &'static Shared,
    pub(crate) sockets: super::perform::net::Sockets,
    pub(crate) refused: Mutex<RefusedCalls>,
    /// The tree is being killed: forks are left without an answer.
    pub(crate) closing: AtomicBool,
    /// Handles that keep Landlock's rules on kernel files alive.
    pub(crate) _pinned: Vec<OwnedFd>,
}

/// Why a call is not performed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The kernel's own answer: not a matter of rules.
    Failed(Errno),
    /// Against the rules.
    Denied { errno: Errno, target: String, grant: Option<String> },
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl Context {
    /// Whether a call comes from the target before it has executed anything.
    pub(crate) fn is_first_exec(&self, tid: i32) -> bool {
        tid == self.target && !self.shared.has_left()
    }

    /// Answers a call with an errno and remembers that it was refused.
    pub(crate) fn refuse(&self, call: &Notification, refusal: Refusal) {
        let errno = match refusal {
            Refusal::Failed(errno) => errno,
            Refusal::Denied { errno, target, grant } => {
                self.remember(call, errno, target, grant);
                errno
            }
        };
        // ENOENT: the caller died meanwhile.
        let _ = self.listener.errno(call.id, errno);
    }

    /// Puts a refused call on the run's list.
    pub(crate) fn remember(
        &self,
        call: &Notification,
        errno: Errno,
        target: String,
        grant: Option<String>,
    ) {
        let syscall = syscalls::name(self.arch, call.nr).unwrap_or("unknown").to_owned();
        let mut list = self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        list.add(Refused { syscall, target, errno: errno as i32, grant, count: 1 });
    }
}

/// A grant as it is written in a plan. `None` if that would be too long: a part of it would grant
/// something else.
pub(crate) fn grant(kind: &str, value: &[u8]) -> Option<String> {
    let text = format!("{kind}(\"{}\")", value.escape_ascii());
    (text.len() <= MAX_TARGET).then_some(text)
}

/// Refused calls, without doubles and bounded.
#[derive(Debug, Default)]
pub(crate) struct RefusedCalls {
    pub(crate) list: Vec<Refused>,
    pub(crate) beyond: u32,
    bytes: usize,
}

impl RefusedCalls {
    fn add(&mut self, mut new: Refused) {
        if new.target.len() > MAX_TARGET {
            let cut = (0..=MAX_TARGET).rev().find(|at| new.target.is_char_boundary(*at));
            new.target.truncate(cut.unwrap_or(0));
            new.target.push('…');
        }
        // The numbers take at most 16.
        let size =
            16 + new.syscall.len() + new.target.len() + new.grant.as_ref().map_or(0, String::len);
        let full = self.list.len() >= MAX_REFUSED || self.bytes + size > MAX_BYTES;
        let known = self.list.iter_mut().find(|old| {
            old.syscall == new.syscall && old.target == new.target && old.errno == new.errno
        });
        match known {
            Some(old) => old.count = old.count.saturating_add(1),
            None if !full => {
                self.bytes += size;
                self.list.push(new);
            }
            None => self.beyond = self.beyond.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(target: &str) -> Refused {
        Refused {
            syscall: "connect".into(),
            target: target.into(),
            errno: 13,
            grant: None,
            count: 1,
        }
    }

    #[test]
    fn the_list_has_no_doubles_and_a_bound() {
        let mut calls = RefusedCalls::default();
        for i in 0..MAX_REFUSED + 10 {
            calls.add(call(&i.to_string()));
            calls.add(call("0"));
        }
        assert_eq!(calls.list.len(), MAX_REFUSED);
        assert_eq!(calls.list[0].count as usize, MAX_REFUSED + 11);
        assert_eq!(calls.beyond, 10);
    }

    #[test]
    fn grants_are_escaped_and_whole() {
        assert_eq!(grant("write", b"/a\n\"b\x1b").unwrap(), r#"write("/a\n\"b\x1b")"#);
        let long = vec![b'x'; 1_000];
        assert_eq!(grant("write", &long).unwrap().len(), 1_000 + "write(\"\")".len());
        assert_eq!(grant("write", &[b'\n'; 1_000]), None);
    }

    #[test]
    fn long_targets_are_cut_between_characters() {
        let mut calls = RefusedCalls::default();
        calls.add(call(&"é".repeat(2_000)));
        assert!(calls.list[0].target.len() <= MAX_TARGET + '…'.len_utf8());
    }
}
