"""Supervised runs from Python: callback, iterator and asyncio forms."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import evalbox
from evalbox import ALLOW, DENY, KILL

DELETE = "touch a b; rm a; rm b; ls"


def shell(script: str, directory: Path) -> evalbox.Plan:
    return evalbox.Plan(["sh", "-c", script]).write(directory).cwd(directory)


def test_a_callback_decides(tmp_path: Path) -> None:
    seen = []

    def decide(call: evalbox.Context) -> evalbox.Decision | None:
        seen.append(call)
        match call:
            case evalbox.Delete(path=path) if path.endswith("/a"):
                return DENY
            case evalbox.Delete():
                return ALLOW
        return None

    output = shell(DELETE, tmp_path).supervised(decide, ask=["delete"]).run()
    assert output.stdout == "a\n"
    assert "Permission denied" in output.stderr
    root = os.path.realpath(tmp_path)
    assert seen == [evalbox.Delete(f"{root}/a"), evalbox.Delete(f"{root}/b")]
    assert output.refused[0].syscall in ("unlink", "unlinkat")


def test_the_words_work_everywhere(tmp_path: Path) -> None:
    code = "import os\ntry:\n  os.remove('x')\nexcept OSError as e:\n  print(e.errno)"
    (tmp_path / "x").touch()
    words = {"write": tmp_path, "cwd": tmp_path, "ask": "delete"}
    answer = DENY(reason="mine", errno=errno.EROFS)
    output = evalbox.run(code, supervise=lambda call: answer, **words)
    assert output.stdout == f"{errno.EROFS}\n"
    assert "mine" in output.refused[0].target
    output = evalbox.shell.run("rm x", supervise=lambda call: ALLOW, **words)
    assert output.ok
    # Without a question nobody is asked.
    output = evalbox.shell.run(
        "touch y; rm y", supervise=evalbox.Policy(), **{**words, "ask": None}
    )
    assert output.ok


def test_by_default_changes_are_asked_about(tmp_path: Path) -> None:
    kinds = set()

    def decide(call: evalbox.Context) -> evalbox.Decision:
        kinds.add(type(call).__name__)
        return ALLOW

    script = "cat /etc/passwd > copy; mkdir d; mv copy d; chmod 600 d/copy; rm -r d"
    output = shell(script, tmp_path).supervised(decide).run(check=True)
    assert output.ok
    assert {"Open", "MakeDir", "Rename", "SetMetadata", "Delete", "Exec"} <= kinds


def test_kill_and_remember(tmp_path: Path) -> None:
    output = (
        shell("touch a; rm a; sleep 9", tmp_path).supervised(lambda c: KILL, ask="delete").run()
    )
    assert output.status == "killed"
    count = 0

    def decide(call: evalbox.Context) -> evalbox.Decision:
        nonlocal count
        count += 1
        return ALLOW(remember="run")

    script = "for i in 1 2 3; do touch a; rm a; done"
    assert shell(script, tmp_path).supervised(decide, ask="delete").run().ok
    assert count == 1


def test_an_exception_denies_and_comes_out(tmp_path: Path) -> None:
    def decide(call: evalbox.Context) -> evalbox.Decision:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        shell("touch a; rm a; sleep 60", tmp_path).supervised(decide, ask="delete").run()
    assert (tmp_path / "a").exists()


@pytest.mark.parametrize("said", [True, "allow", 1])
def test_other_answers_are_mistakes(tmp_path: Path, said: object) -> None:
    plan = shell("touch a; rm a", tmp_path)
    with pytest.raises(TypeError, match="the callback must return"):
        plan.supervised(lambda call: said, ask="delete").run()


def test_an_async_callback_needs_arun(tmp_path: Path) -> None:
    async def decide(call: evalbox.Context) -> evalbox.Decision:
        return ALLOW

    plan = shell("touch a; rm a", tmp_path).supervised(decide, ask="delete")
    with pytest.warns(RuntimeWarning), pytest.raises(TypeError, match="arun"):
        plan.run()
    assert asyncio.run(plan.arun()).ok


def test_no_answer_is_no(tmp_path: Path) -> None:
    output = shell("touch a; rm a", tmp_path).supervised(lambda call: None, ask="delete").run()
    assert not output.ok
    assert "no answer" in output.refused[0].target


def test_a_session_yields_questions(tmp_path: Path) -> None:
    plan = shell(DELETE, tmp_path).supervised(ask=["delete"])
    with evalbox.Session() as session:
        job = session.spawn(plan)
        output = None
        for event in session:
            match event:
                case evalbox.Syscall(context=evalbox.Delete(path=path)):
                    assert event.job == job
                    assert not event.directory
                    assert event.pid > 1
                    if path.endswith("/a"):
                        event.deny(reason="not that one")
                    else:
                        event.allow()
                    with pytest.raises(evalbox.SessionError, match="answer already"):
                        event.kill()
                case evalbox.Completed(output=output):
                    pass
        assert output is not None
        assert output.stdout == "a\n"
        with pytest.raises(TypeError, match="yields Syscall"):
            session.spawn(plan.supervised(lambda call: ALLOW))


def test_answers_from_another_thread_in_any_order(tmp_path: Path) -> None:
    script = "for i in 1 2 3; do (touch $i; rm $i && echo $i) & done; wait"
    with evalbox.Session() as session:
        session.spawn(shell(script, tmp_path).supervised(ask="delete"))
        waiting: list[evalbox.Syscall] = []

        def answer() -> None:
            for event in reversed(waiting):
                event.allow()

        lines = 0
        for event in session:
            if isinstance(event, evalbox.Syscall):
                waiting.append(event)
                if len(waiting) == 3:
                    threading.Timer(0.1, answer).start()
            elif isinstance(event, evalbox.Completed):
                lines = len(event.output.stdout.splitlines())
        assert lines == 3


def test_closing_denies(tmp_path: Path) -> None:
    with evalbox.Session() as session:
        session.spawn(shell("touch a; rm a", tmp_path).supervised(ask="delete"))
        while not isinstance(session.poll(10), evalbox.Syscall):
            pass
    assert (tmp_path / "a").exists()


def test_nobody_answers_in_time(tmp_path: Path) -> None:
    policy = evalbox.Policy(ask="delete", ask_timeout=0.1)
    with evalbox.Session() as session:
        session.spawn(shell("touch a; rm a; echo $?", tmp_path).supervised(policy))
        events = list(session)
    assert any(isinstance(event, evalbox.Withdrawn) for event in events)
    assert events[-1].output.stdout == "1\n"  # type: ignore[union-attr]


def test_asyncio_runs_callbacks_side_by_side(tmp_path: Path) -> None:
    running = most = 0

    async def decide(call: evalbox.Context) -> evalbox.Decision:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.2)
        running -= 1
        return ALLOW

    async def main() -> None:
        script = "for i in 1 2 3; do (touch $i; rm $i) & done; wait"
        output = await shell(script, tmp_path).supervised(decide, ask="delete").arun()
        assert output.ok
        output = await evalbox.arun("40 + 2", supervise=decide, ask="delete")
        assert output.value == 42

    asyncio.run(main())
    assert most == 3


def test_asyncio_exceptions_and_cancelling(tmp_path: Path) -> None:
    async def decide(call: evalbox.Context) -> evalbox.Decision:
        raise KeyError("mine")

    async def main() -> None:
        plan = shell("touch a; rm a; sleep 60", tmp_path)
        with pytest.raises(KeyError):
            await plan.supervised(decide, ask="delete").arun()
        begun = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(plan.arun(), 0.3)
        assert time.monotonic() - begun < 5

    asyncio.run(main())


def test_async_for(tmp_path: Path) -> None:
    async def main() -> list[str]:
        kinds = []
        async with evalbox.Session() as session:
            session.spawn(shell(DELETE, tmp_path).supervised(ask="delete"))
            async for event in session:
                kinds.append(type(event).__name__)
                if isinstance(event, evalbox.Syscall):
                    await asyncio.sleep(0)
                    event.allow()
        return kinds

    kinds = asyncio.run(main())
    assert kinds.count("Syscall") == 2
    assert kinds[-1] == "Completed"


def test_the_callback_has_the_callers_context(tmp_path: Path) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    def decide(call: evalbox.Context) -> evalbox.Decision:
        seen.append((variable.get(), threading.current_thread()))
        return ALLOW

    variable.set(7)
    assert shell("touch a; rm a", tmp_path).supervised(decide, ask="delete").run().ok
    assert seen == [(7, threading.main_thread())]


def test_an_interrupt_ends_the_wait(tmp_path: Path) -> None:
    def decide(call: evalbox.Context) -> evalbox.Decision:
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
        return ALLOW

    plan = shell("touch a; rm a; sleep 60", tmp_path).supervised(decide, ask="delete")
    with pytest.raises(KeyboardInterrupt):
        plan.run()


def test_policies(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("secret")
    (tmp_path / ".env.example").write_text("example")
    policy = evalbox.Policy(ask="exec").deny(
        read="./**/.env*", unless="./**/.env.example", reason="private", errno=errno.ENOENT
    )
    assert policy != evalbox.Policy()
    assert hash(policy) == hash(policy.ask())
    output = shell("cat .env; cat .env.example", tmp_path).supervised(policy, lambda c: ALLOW).run()
    assert output.stdout == "example"
    assert "No such file" in output.stderr
    policy = evalbox.Policy().deny(exec=[["/**/echo", "...", "no"]])
    output = shell("/bin/echo yes; /bin/echo a no", tmp_path).supervised(policy).run()
    assert output.stdout == "yes\n"


def test_a_second_supervisor_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("secret")
    policy = evalbox.Policy().deny(read="./.env")
    plan = shell("cat .env", tmp_path).supervised(policy)
    assert plan.supervised(lambda call: ALLOW).run().stdout == ""
    assert plan.supervised(evalbox.Policy(ask="read"), lambda call: ALLOW).run().stdout == ""
    assert plan.supervised(ask="read").supervised(lambda call: ALLOW).run().stdout == ""


def test_decisions_are_values() -> None:
    assert ALLOW(remember="run")(reason="x") == ALLOW(reason="x", remember="run")
    assert DENY(reason="why", errno=errno.EPERM) != DENY
    assert repr(DENY(reason="why", errno=1)) == 'evalbox.DENY(reason="why", errno=1)'
    for words in ({"errno": 512}, {"errno": 0}, {"remember": "always"}):
        with pytest.raises(ValueError, match=r"errno|remember"):
            DENY(**words)
    with pytest.raises(ValueError, match="errno"):
        ALLOW(errno=1)


def test_two_tasks_may_iterate(tmp_path: Path) -> None:
    async def main() -> None:
        async with evalbox.Session() as session:
            for _ in range(4):
                session.spawn(evalbox.Plan(["sleep", "0.2"]))

            async def drain() -> int:
                return len([event async for event in session])

            assert sum(await asyncio.gather(drain(), drain())) == 4

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: evalbox.Policy(ask="unlink"), "it is no operation"),
        (lambda: evalbox.Policy(alow="x"), "it is no operation"),
        (lambda: evalbox.Policy(read="**/x"), "say where"),
        (lambda: evalbox.Policy().deny(connect="pypi.org:443"), "names can't be looked up"),
        (lambda: evalbox.Policy().deny(read="/x", errno=5), "errno is one of"),
        (lambda: evalbox.Policy(ask_timeout=0), "ask_timeout"),
    ],
)
def test_mistakes_in_policies(make, message: str) -> None:
    with pytest.raises(evalbox.PolicyError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert caught.value.problem in str(caught.value)
    assert caught.value.rule


def test_names_that_are_no_text(tmp_path: Path) -> None:
    seen = []

    def decide(call: evalbox.Context) -> evalbox.Decision:
        seen.append(os.fsencode(call.path))  # type: ignore[union-attr]
        return ALLOW

    script = "touch \"$(printf '\\377')\"; rm *"
    assert shell(script, tmp_path).supervised(decide, ask="delete").run().ok
    assert seen[0].endswith(b"/\xff")


def test_the_audit_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    plan = shell("touch a; rm a; rm a", tmp_path).supervised(lambda c: ALLOW, ask="delete")
    plan.audit(log).run()
    plan.audit(log).run()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == 2
    line = lines[0]
    assert line["operation"] == "delete"
    assert line["decision"] == "allow"
    assert line["asked"] is True
    assert line["time"].endswith("Z")
    assert line["latency_us"] > 0
