from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import evalbox
from evalbox import Completed, Limits, Session


def test_the_value_of_the_last_expression() -> None:
    output = evalbox.run("print('hello')\n[1, {'a': (None, True)}, -2.5, b'x']")
    assert output.ok
    assert output.stdout == "hello\n"
    assert output.value == [1, {"a": (None, True)}, -2.5, b"x"]
    assert output.value_repr == "[1, {'a': (None, True)}, -2.5, b'x']"
    assert output.value is output.value
    assert output.error is None
    assert "value=[1, " in repr(output)
    assert evalbox.run("x = 1").value is None
    assert evalbox.run("None").value_repr is None


@pytest.mark.parametrize("code", ["object()", "range(3)", "float('nan')", "print", "1 .__add__"])
def test_values_that_are_no_literals_are_text(code: str) -> None:
    output = evalbox.run(code)
    assert isinstance(output.value, str)
    assert output.value == output.value_repr


@pytest.mark.parametrize(
    "text",
    [
        "'(' * 30000 + ')' * 30000",
        "'[' * 1000 + ']' * 1000",
        "'-' * 60000 + '1'",
        "'1+' * 30000 + '1'",
        "'1' + '.real' * 10000",
        "'9' * 60000",
        "'{[]: 1}'",
        "'01'",
        "'\"\\\\d\"'",
        "'__import__(\"os\").abort()'",
        "'x' * 200000",
        "'\\0'",
        "'1if 1else 1'",
        "''",
    ],
)
def test_values_from_a_hostile_repr(text: str) -> None:
    code = f"class C:\n    def __repr__(self): return {text}\nC()"
    output = evalbox.run(code)
    assert output.ok
    assert output.value == output.value_repr
    assert isinstance(output.value, str)


def test_exceptions_of_the_program() -> None:
    output = evalbox.run("def f():\n    raise ValueError('no')\nf()")
    assert not output.ok
    error = output.error
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "no")
    assert "in f" in error.traceback
    assert str(error) == error.traceback
    assert repr(error) == "ExceptionInfo(type='ValueError', message='no')"
    with pytest.raises(evalbox.ExecutionFailed, match="ValueError: no") as failed:
        output.check()
    copy = pickle.loads(pickle.dumps(failed.value))
    assert copy.output.error.traceback == error.traceback


def test_keywords(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("granted")
    output = evalbox.python.run(
        "import os, sys, module\n"
        "open('made', 'w').write('x')\n"
        "(sys.argv[1:], os.environ['A'], sys.stdin.read(), module.x, open(sys.argv[1]).read())",
        args=[tmp_path / "data"],
        read=tmp_path,
        env={"A": "1"},
        stdin="input",
        files={"module.py": "x = 5"},
        collect="made",
        timeout=20,
        limits=Limits(tasks=10),
        check=True,
    )
    assert output.value == ([f"{tmp_path}/data"], "1", "input", 5, "granted")
    assert output.files == {"made": b"x"}


def test_shell() -> None:
    output = evalbox.shell.run('echo "$1" $A; exit 3', args=["word"], env={"A": "1"})
    assert (output.stdout, output.exit_code, output.value) == ("word 1\n", 3, None)
    assert evalbox.run("echo x", "shell").stdout == "x\n"
    assert evalbox.run(b"echo x", language="shell").stdout == "x\n"


def test_interpreters(tmp_path: Path) -> None:
    version = evalbox.run("import sys; sys.version_info[:2]", interpreter=sys.executable).value
    assert version == sys.version_info[:2]
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    assert evalbox.run("import sys; sys.prefix", venv=venv).value == str(venv)
    for words in ({"interpreter": "/no/such/python"}, {"venv": tmp_path}):
        with pytest.raises(evalbox.RuntimeNotFound) as error:
            evalbox.run("1", **words)
        assert isinstance(error.value, FileNotFoundError)


def test_plans_of_a_language() -> None:
    plan = evalbox.python.plan("import os; os.environ['A']").env(A="1")
    assert plan.run().value == "1"
    with Session() as session:
        job = session.spawn(plan)
        other = session.spawn(evalbox.python.plan("1 / 0"))
        ended = {event.job: event.output for event in session if isinstance(event, Completed)}
    assert ended[job].value == "1"
    error = ended[other].error
    assert error is not None
    assert error.type == "ZeroDivisionError"


def test_languages() -> None:
    assert evalbox.Runtime("python") == evalbox.python != evalbox.shell
    assert hash(evalbox.Runtime("python")) == hash(evalbox.python)
    assert evalbox.python.name == "python"
    assert repr(evalbox.shell) == "Runtime('shell')"
    assert pickle.loads(pickle.dumps(evalbox.shell)) == evalbox.shell
    for call in (lambda: evalbox.run("1", "cobol"), lambda: evalbox.Runtime("cobol")):
        with pytest.raises(evalbox.PlanError, match=r"cobol.*python"):
            call()


@pytest.mark.parametrize(
    "words",
    [
        {"args": "one"},
        {"args": 1},
        {"venv": 1},
        {"interpreter": []},
        {"nonsense": 1},
    ],
)
def test_wrong_types(words: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(words))):
        evalbox.run(**{"code": "1", **words})
    for wrong in ({"code": 1}, {"code": "1", "language": 1}):
        with pytest.raises(TypeError):
            evalbox.run(**wrong)
    with pytest.raises(TypeError, match="check"):
        evalbox.python.plan("1", check=True)  # type: ignore[call-arg]


def test_mistakes() -> None:
    for words in ({"read": "relative"}, {"files": {"../x": ""}}, {"args": ["a\0"]}):
        with pytest.raises(evalbox.PlanError):
            evalbox.run("1", **words)
    with pytest.raises(evalbox.ExecutionFailed, match="SyntaxError"):
        evalbox.run("1 +", check=True)
    with pytest.raises(evalbox.TimeoutExpired) as late:
        evalbox.run("print('x', flush=True)\nwhile True: pass", timeout=0.5, check=True)
    assert late.value.output.stdout == "x\n"
