//! The words that the guard and its target share until the target's first exec.

use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use super::child::Exec;

/// No listener yet.
pub(crate) const NO_LISTENER: i32 = -1;

/// Shared memory of a guard and the target it has cloned. Leaked: the target may read it until it
/// has left the address space.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The number of the listener, in the table that both share.
    pub(crate) listener: AtomicI32,
    /// Futex: 1 when the target may go on to its exec.
    pub(crate) go: AtomicU32,
    /// What to execute; set before `go`.
    pub(crate) exec: AtomicPtr<Exec>,
    /// The step that failed in the target, or 0.
    pub(crate) failed_step: AtomicU32,
    /// Its errno.
    pub(crate) failed_errno: AtomicI32,
    /// The kernel clears it and wakes it when the target leaves this memory, by exec or exit.
    pub(crate) inside: AtomicU32,
}

impl Shared {
    pub(crate) fn leak() -> &'static Self {
        Box::leak(Box::new(Self {
            listener: AtomicI32::new(NO_LISTENER),
            go: AtomicU32::new(0),
            exec: AtomicPtr::new(std::ptr::null_mut()),
            failed_step: AtomicU32::new(0),
            failed_errno: AtomicI32::new(0),
            inside: AtomicU32::new(1),
        }))
    }

    /// Waits until the target has a listener or has failed. `None` on failure or timeout.
    pub(crate) fn wait_for_listener(&self, timeout: Duration) -> Option<i32> {
        let end = std::time::Instant::now() + timeout;
        loop {
            // First whether it has ended, then whether it has a listener: a target that need not
            // wait may get one and be gone, by exec, between the two looks.
            let ended = self.failed_step.load(Ordering::Acquire) != 0 || self.has_left();
            let listener = self.listener.load(Ordering::Acquire);
            if listener != NO_LISTENER {
                return Some(listener);
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            if ended || left.is_zero() {
                return None;
            }
            // A failing target wakes nobody, so look again now and then.
            futex_wait(&self.listener, NO_LISTENER, left.min(Duration::from_millis(5)));
        }
    }

    /// Hands the target what it executes and lets it go.
    pub(crate) fn start(&self, exec: &'static Exec) {
        self.exec.store(std::ptr::from_ref(exec).cast_mut(), Ordering::Release);
        self.go.store(1, Ordering::Release);
        // SAFETY: wakes waiters on a word that is never freed.
        unsafe {
            libc::syscall(libc::SYS_futex, self.go.as_ptr(), libc::FUTEX_WAKE, 1);
        }
    }

    /// Whether the target has left this memory.
    pub(crate) fn has_left(&self) -> bool {
        self.inside.load(Ordering::Acquire) == 0
    }
}

fn futex_wait(word: &AtomicI32, value: i32, timeout: Duration) {
    let time = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: waits on a live word with a live timespec; any answer means "look again".
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            std::ptr::from_ref(&time),
        );
    }
}
