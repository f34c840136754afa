//! The `syscall` instruction (see `syscall(2)`, table "Architecture calling conventions").

use std::arch::asm;

/// Calls the kernel. Returns its raw answer: `-errno` on failure.
///
/// # Safety
/// As for the system call named: pointers must be valid for what the kernel does with them.
#[inline(always)]
pub(crate) unsafe fn syscall5(nr: i64, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let answer: isize;
    // SAFETY: the instruction clobbers rcx and r11 only; what the call does is the caller's
    // promise.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") 0usize,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}
