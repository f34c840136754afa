from __future__ import annotations

import errno
import inspect
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import evalbox
from evalbox import Limits, Plan, PlanError


def sh(script: str, **words: Any) -> evalbox.Output:
    return Plan(["sh", "-c", script], **words).run()


def test_a_command_runs() -> None:
    output = sh("echo out; echo err >&2; exit 3")
    assert not output.ok
    assert (output.status, output.exit_code, output.signal) == ("exited", 3, None)
    assert (output.stdout, output.stderr) == ("out\n", "err\n")
    assert (output.stdout_bytes, output.stderr_bytes) == (b"out\n", b"err\n")
    assert not output.truncated
    assert output.files == {}
    assert output.refused == []
    assert output.refused_beyond == 0
    assert output.value is None
    assert output.value_repr is None
    assert output.error is None
    assert 0 < output.duration == output.usage.wall < 10
    assert output.usage.peak_memory > 0
    assert output.usage.tasks >= 1
    assert output.usage.user >= 0
    assert output.usage.system >= 0


def test_output_that_is_not_utf8() -> None:
    output = sh(r"printf 'a\377b\303'")
    assert output.stdout_bytes == b"a\xffb\xc3"
    assert output.stdout == output.stdout_bytes.decode(errors="replace") == "a\ufffdb\ufffd"
    assert output.stdout is output.stdout


@pytest.mark.parametrize("builder", [False, True])
def test_words_and_keywords_say_the_same(tmp_path: Path, builder: bool) -> None:
    (tmp_path / "in").write_text("granted")
    script = 'cat; cat "$D/in"; echo "$A" > "$D/out"; cat sub/f; pwd; echo made > made; echo "$1"'
    command: list[Any] = ["sh", b"-c", script, "sh"]
    if builder:
        plan = (
            Plan(command)
            .arg("word")
            .write(tmp_path)
            .env("A", "1")
            .env(D=tmp_path)
            .file("sub/f", "text")
            .collect(["made", "missing"])
            .stdin(b"input ")
            .timeout(20)
            .limits(Limits(tasks=50))
        )
    else:
        plan = Plan(
            [*command, "word"],
            write=[tmp_path],
            env={"A": "1", "D": tmp_path},
            files={"sub/f": b"text"},
            collect=["made", "missing"],
            stdin="input ",
            timeout=20.0,
            limits=Limits(tasks=50),
        )
    output = plan.run(check=True)
    assert output.stdout.startswith("input grantedtext/")
    assert output.stdout.endswith("\nword\n")
    assert (tmp_path / "out").read_text() == "1\n"
    assert output.files == {"made": b"made\n"}


def test_a_plan_never_changes() -> None:
    plan = Plan(["sh", "-c", "echo $A"])
    assert plan.env(A="1").run().stdout == "1\n"
    assert plan.run().stdout == "\n"


@pytest.mark.parametrize("as_path", [str, os.fsencode, Path])
def test_paths_are_str_bytes_or_pathlike(tmp_path: Path, as_path: Any) -> None:
    path = tmp_path / "f\u00fc"
    path.write_text("x")
    plan = Plan(["cat", as_path(path)])
    assert not plan.run().ok
    assert plan.read(as_path(tmp_path)).run().stdout == "x"
    assert plan.read([as_path(tmp_path)]).run().stdout == "x"
    assert Plan(["cat", as_path(path)], read=as_path(tmp_path)).run().stdout == "x"
    assert Plan(["pwd"], read=tmp_path, cwd=as_path(tmp_path)).run().stdout == f"{tmp_path}\n"


def test_grants_of_several_kinds(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    command = ["sh", "-c", f"{program}"]
    assert Plan(command, read=tmp_path).run().exit_code == 126
    assert Plan(command, execute=tmp_path).run().stdout == "ran\n"
    assert Plan(command).execute(tmp_path).run().stdout == "ran\n"
    assert not sh(f"echo > {tmp_path}/new", execute=tmp_path).ok
    assert sh(f"echo > {tmp_path}/new", write=tmp_path).ok


def test_connect_and_bind() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port})); print('in')"
        plan = Plan(["/usr/bin/python3", "-c", code])
        if not os.path.exists("/usr/bin/python3"):
            pytest.skip("there is no system Python")
        assert not plan.run().ok
        assert plan.connect(f"127.0.0.1:{port}").run().stdout == "in\n"
    listen = f"import socket; socket.create_server(('127.0.0.1', {port})); print('up')"
    plan = Plan(["/usr/bin/python3", "-c", listen])
    assert not plan.run().ok
    assert plan.bind([f"127.0.0.1:{port}"]).run().stdout == "up\n"


def test_signals_and_limits() -> None:
    output = sh("kill -SEGV $$")
    assert (output.status, output.signal, output.exit_code) == ("signaled", 11, None)
    output = sh("yes", limits=Limits(output="10K"))
    assert (output.status, output.truncated, output.signal) == ("output_limit", True, 9)
    assert len(output.stdout_bytes) <= 10240
    output = sh("sleep 60", timeout=0.1)
    assert (output.status, output.signal) == ("timed_out", 9)
    output = sh("while :; do :; done", limits=Limits(cpu=0.1))
    assert output.status == "cpu_limit"
    output = sh("head -c 20M /dev/zero > f; sleep 5", limits=Limits(workspace="1M"))
    assert output.status == "workspace_limit" or not output.ok
    output = sh("x=$(head -c 200M /dev/zero | tr '\\0' x); echo ${#x}", limits=Limits(memory="32M"))
    assert output.status == "out_of_memory" or not output.ok


def test_refused_calls_are_told() -> None:
    output = sh("unshare -n true; kill -9 1; nice -n 5 true")
    for refused in output.refused:
        assert refused.syscall
        assert refused.errno in errno.errorcode
        assert refused.count >= 1
        assert repr(refused).startswith("Refused(syscall=")


def test_check() -> None:
    assert Plan(["true"]).run(check=True).check().ok
    with pytest.raises(evalbox.ExecutionFailed, match=r"exit code 3: it went wrong") as failed:
        Plan(["sh", "-c", "echo it went wrong >&2; exit 3"]).run(check=True)
    assert failed.value.output.exit_code == 3
    with pytest.raises(evalbox.ExecutionFailed, match=r"signal 15 \(SIGTERM\)"):
        sh("kill $$").check()
    with pytest.raises(evalbox.TimeoutExpired, match="timeout") as late:
        sh("echo early; sleep 60", timeout=0.2).check()
    assert isinstance(late.value, TimeoutError)
    assert late.value.errno is None
    assert late.value.output.stdout == "early\n"
    with pytest.raises(evalbox.OutputLimitExceeded) as much:
        sh("yes", limits=Limits(output=100)).check()
    assert much.value.output.truncated
    for error in (failed.value, late.value, much.value):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert copy.output.stdout_bytes == error.output.stdout_bytes


def test_pickles() -> None:
    output = sh("printf 'a\\377'; echo x > f; exit 2", collect="f")
    copy = pickle.loads(pickle.dumps(output))
    names = [name for name in dir(output) if not name.startswith("_")]
    for name in set(names) - {"check", "usage"}:
        assert getattr(copy, name) == getattr(output, name)
    assert repr(copy.usage) == repr(output.usage)
    limits = Limits(memory="64M", cpu=1.5, tasks=None)
    assert pickle.loads(pickle.dumps(limits)) == limits
    with pytest.raises(ValueError, match="pickle"):
        evalbox.Output._restore(b"nonsense")


def test_reprs() -> None:
    assert repr(Plan(["ls", b"-l"])) == 'Plan(["ls", "-l"])'
    assert repr(sh("echo hi; exit 1")).startswith(
        "Output(status='exited', exit_code=1, stdout='hi\\n', duration="
    )
    assert len(repr(sh("yes | head -c 100000"))) < 1000
    assert repr(Limits()) == (
        "Limits(memory=1073741824, cpu=None, tasks=256, output=10485760, file_size=1073741824, "
        "open_files=512, workspace=1073741824)"
    )
    assert eval(repr(Limits(cpu=1.5))) == Limits(cpu=1.5)


def test_limits() -> None:
    limits = Limits(memory="256M", cpu=2, tasks=3, output="1K", file_size="2GiB", open_files=9)
    assert limits.memory == 256 << 20
    assert limits.cpu == 2.0
    assert limits.tasks == 3
    assert limits.output == 1024
    assert limits.file_size == 2 << 30
    assert limits.open_files == 9
    assert limits.workspace == 1 << 30
    assert Limits(memory=None).memory is None
    assert Limits.unlimited().tasks is None
    assert Limits() == Limits()
    assert Limits() != Limits(tasks=1)
    assert hash(Limits()) == hash(Limits())
    with pytest.raises(AttributeError):
        limits.memory = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"memory": 0}, "limits.memory"),
        ({"memory": -1}, "limits.memory"),
        ({"memory": 1 << 70}, "limits.memory"),
        ({"memory": "12X"}, "limits.memory"),
        ({"memory": ""}, "limits.memory"),
        ({"memory": "1.5G"}, "limits.memory"),
        ({"output": 0}, "limits.output"),
        ({"file_size": 0}, "limits.file_size"),
        ({"workspace": 1}, "limits.workspace"),
        ({"tasks": 0}, "limits.tasks"),
        ({"tasks": -1}, "limits.tasks"),
        ({"tasks": 1 << 40}, "limits.tasks"),
        ({"open_files": 0}, "limits.open_files"),
        ({"cpu": 0}, "limits.cpu"),
        ({"cpu": -1.0}, "limits.cpu"),
        ({"cpu": float("nan")}, "limits.cpu"),
    ],
)
def test_limits_out_of_bounds(words: dict[str, Any], field: str) -> None:
    with pytest.raises(PlanError, match=field) as error:
        Limits(**words)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "words",
    [
        {"memory": 1.5},
        {"memory": []},
        {"cpu": "1"},
        {"tasks": "1"},
        {"open_files": None},
        {"swap": 1},
    ],
)
def test_limits_of_wrong_types(words: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(words))):
        Limits(**words)
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"read": "relative"}, 'read: "relative" is not an absolute path'),
        ({"write": ["here"]}, "write"),
        ({"execute": ""}, "execute"),
        ({"cwd": "here"}, "cwd"),
        ({"read": "/no/such/path"}, "read: .*ENOENT"),
        ({"read": "/tmp/a\0b"}, "NUL"),
        ({"write": "/"}, "write"),
        ({"write": "/proc"}, "write"),
        ({"files": {"../x": b""}}, "files"),
        ({"files": {"/x": b""}}, "files"),
        ({"files": {"a/../../x": b""}}, "files"),
        ({"files": {"a\0": b""}}, "NUL"),
        ({"files": {"": b""}}, "files"),
        ({"collect": "../x"}, "collect"),
        ({"env": {"A=B": "1"}}, "env"),
        ({"env": {"": "1"}}, "env"),
        ({"env": {"A": "1\0"}}, "NUL"),
        ({"connect": "nonsense"}, "connect"),
        ({"connect": "127.0.0.1:99999"}, "connect"),
        ({"bind": ["*"]}, "bind"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": 1e12}, "timeout"),
        ({"stdin": evalbox.PIPE}, "PIPE"),
    ],
)
def test_mistakes_in_plans(words: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        Plan(["true"], **words).run()


@pytest.mark.parametrize("command", [[], [""], ["true", "a\0b"], ["a" * 200_000]])
def test_mistakes_in_commands(command: list[str]) -> None:
    with pytest.raises(PlanError, match="command"):
        Plan(command).run()


@pytest.mark.parametrize(
    "words",
    [
        {"read": 1},
        {"read": [1]},
        {"write": None},
        {"cwd": 1},
        {"files": ["a"]},
        {"files": {"a": 1}},
        {"env": {"A": 1}},
        {"env": "A=1"},
        {"connect": 1},
        {"connect": [b"a"]},
        {"stdin": 3},
        {"stdin": 1.5},
        {"timeout": "1"},
        {"limits": {"memory": 1}},
        {"limits": 3},
        {"check": True},
        {"venv": "/x"},
    ],
)
def test_wrong_types(words: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(words))):
        Plan(["true"], **words)


@pytest.mark.parametrize("command", ["ls -l", b"ls", 1, None, [1], [["ls"]]])
def test_wrong_commands(command: Any) -> None:
    with pytest.raises(TypeError):
        Plan(command)


def test_wrong_types_of_methods() -> None:
    plan = Plan(["true"])
    for call in (
        lambda: plan.arg(1),  # type: ignore[arg-type]
        lambda: plan.read(None),  # type: ignore[arg-type]
        lambda: plan.env("A"),
        lambda: plan.env(A=1),  # type: ignore[arg-type]
        lambda: plan.file("a", 1),  # type: ignore[arg-type]
        lambda: plan.stdin(None),  # type: ignore[arg-type]
        lambda: plan.limits({}),  # type: ignore[arg-type]
        lambda: plan.timeout("1"),  # type: ignore[arg-type]
        lambda: plan.run(True),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError):
            call()


def test_data_of_every_kind() -> None:
    for data in (
        "\u00fc",
        "\u00fc".encode(),
        bytearray("\u00fc".encode()),
        memoryview("\u00fc".encode()),
    ):
        assert Plan(["cat"], stdin=data).run().stdout == "\u00fc"
        assert Plan(["cat", "f"], files={"f": data}).run().stdout == "\u00fc"
    with pytest.raises(UnicodeEncodeError):
        Plan(["cat"], stdin="\ud800")
    big = b"x" * 3_000_000
    assert Plan(["cat"], stdin=big).run().stdout_bytes == big
    assert Plan(["cat", "f"], files={"f": big}).run().stdout_bytes == big


def test_commands_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(evalbox.CommandNotFound, match=r'"no-such-command" was not found') as error:
        Plan(["no-such-command"]).run()
    assert isinstance(error.value, FileNotFoundError)
    assert isinstance(error.value, evalbox.LaunchError)
    assert error.value.errno == errno.ENOENT
    text = tmp_path / "text"
    text.write_text("no program")
    with pytest.raises(evalbox.LaunchError, match="text") as error2:
        Plan([text]).run()
    assert isinstance(error2.value, OSError)
    assert error2.value.errno in (errno.EACCES, errno.ENOEXEC)


def test_errors_are_a_tree() -> None:
    for error, base in [
        (evalbox.Unavailable, OSError),
        (evalbox.PolicyError, ValueError),
        (evalbox.PlanError, ValueError),
        (evalbox.RuntimeNotFound, FileNotFoundError),
        (evalbox.CompileError, Exception),
        (evalbox.TimeoutExpired, TimeoutError),
        (evalbox.OutputLimitExceeded, Exception),
        (evalbox.ExecutionFailed, Exception),
        (evalbox.LaunchError, OSError),
        (evalbox.CommandNotFound, FileNotFoundError),
        (evalbox.SessionError, RuntimeError),
        (evalbox.UseAfterFork, evalbox.SessionError),
    ]:
        assert issubclass(error, evalbox.EvalboxError)
        assert issubclass(error, base)
        assert error.__module__ == "evalbox"


def test_everything_is_documented_and_has_a_signature() -> None:
    for name in evalbox.__all__:
        thing = getattr(evalbox, name)
        if inspect.isclass(thing):
            assert thing.__doc__, name
            # A dataclass tells of its fields in its own words.
            fields = getattr(thing, "__dataclass_fields__", {})
            for member, value in vars(thing).items():
                if not member.startswith("_") and member not in fields:
                    assert value.__doc__, f"{name}.{member}"
                    if callable(value):
                        inspect.signature(value)
    assert list(inspect.signature(Plan).parameters)[:3] == ["command", "read", "write"]
    assert inspect.signature(Limits).parameters["memory"].default == 1 << 30


def test_doctor() -> None:
    doctor = evalbox.doctor()
    assert doctor.ok
    assert doctor.entries
    for entry in doctor.entries:
        assert entry.name
        assert entry.state in ("ok", "degraded", "missing")
        assert entry.name in str(doctor)
        assert entry.remedy is None or isinstance(entry.remedy, str)
        assert repr(entry).startswith("DoctorEntry(name=")
    assert "ok=True" in repr(doctor)


def test_dotted_paths_mean_the_hosts_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("here")
    output = Plan(["cat", "in/file"]).read("./in").cwd(".").run()
    assert output.stdout == "here"
    output = Plan(["sh", "-c", "echo new > made"], write=["."], cwd=".").run()
    assert output.ok
    assert (tmp_path / "made").read_text() == "new\n"
    for path in ("in", "../x", ".."):
        with pytest.raises(evalbox.PlanError):
            Plan(["true"], read=path).run()
