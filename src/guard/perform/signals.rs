//! Signals, where Landlock does not scope them (before ABI 6). All arguments are in registers, so
//! the kernel may perform what was found to stay inside.

use nix::errno::Errno;
use nix::unistd::{Pid, getpgid};

use super::Answer;
use crate::guard::context::{Context, Refusal};
use crate::sys::memory::Memory;
use crate::sys::notify::ContinueProof;

pub(crate) fn to_process(context: &Context, pid: i32) -> Result<Answer, Refusal> {
    let members = context.membership();
    let inside = match pid {
        // The caller's own group. The sandbox has a session of its own, and a group never spans
        // two.
        0 => true,
        -1 | i32::MIN => false,
        group if group < 0 => members
            .processes()?
            .iter()
            .any(|pid| getpgid(Some(Pid::from_raw(*pid))) == Ok(Pid::from_raw(-group))),
        pid => members.has(pid),
    };
    allow_if(inside, format!("process {pid}"))
}

pub(crate) fn to_thread(context: &Context, tgid: Option<i32>, tid: i32) -> Result<Answer, Refusal> {
    let members = context.membership();
    let inside = match tgid {
        Some(tgid) => members.has(tgid),
        None => members.process_of(tid).is_ok(),
    };
    allow_if(inside, format!("thread {tid}"))
}

pub(crate) fn to_pidfd() -> Result<Answer, Refusal> {
    // Which process a descriptor stands for can change between a look at it and the call.
    allow_if(false, "a process descriptor".to_owned())
}

/// Adds `SA_RESTART` to a handler for SIGCHLD before the kernel installs it, so that a child's end
/// does not make a `fork` fail which waits for the guard. A matter of compatibility only: what the
/// program makes of its handlers is its own affair.
pub(crate) fn restart_calls(tid: i32, action: u64) -> Answer {
    /// The second word of the kernel's `struct sigaction`, behind the handler.
    const FLAGS: u64 = 8;
    let mut words = [0; 16];
    let memory = Memory(tid);
    if memory.read(action, &mut words).is_ok() {
        let (handler, flags) = words.split_at(8);
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let (handler, flags) = (word(handler), word(flags));
        let handled = handler != libc::SIG_DFL as u64 && handler != libc::SIG_IGN as u64;
        let restarts = libc::SA_RESTART as u64;
        if handled && flags & restarts == 0 {
            // Where it can't be written the program gets what it asked for.
            let _ = memory.write(action.wrapping_add(FLAGS), &(flags | restarts).to_ne_bytes());
        }
    }
    Answer::Proceed(ContinueProof::NothingDecided)
}

fn allow_if(inside: bool, target: String) -> Result<Answer, Refusal> {
    if inside {
        Ok(Answer::Proceed(ContinueProof::RegistersOnly))
    } else {
        Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None })
    }
}
