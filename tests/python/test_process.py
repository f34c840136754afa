"""What evalbox does to the process that uses it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import evalbox
from evalbox import Plan, Session, SessionError, UseAfterFork
from helpers import of_directory, python, running, until


@pytest.mark.parametrize(
    "wait",
    [
        "evalbox.Plan(['sleep', '{mark}'], timeout=None).run()",
        "list(session)",
        "session.poll(60)",
    ],
)
def test_ctrl_c_ends_a_wait(wait: str) -> None:
    mark = f"59.{os.getpid()}{abs(hash(wait)) % 1000}"
    code = f"""
import sys, time, evalbox
session = evalbox.Session()
if "session" in {wait!r}:
    session.spawn(evalbox.Plan(['sleep', '{mark}'], timeout=None))
print("waiting", flush=True)
try:
    {wait.format(mark=mark)}
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
    session.close()
    print("gone", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        until(lambda: len(running(mark)) == 1)
        time.sleep(0.05)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert float(process.stdout.readline()) - sent < 0.2
        assert process.stdout.readline() == "gone\n"
        assert running(mark) == []
        process.communicate("")
    assert process.returncode == 0


def test_a_signal_handler_may_go_on() -> None:
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(time.monotonic()))
    try:
        start = time.monotonic()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert Plan(["sleep", "0.4"]).run().ok
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(heard) == 1
    assert 0.1 <= heard[0] - start < 0.35


def test_a_signal_handler_may_use_the_session() -> None:
    with Session() as session:
        job = session.spawn(Plan(["sleep", "60"]))
        before = signal.signal(signal.SIGALRM, lambda *_: session.kill(job))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            (event,) = session
        finally:
            signal.signal(signal.SIGALRM, before)
    assert isinstance(event, evalbox.Completed)
    assert event.output.status == "killed"


def test_other_threads_run_meanwhile() -> None:
    counted = 0
    stop = threading.Event()

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted
        Plan(["sleep", "0.3"]).run()
        assert counted - before > 10_000
    finally:
        stop.set()
        thread.join()


def test_64_threads_at_once() -> None:
    barrier = threading.Barrier(64)

    def run(n: int) -> str:
        barrier.wait(30)
        return Plan(["sh", "-c", f"sleep 0.05; echo {n}"]).run().stdout

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(run, range(64))) == [f"{n}\n" for n in range(64)]


def test_a_session_is_for_one_thread_at_a_time() -> None:
    with Session() as session:
        session.spawn(Plan(["sleep", "0.5"]))
        thread = threading.Thread(target=lambda: list(session))
        thread.start()
        time.sleep(0.1)
        for use in (lambda: session.poll(0), session.fileno, session.close):
            with pytest.raises(SessionError, match="another thread"):
                use()
        assert repr(session).startswith("<evalbox.Session")
        thread.join()
        # Then it may be another's.
        assert session.active == 0


def in_child(check: object) -> int:
    """Runs a function in a forked child and returns its exit status."""
    assert callable(check)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            check()
            status = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_has_its_own() -> None:
    assert Plan(["true"]).run().ok
    with Session() as session:
        job = session.spawn(Plan(["sh", "-c", "sleep 0.5; echo mine"]))

        def child() -> None:
            for use in (
                lambda: session.poll(0),
                lambda: session.spawn(Plan(["true"])),
                lambda: session.kill(job),
                lambda: session.active,
                lambda: session.fileno(),
            ):
                with pytest.raises(UseAfterFork, match="forked"):
                    use()
            session.close()
            assert Plan(["echo", "x"]).run().stdout == "x\n"
            with Session() as own:
                own.spawn(Plan(["true"]))
                assert [type(event) for event in own] == [evalbox.Completed]

        assert in_child(child) == 0
        outputs = [event.output for event in session if isinstance(event, evalbox.Completed)]
        assert [output.stdout for output in outputs] == ["mine\n"]


def test_a_fork_while_another_thread_waits() -> None:
    with Session() as session:
        session.spawn(Plan(["sleep", "0.5"]))
        thread = threading.Thread(target=lambda: list(session))
        thread.start()
        time.sleep(0.1)

        def child() -> None:
            with pytest.raises(UseAfterFork):
                session.poll(0)
            assert Plan(["true"]).run().ok

        import warnings

        with warnings.catch_warnings():
            # Python 3.12 and newer warn of forks in a process with threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            assert in_child(child) == 0
        thread.join()


def run_one(n: int) -> evalbox.Output:
    return Plan(["sh", "-c", f"echo {n}; exit {n}"]).run()


def run_checked(n: int) -> evalbox.Output:
    return run_one(n).check()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    Plan(["true"]).run()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert [output.stdout for output in pool.map(run_one, range(4))] == [
            "0\n",
            "1\n",
            "2\n",
            "3\n",
        ]
        with pytest.raises(evalbox.ExecutionFailed) as error:
            pool.submit(run_checked, 3).result()
    assert error.value.output.exit_code == 3


RUNS = """
import gc, os, threading
import evalbox
from helpers import descriptors, of_directory

def counts():
    gc.collect()
    tasks = len(os.listdir("/proc/self/task"))
    return descriptors(), tasks, threading.active_count(), len(os.listdir(os.environ["TMPDIR"]))

def run(n):
    if n % 4 == 0:
        with evalbox.Session() as session:
            session.spawn(plan)
            assert len(list(session)) == 1
    elif n % 4 == 1:
        try:
            evalbox.Plan(["no-such-command"]).run()
        except evalbox.CommandNotFound:
            pass
    else:
        assert plan.run().ok

plan = evalbox.Plan(["true"])
for n in range(8):
    run(n)
before = counts()
processes = of_directory(os.environ["TMPDIR"])
for n in range(200):
    run(n)
assert counts() == before, (counts(), before)
print(len(processes), flush=True)
input()
"""


def test_nothing_is_left_after_200_runs(tmp_path: Path) -> None:
    # The daemon is given TMPDIR, by which its processes are told from others'.
    with subprocess.Popen(
        [sys.executable, "-c", RUNS],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        before = int(process.stdout.readline())
        assert before >= 1
        # Sandboxes that are made in advance may have been fewer then.
        until(lambda: len(of_directory(tmp_path)) <= before + 4)
        process.communicate("\n")
    assert process.returncode == 0
    until(lambda: of_directory(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


def test_import_is_fast_and_starts_nothing() -> None:
    code = """
import os, sys, time
before = len(sys.modules)
start = time.perf_counter()
import evalbox
end = time.perf_counter()
assert "typing" not in sys.modules and "asyncio" not in sys.modules
assert len(os.listdir("/proc/self/task")) == 1
print(end - start)
"""
    times = []
    for _ in range(5):
        done = python(code)
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout))
    assert min(times) < 0.02, times


def test_without_the_daemon(tmp_path: Path) -> None:
    code = """
import evalbox, errno
try:
    evalbox.Plan(["true"]).run()
except evalbox.Unavailable as error:
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOENT, error.errno
    print(error)
"""
    missing = str(tmp_path / "none")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "EVALBOX_DAEMON": missing},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert missing in done.stdout
    assert "No such file" in done.stdout


def test_the_end_of_the_interpreter_is_quiet() -> None:
    code = """
import threading, evalbox
evalbox.Plan(["true"]).run()
session = evalbox.Session()
session.spawn(evalbox.Plan(["sleep", "58.58"], timeout=None))
cycle = [session]
cycle.append(cycle)
threading.Thread(target=lambda: evalbox.Plan(["sleep", "58.59"]).run(), daemon=True).start()
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    until(lambda: running("58.58") == [] and running("58.59") == [])


def test_the_command(tmp_path: Path) -> None:
    def evalbox_command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "evalbox", *words], capture_output=True, text=True, cwd=tmp_path
        )

    done = evalbox_command("run", "--", "sh", "-c", "echo hi; exit 3")
    assert (done.returncode, done.stdout) == (3, "hi\n")
    assert evalbox_command("doctor").returncode == 0
    assert evalbox_command("nonsense").returncode == 125
    script = Path(sys.executable).with_name("evalbox")
    if script.exists():
        done = subprocess.run([script, "--version"], capture_output=True, text=True)
        assert done.stdout.split() == ["evalbox", evalbox.__version__]


def test_ctrl_c_reaches_the_command() -> None:
    command = [sys.executable, "-m", "evalbox", "run", "--timeout", "none", "--", "sleep", "57.57"]
    process = subprocess.Popen(command)
    until(lambda: len(running("57.57")) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) in (130, -2)
    until(lambda: running("57.57") == [])
