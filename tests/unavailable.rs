//! Machines that can't hold a sandbox, simulated by a filter over the host that answers as such a
//! kernel would: evalbox must say what is missing, and run nothing.

#![allow(clippy::print_stdout)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use evalbox::isolation::filter::{
    Action, Arch, Condition, Rule, RuleSet, SeccompCmpOp, SyscallRules, compile,
};
use evalbox::isolation::syscalls;
use evalbox::{Error, Plan};

/// Runs one role of this binary under a filter that answers one call with an errno.
fn on_a_kernel_where(call: &str, rules: Vec<Rule>, otherwise: Action, role: &str) -> String {
    let arch = Arch::native().unwrap();
    let number = syscalls::number(arch, call).unwrap();
    let by_number = [(number, SyscallRules { rules, otherwise })].into();
    let filter = compile(&RuleSet { arch, by_number, default: Action::Allow }).unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap());
    host.args(["host", "--exact", "--nocapture"]).env("EVALBOX_TEST_ROLE", role);
    // SAFETY: between fork and exec only two system calls are made, with memory prepared before.
    unsafe {
        host.pre_exec(move || {
            let program =
                libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr() as *mut _ };
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let output = host.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The host's side, in a process of its own. By itself it has nothing to do.
#[test]
fn host() {
    match std::env::var("EVALBOX_TEST_ROLE").as_deref() {
        Ok("run") => match Plan::new(["sh", "-c", "echo ran"]).run() {
            Err(error @ Error::Unavailable(_)) => println!("<{error}>"),
            other => panic!("{other:?}"),
        },
        Ok("doctor") => {
            let doctor = evalbox::doctor();
            assert!(!doctor.ok());
            println!("<{doctor}>");
        }
        Ok("launch") => match Plan::new(["sh", "-c", "echo ran"]).run() {
            Err(error @ Error::Launch(_)) => println!("<{error}>"),
            other => panic!("{other:?}"),
        },
        Ok("any") => match Plan::new(["sh", "-c", "echo ran"]).run() {
            Err(_) => println!("<refused>"),
            other => panic!("{other:?}"),
        },
        _ => {}
    }
}

fn errno(errno: i32) -> Action {
    Action::Errno(errno as u16)
}

#[test]
fn without_landlock_nothing_runs_and_the_remedy_is_named() {
    for missing in [libc::ENOSYS, libc::EOPNOTSUPP] {
        let text = on_a_kernel_where("landlock_create_ruleset", vec![], errno(missing), "run");
        assert!(text.contains("<this kernel has no Landlock"), "{text}");
        assert!(text.contains("5.13") && text.contains("lsm=landlock"), "{text}");
        let text = on_a_kernel_where("landlock_create_ruleset", vec![], errno(missing), "doctor");
        assert!(text.contains("Landlock"), "{text}");
    }
}

#[test]
fn without_user_notification_nothing_runs() {
    const GET_ACTION_AVAIL: u64 = 2;
    let asks = Rule {
        all_of: vec![Condition::dword(0, SeccompCmpOp::Eq, GET_ACTION_AVAIL)],
        action: errno(libc::EOPNOTSUPP),
    };
    let text = on_a_kernel_where("seccomp", vec![asks], Action::Allow, "run");
    assert!(text.contains("<this kernel has no seccomp user notification"), "{text}");
}

#[test]
fn a_layer_that_fails_at_the_last_moment_fails_the_run() {
    // The daemon starts, but no guard can confine itself.
    let text = on_a_kernel_where_launch_fails("landlock_restrict_self");
    assert!(text.contains("layer 'Landlock' could not be applied"), "{text}");
    let text = on_a_kernel_where_launch_fails("landlock_add_rule");
    assert!(text.contains("layer 'Landlock' could not be applied"), "{text}");
}

fn on_a_kernel_where_launch_fails(call: &str) -> String {
    on_a_kernel_where(call, vec![], errno(libc::E2BIG), "launch")
}

#[test]
fn without_close_range_nothing_is_let_through() {
    let text = on_a_kernel_where("close_range", vec![], errno(libc::ENOSYS), "any");
    assert!(text.contains("<refused>"), "{text}");
}
