//! Giving up every capability (`capabilities(7)`).

use nix::errno::Errno;

use super::check;

const VERSION_3: u32 = 0x2008_0522;
/// `SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS(off) | SECBIT_NO_CAP_AMBIENT_RAISE`
/// and their locks.
const SECUREBITS: libc::c_ulong = 0b1110_1111;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Empties the bounding, ambient, inheritable, permitted and effective sets of the calling thread
/// for ever, also for uid 0. Fails unless they are empty afterwards.
pub(crate) fn drop_all() -> Result<(), Errno> {
    for capability in 0..64 {
        // Needs CAP_SETPCAP. Without it no_new_privs keeps exec from regaining anything.
        // SAFETY: takes numbers only.
        let _ = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: takes numbers only.
    let _ = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) };
    // SAFETY: takes numbers only. EINVAL on kernels without ambient capabilities.
    let _ = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into() })?;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [Data::default(); 2];
    // SAFETY: `header` and `none` have the layouts that version 3 of the call reads.
    check(unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), none.as_ptr()) })?;
    let mut left = [Data::default(); 2];
    // SAFETY: `left` has room for what version 3 of the call writes.
    check(unsafe {
        libc::syscall(libc::SYS_capget, std::ptr::from_ref(&header), left.as_mut_ptr())
    })?;
    if left == none { Ok(()) } else { Err(Errno::EPERM) }
}
