//! A filter that refuses what Docker's default profile refuses without added capabilities, as far
//! as evalbox or a sandboxed program could notice.

use std::io;

const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
const ABSENT: u32 = 0x0005_0000 | libc::ENOSYS as u32;
/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
const NAMESPACES: u32 = 0x7e02_0000;

const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

fn op(code: u16, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: yes, jf: no, k }
}

/// Puts this process, all its threads and all that it starts under the filter.
pub(crate) fn install() -> io::Result<()> {
    let mut program = vec![op(LOAD, 0, 0, 0)];
    for &number in REFUSED {
        program.extend([op(IF_EQUAL, number as u32, 0, 1), op(RETURN, REFUSE, 0, 0)]);
    }
    program.extend([
        op(IF_EQUAL, libc::SYS_clone3 as u32, 0, 1),
        op(RETURN, ABSENT, 0, 0),
        op(IF_EQUAL, libc::SYS_clone as u32, 0, 3),
        op(LOAD, 16, 0, 0), // lower half of the first argument
        op(IF_ANY_BIT, NAMESPACES, 0, 1),
        op(RETURN, REFUSE, 0, 0),
        op(RETURN, ALLOW, 0, 0),
    ]);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, and a filter that refuses calls breaks no memory.
    unsafe {
        if !super::is_root() {
            super::check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        }
        super::check(libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &program,
        ) as i32)?;
    }
    // It does what it is there for.
    // SAFETY: takes numbers only.
    let refused = unsafe { libc::syscall(libc::SYS_pidfd_getfd, -1, 0, 0) };
    assert_eq!((refused, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
    Ok(())
}
