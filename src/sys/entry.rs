//! How a program that links this crate becomes the daemon: a function in `.init_array` runs before
//! `main`, and takes over if the program was started under the daemon's name. So a Rust program
//! needs nothing beside itself.

use std::ffi::{CStr, c_char, c_int};

/// `argv[0]` of a daemon.
pub(crate) const DAEMON_NAME: &CStr = c"evalbox-daemon";

#[used]
#[cfg(target_env = "gnu")]
// SAFETY: glibc calls the functions of this section with argc, argv and envp before `main`; the
// function below touches nothing else unless it takes the process over.
#[unsafe(link_section = ".init_array")]
static TAKE_OVER: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = take_over;

#[cfg(target_env = "gnu")]
extern "C" fn take_over(argc: c_int, argv: *const *const c_char, _env: *const *const c_char) {
    // A program with more rights than whoever started it does only what it was made for.
    if argc != 2 || argv.is_null() || is_privileged() {
        return;
    }
    // SAFETY: argc is 2, so argv has two C strings.
    let (name, mode) = unsafe { (CStr::from_ptr(*argv), CStr::from_ptr(*argv.add(1))) };
    if name == DAEMON_NAME && mode == crate::daemon::SERVE {
        crate::daemon::main();
    }
}

/// Whether this program has more rights than whoever started it (`AT_SECURE` of `getauxval(3)`): a
/// set-user-ID program, or one with file capabilities. Then the environment isn't to be trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: asks for a number of the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether this library is part of the program itself, and not loaded into another one (Python,
/// say): then `/proc/self/exe` can be started as the daemon.
pub(crate) fn linked_into_program() -> bool {
    if !cfg!(target_env = "gnu") {
        return false;
    }
    let here = linked_into_program as *const () as usize;
    // SAFETY: asks for numbers of the auxiliary vector.
    let (headers, count) =
        unsafe { (libc::getauxval(libc::AT_PHDR), libc::getauxval(libc::AT_PHNUM)) };
    if headers == 0 {
        return false;
    }
    // SAFETY: AT_PHDR and AT_PHNUM describe the program's own headers, which stay mapped.
    let headers =
        unsafe { std::slice::from_raw_parts(headers as *const libc::Elf64_Phdr, count as usize) };
    let Some(table) = headers.iter().find(|h| h.p_type == libc::PT_PHDR) else {
        // A static program without PT_PHDR is not position independent: addresses are absolute.
        return within(headers, 0, here);
    };
    within(headers, (headers.as_ptr() as usize).wrapping_sub(table.p_vaddr as usize), here)
}

fn within(headers: &[libc::Elf64_Phdr], bias: usize, address: usize) -> bool {
    headers.iter().filter(|h| h.p_type == libc::PT_LOAD).any(|h| {
        let start = bias.wrapping_add(h.p_vaddr as usize);
        (start..start.wrapping_add(h.p_memsz as usize)).contains(&address)
    })
}
