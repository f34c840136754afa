//! Signals that arrive while a call waits for the guard.

use std::time::Duration;

use evalbox::Plan;

fn python(code: &str) -> Option<evalbox::Output> {
    const PYTHON: &str = "/usr/bin/python3";
    if !std::path::Path::new(PYTHON).exists() {
        eprintln!("skipped: no {PYTHON}");
        return None;
    }
    Some(Plan::new([PYTHON, "-c", code]).timeout(Duration::from_secs(60)).run().unwrap())
}

/// Without a restart, one fork in some dozens fails with EINTR, which no program expects.
#[test]
fn a_childs_end_never_makes_a_fork_fail() {
    let code = "
import os, signal
ended = 0
def handler(*_):
    global ended
    ended += 1
signal.signal(signal.SIGCHLD, handler)
signal.siginterrupt(signal.SIGCHLD, True)
for _ in range(6):
    for _ in range(100):
        if os.fork() == 0:
            os._exit(0)
    for _ in range(100):
        os.wait()
print(ended > 0)
";
    let Some(output) = python(code) else { return };
    assert_eq!(output.stdout_text(), "True\n", "{}", output.stderr_text());
}

#[test]
fn a_shell_that_forks_much_never_fails() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do
        echo $i | cat | cat | cat >/dev/null & (true) & /bin/true | /bin/true
    done; wait; echo done";
    for _ in 0..10 {
        let output = Plan::new(["/bin/sh", "-c", script]).run().unwrap();
        assert_eq!(output.stdout_text(), "done\n", "{}", output.stderr_text());
    }
}
