from __future__ import annotations

import asyncio
import os
import select
import time
from typing import Any

import pytest

import evalbox
from evalbox import PIPE, Completed, Failed, Plan, Session, SessionError, Stderr, Stdout, TimedOut
from helpers import running, until


def test_events_come_in_order(session: Session) -> None:
    job = session.spawn(Plan(["sh", "-c", "echo one; sleep 0.1; echo two >&2; exit 4"]))
    seen = []
    for event in session:
        match event:
            case Stdout(job=j, data=data):
                assert j == job
                seen.append(data)
            case Stderr(_, data):
                seen.append(data)
            case Completed(job=j, output=output):
                assert j == job
                assert output.exit_code == 4
                assert (output.stdout, output.stderr) == ("one\n", "two\n")
                seen.append(b"end")
            case _:
                pytest.fail(f"{event!r}")
    assert seen == [b"one\n", b"two\n", b"end"]
    assert session.active == 0
    assert session.poll() is None


def test_other_ends(session: Session) -> None:
    late = session.spawn(Plan(["sleep", "60"], timeout=0.1))
    wrong = session.spawn(Plan(["no-such-command"]))
    events = {event.job: event for event in session}
    timed_out = events[late]
    assert isinstance(timed_out, TimedOut)
    assert timed_out.output.status == "timed_out"
    failed = events[wrong]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, evalbox.CommandNotFound)
    with pytest.raises(evalbox.PlanError):
        session.spawn(Plan(["true"], read="relative"))
    assert session.active == 0


def test_classes_have_match_args_and_reprs(session: Session) -> None:
    assert Stdout.__match_args__ == Stderr.__match_args__ == ("job", "data")
    assert Completed.__match_args__ == TimedOut.__match_args__ == ("job", "output")
    assert Failed.__match_args__ == ("job", "error")
    job = session.spawn(Plan(["echo", "x"]))
    assert repr(job) == f"Job({job.id})"
    first, last = list(session)
    assert repr(first) == f"Stdout(job={job!r}, data=b'x\\n')"
    assert repr(last).startswith(f"Completed(job={job!r}, output=Output(")
    assert isinstance(last, evalbox.Completed | evalbox.TimedOut)
    assert "active=0" in repr(session)


def test_standard_input(session: Session) -> None:
    job = session.spawn(Plan(["cat"], stdin=PIPE))
    session.write_stdin(job, "text ")
    session.write_stdin(job, b"bytes")
    heard = b""
    while heard != b"text bytes":
        event = session.poll(10)
        assert isinstance(event, Stdout)
        heard += event.data
    big = os.urandom(2_000_000)
    session.write_stdin(job, big)
    session.close_stdin(job)
    *_, last = session
    assert isinstance(last, Completed)
    assert last.output.stdout_bytes == b"text bytes" + big
    with pytest.raises(SessionError, match="not running"):
        session.write_stdin(job, b"")
    closed = session.spawn(Plan(["sleep", "60"]))
    with pytest.raises(SessionError, match="standard input is closed"):
        session.write_stdin(closed, b"x")


def test_kill(session: Session) -> None:
    job = session.spawn(Plan(["sh", "-c", "sleep 31.4159 & sleep 31.4159"], timeout=None))
    until(lambda: len(running("31.4159")) == 2)
    session.kill(job)
    (event,) = session
    assert isinstance(event, Completed)
    assert event.output.status == "killed"
    assert running("31.4159") == []
    with pytest.raises(SessionError):
        session.kill(job)


def test_poll_waits_as_long_as_it_is_told(session: Session) -> None:
    assert session.poll() is None
    assert session.poll(5) is None
    session.spawn(Plan(["sleep", "60"]))
    for timeout in (0, 0.0, 0.25):
        start = time.monotonic()
        assert session.poll(timeout) is None
        assert timeout <= time.monotonic() - start < timeout + 0.2
    for wrong in (-1, float("nan")):
        with pytest.raises(evalbox.PlanError):
            session.poll(wrong)
    with pytest.raises(TypeError):
        session.poll("1")  # type: ignore[arg-type]


def test_many_at_once(session: Session) -> None:
    jobs = {session.spawn(Plan(["sh", "-c", f"echo {n}; exit {n % 7}"])): n for n in range(60)}
    assert len(jobs) == 60
    ended = {}
    for event in session:
        match event:
            case Completed(job, output):
                ended[job] = output
            case Stdout():
                pass
            case _:
                pytest.fail(f"{event!r}")
    assert {job: int(output.stdout) for job, output in ended.items()} == jobs
    assert all(ended[job].exit_code == n % 7 for job, n in jobs.items())


def test_select(session: Session) -> None:
    fd = session.fileno()
    assert select.select([fd], [], [], 0) == ([], [], [])
    session.spawn(Plan(["sh", "-c", "sleep 0.1; echo x"]))
    ended = None
    while ended is None:
        assert select.select([session], [], [], 10)[0] == [session]
        while event := session.poll(0):
            if isinstance(event, Completed):
                ended = event.output
    assert ended.stdout == "x\n"


def test_asyncio() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        outputs: list[str] = []

        def ready() -> None:
            while event := session.poll(0):
                if isinstance(event, Completed):
                    outputs.append(event.output.stdout)
            if session.active == 0 and not done.done():
                done.set_result(None)

        with Session() as session:
            loop.add_reader(session.fileno(), ready)
            try:
                for n in range(5):
                    session.spawn(Plan(["sh", "-c", f"sleep 0.0{n}; echo {n}"]))
                await asyncio.wait_for(done, 20)
            finally:
                loop.remove_reader(session.fileno())
        return sorted(outputs)

    assert asyncio.run(main()) == [f"{n}\n" for n in range(5)]


def test_leaving_kills_what_runs() -> None:
    with Session() as session:
        session.spawn(Plan(["sleep", "27.1828"], timeout=None))
        until(lambda: len(running("27.1828")) == 1)
    assert running("27.1828") == []
    assert session.closed
    session.close()
    assert repr(session) == "<evalbox.Session closed>"
    for use in (
        lambda: session.poll(0),
        lambda: session.spawn(Plan(["true"])),
        lambda: session.fileno(),
        lambda: session.active,
        lambda: next(session),
        lambda: session.__enter__(),
    ):
        with pytest.raises(SessionError, match="closed"):
            use()


def test_a_dropped_session_kills_what_runs() -> None:
    session = Session()
    session.spawn(Plan(["sleep", "27.1829"], timeout=None))
    until(lambda: len(running("27.1829")) == 1)
    del session
    until(lambda: running("27.1829") == [])


def test_jobs_belong_to_their_session(session: Session) -> None:
    with Session() as other:
        job = session.spawn(Plan(["sleep", "60"]))
        foreign = other.spawn(Plan(["sleep", "60"]))
        assert job.id == foreign.id
        assert job != foreign
        with pytest.raises(SessionError, match="another session"):
            session.kill(foreign)
    session.kill(job)


def test_wrong_types(session: Session) -> None:
    job = session.spawn(Plan(["cat"], stdin=PIPE))
    calls: list[Any] = [
        lambda: session.spawn(["true"]),  # type: ignore[arg-type]
        lambda: session.kill(1),  # type: ignore[arg-type]
        lambda: session.write_stdin(job, 1),  # type: ignore[arg-type]
        lambda: Session(1),  # type: ignore[call-arg]
        lambda: type("Sub", (Session,), {}),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
