//! Seccomp (`seccomp(2)`): what the kernel can do. The filter itself is installed by the child.

use nix::errno::Errno;

use super::check;

pub(crate) const FLAG_NEW_LISTENER: u32 = 1 << 3;
pub(crate) const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;
pub(crate) const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;

/// `struct seccomp_notif_sizes`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct NotifSizes {
    pub(crate) notif: u16,
    pub(crate) response: u16,
    pub(crate) data: u16,
}

/// Whether the kernel has `SECCOMP_RET_USER_NOTIF`.
pub(crate) fn user_notification() -> Result<NotifSizes, Errno> {
    let action = RET_USER_NOTIF;
    // SAFETY: reads one u32.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0u32, std::ptr::from_ref(&action))
    })?;
    let mut sizes = NotifSizes::default();
    // SAFETY: writes one `struct seccomp_notif_sizes`.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, GET_NOTIF_SIZES, 0u32, std::ptr::from_mut(&mut sizes))
    })?;
    Ok(sizes)
}

/// Whether `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` is known (Linux 5.19). A null program makes
/// the call fail with EFAULT after the flags have been accepted.
pub(crate) fn wait_killable() -> bool {
    let flags = FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: a null program can't be installed.
    let answer = check(unsafe {
        libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, std::ptr::null::<libc::c_void>())
    });
    answer == Err(Errno::EFAULT)
}
