//! System calls without the C library: no errno, no thread-local storage, no allocation. The code
//! between `clone(CLONE_VM)` and `execve` shares its memory with the guard and may use only these.

#[cfg(target_arch = "x86_64")]
#[path = "arch/x86_64.rs"]
mod arch;

#[cfg(target_arch = "aarch64")]
#[path = "arch/aarch64.rs"]
mod arch;

pub(super) use arch::syscall5;
