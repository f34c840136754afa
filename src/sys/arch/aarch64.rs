//! The `svc #0` instruction (see `syscall(2)`, table "Architecture calling conventions").

use std::arch::asm;

/// Calls the kernel. Returns its raw answer: `-errno` on failure.
///
/// # Safety
/// As for the system call named: pointers must be valid for what the kernel does with them.
#[inline(always)]
pub(crate) unsafe fn syscall5(nr: i64, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let answer: isize;
    // SAFETY: the instruction clobbers x0 only; what the call does is the caller's promise.
    unsafe {
        asm!("svc #0", in("x8") nr, inlateout("x0") a as isize => answer,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") 0usize, options(nostack));
    }
    answer
}
