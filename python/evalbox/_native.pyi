import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias, final

from typing_extensions import Self

from evalbox.contexts import Context
from evalbox.errors import EvalboxError

_Text: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_Paths: TypeAlias = _Text | Iterable[_Text]
_Endpoints: TypeAlias = str | Iterable[str]
_Data: TypeAlias = str | bytes | bytearray | memoryview
_Input: TypeAlias = _Data | Literal[-1]
_Size: TypeAlias = int | str
_Status: TypeAlias = Literal[
    "exited",
    "signaled",
    "timed_out",
    "cpu_limit",
    "out_of_memory",
    "output_limit",
    "workspace_limit",
    "killed",
]
_Event: TypeAlias = Stdout | Stderr | Syscall | Withdrawn | Completed | TimedOut | Failed
_Operation: TypeAlias = Literal[
    "read",
    "modify",
    "create",
    "delete",
    "rename",
    "metadata",
    "exec",
    "connect",
    "bind",
    "fork",
    "signal",
    "write",
    "open",
    "network",
    "all",
]
_Operations: TypeAlias = _Operation | Iterable[_Operation]
_Decide: TypeAlias = Callable[[Context], Decision | Awaitable[Decision | None] | None]
_Targets: TypeAlias = str | Iterable[str | Sequence[str]]
_Patterns: TypeAlias = str | Sequence[str]
_Remember: TypeAlias = Literal["once", "run"]

__all__ = [
    "ALLOW",
    "DENY",
    "KILL",
    "PIPE",
    "Completed",
    "Decision",
    "Doctor",
    "DoctorEntry",
    "ExceptionInfo",
    "Failed",
    "Job",
    "Limits",
    "Output",
    "Plan",
    "Policy",
    "Refused",
    "Runtime",
    "Session",
    "Stderr",
    "Stdout",
    "Syscall",
    "TimedOut",
    "Usage",
    "Withdrawn",
    "__version__",
    "cli_main",
    "doctor",
    "run",
    "set_packaged_daemon",
]

ALLOW: Final[Decision]
DENY: Final[Decision]
KILL: Final[Decision]
PIPE: Final = -1
__version__: Final[str]

def cli_main(arguments: Sequence[_Text], /) -> int: ...
def doctor() -> Doctor: ...
def run(
    code: _Data,
    language: str = "python",
    *,
    args: Sequence[_Text] = (),
    venv: _Text | None = None,
    interpreter: _Text | None = None,
    check: bool = False,
    read: _Paths = (),
    write: _Paths = (),
    execute: _Paths = (),
    connect: _Endpoints = (),
    bind: _Endpoints = (),
    env: Mapping[str, _Text] | None = None,
    cwd: _Text | None = None,
    files: Mapping[str, _Data] | None = None,
    collect: _Paths = (),
    stdin: _Input | None = None,
    timeout: float | None = 30.0,
    limits: Limits | None = None,
    supervise: Policy | _Decide | None = None,
    ask: _Operations | None = None,
    audit: _Text | None = None,
) -> Output: ...
def set_packaged_daemon(path: str | os.PathLike[str], /) -> None: ...

@final
class Limits:
    def __new__(
        cls,
        *,
        memory: _Size | None = 1073741824,
        cpu: float | None = None,
        tasks: int | None = 256,
        output: _Size | None = 10485760,
        file_size: _Size | None = 1073741824,
        open_files: int = 512,
        workspace: _Size | None = 1073741824,
    ) -> Self: ...
    @staticmethod
    def unlimited() -> Limits: ...
    @property
    def memory(self) -> int | None: ...
    @property
    def cpu(self) -> float | None: ...
    @property
    def tasks(self) -> int | None: ...
    @property
    def output(self) -> int | None: ...
    @property
    def file_size(self) -> int | None: ...
    @property
    def open_files(self) -> int: ...
    @property
    def workspace(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @staticmethod
    def _restore(state: bytes, /) -> Limits: ...

@final
class Plan:
    def __new__(
        cls,
        command: Sequence[_Text],
        *,
        read: _Paths = (),
        write: _Paths = (),
        execute: _Paths = (),
        connect: _Endpoints = (),
        bind: _Endpoints = (),
        env: Mapping[str, _Text] | None = None,
        cwd: _Text | None = None,
        files: Mapping[str, _Data] | None = None,
        collect: _Paths = (),
        stdin: _Input | None = None,
        timeout: float | None = 30.0,
        limits: Limits | None = None,
        supervise: Policy | _Decide | None = None,
        ask: _Operations | None = None,
        audit: _Text | None = None,
    ) -> Self: ...
    def arg(self, word: _Text, /) -> Plan: ...
    def read(self, path: _Paths, /) -> Plan: ...
    def write(self, path: _Paths, /) -> Plan: ...
    def execute(self, path: _Paths, /) -> Plan: ...
    def connect(self, endpoint: _Endpoints, /) -> Plan: ...
    def bind(self, endpoint: _Endpoints, /) -> Plan: ...
    def env(
        self, name: _Text | None = None, value: _Text | None = None, /, **variables: _Text
    ) -> Plan: ...
    def cwd(self, path: _Text, /) -> Plan: ...
    def file(self, path: _Text, data: _Data, /) -> Plan: ...
    def collect(self, path: _Paths, /) -> Plan: ...
    def stdin(self, data: _Input, /) -> Plan: ...
    def timeout(self, seconds: float | None, /) -> Plan: ...
    def limits(self, limits: Limits, /) -> Plan: ...
    def supervised(
        self,
        policy: Policy | _Decide | None = None,
        decide: Policy | _Decide | None = None,
        *,
        ask: _Operations | None = None,
    ) -> Plan: ...
    def audit(self, path: _Text, /) -> Plan: ...
    def run(self, *, check: bool = False) -> Output: ...
    def arun(self, *, check: bool = False) -> Coroutine[Any, Any, Output]: ...
    def _parts(self) -> tuple[Plan, _Decide | None]: ...

@final
class Policy:
    def __new__(
        cls,
        *,
        ask: _Operations | None = None,
        deny: _Operations | None = None,
        kill: _Operations | None = None,
        ask_timeout: float | None = None,
        **allow: _Targets,
    ) -> Self: ...
    def allow(
        self, *, unless: _Patterns | None = None, name: str | None = None, **targets: _Targets
    ) -> Policy: ...
    def ask(
        self,
        *operations: _Operation,
        unless: _Patterns | None = None,
        reason: str | None = None,
        name: str | None = None,
        **targets: _Targets,
    ) -> Policy: ...
    def deny(
        self,
        *operations: _Operation,
        unless: _Patterns | None = None,
        reason: str | None = None,
        name: str | None = None,
        errno: int | None = None,
        **targets: _Targets,
    ) -> Policy: ...
    def kill(
        self,
        *operations: _Operation,
        unless: _Patterns | None = None,
        reason: str | None = None,
        name: str | None = None,
        **targets: _Targets,
    ) -> Policy: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Decision:
    def __call__(
        self,
        *,
        reason: str | None = None,
        errno: int | None = None,
        remember: _Remember | None = None,
    ) -> Decision: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Output:
    @property
    def ok(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def status(self) -> _Status: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...
    @property
    def stdout_bytes(self) -> bytes: ...
    @property
    def stderr_bytes(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def files(self) -> dict[str, bytes]: ...
    @property
    def refused(self) -> list[Refused]: ...
    @property
    def refused_beyond(self) -> int: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def duration(self) -> float: ...
    @property
    def value(self) -> object: ...
    @property
    def value_repr(self) -> str | None: ...
    @property
    def error(self) -> ExceptionInfo | None: ...
    def check(self) -> Output: ...
    @staticmethod
    def _restore(state: bytes, /) -> Output: ...

@final
class Runtime:
    def __new__(cls, name: str) -> Self: ...
    @property
    def name(self) -> str: ...
    def plan(
        self,
        code: _Data,
        *,
        args: Sequence[_Text] = (),
        venv: _Text | None = None,
        interpreter: _Text | None = None,
        read: _Paths = (),
        write: _Paths = (),
        execute: _Paths = (),
        connect: _Endpoints = (),
        bind: _Endpoints = (),
        env: Mapping[str, _Text] | None = None,
        cwd: _Text | None = None,
        files: Mapping[str, _Data] | None = None,
        collect: _Paths = (),
        stdin: _Input | None = None,
        timeout: float | None = 30.0,
        limits: Limits | None = None,
        supervise: Policy | _Decide | None = None,
        ask: _Operations | None = None,
        audit: _Text | None = None,
    ) -> Plan: ...
    def run(
        self,
        code: _Data,
        *,
        args: Sequence[_Text] = (),
        venv: _Text | None = None,
        interpreter: _Text | None = None,
        check: bool = False,
        read: _Paths = (),
        write: _Paths = (),
        execute: _Paths = (),
        connect: _Endpoints = (),
        bind: _Endpoints = (),
        env: Mapping[str, _Text] | None = None,
        cwd: _Text | None = None,
        files: Mapping[str, _Data] | None = None,
        collect: _Paths = (),
        stdin: _Input | None = None,
        timeout: float | None = 30.0,
        limits: Limits | None = None,
        supervise: Policy | _Decide | None = None,
        ask: _Operations | None = None,
        audit: _Text | None = None,
    ) -> Output: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Usage:
    @property
    def wall(self) -> float: ...
    @property
    def user(self) -> float: ...
    @property
    def system(self) -> float: ...
    @property
    def peak_memory(self) -> int: ...
    @property
    def tasks(self) -> int: ...

@final
class Refused:
    @property
    def syscall(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def errno(self) -> int: ...
    @property
    def grant(self) -> str | None: ...
    @property
    def count(self) -> int: ...

@final
class ExceptionInfo:
    @property
    def type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def traceback(self) -> str: ...

@final
class Job:
    @property
    def id(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Session:
    def __new__(cls) -> Self: ...
    def spawn(self, plan: Plan, /) -> Job: ...
    def poll(self, timeout: float | None = None) -> _Event | None: ...
    def kill(self, job: Job, /) -> None: ...
    def write_stdin(self, job: Job, data: _Data, /) -> None: ...
    def close_stdin(self, job: Job, /) -> None: ...
    def fileno(self) -> int: ...
    @property
    def active(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _Event: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Coroutine[Any, Any, None]: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, _Event]: ...

@final
class Stdout:
    __match_args__: Final = ("job", "data")
    @property
    def job(self) -> Job: ...
    @property
    def data(self) -> bytes: ...

@final
class Stderr:
    __match_args__: Final = ("job", "data")
    @property
    def job(self) -> Job: ...
    @property
    def data(self) -> bytes: ...

@final
class Syscall:
    __match_args__: Final = ("job", "context")
    @property
    def job(self) -> Job: ...
    @property
    def context(self) -> Context: ...
    @property
    def pid(self) -> int: ...
    @property
    def syscall(self) -> str: ...
    @property
    def directory(self) -> bool: ...
    @property
    def call(self) -> int: ...
    def allow(self, *, remember: _Remember = "once") -> None: ...
    def deny(
        self,
        *,
        reason: str | None = None,
        errno: int | None = None,
        remember: _Remember = "once",
    ) -> None: ...
    def kill(self) -> None: ...
    def respond(self, decision: Decision, /) -> None: ...

@final
class Withdrawn:
    __match_args__: Final = ("job", "call")
    @property
    def job(self) -> Job: ...
    @property
    def call(self) -> int: ...

@final
class Completed:
    __match_args__: Final = ("job", "output")
    @property
    def job(self) -> Job: ...
    @property
    def output(self) -> Output: ...

@final
class TimedOut:
    __match_args__: Final = ("job", "output")
    @property
    def job(self) -> Job: ...
    @property
    def output(self) -> Output: ...

@final
class Failed:
    __match_args__: Final = ("job", "error")
    @property
    def job(self) -> Job: ...
    @property
    def error(self) -> EvalboxError: ...

@final
class Doctor:
    @property
    def ok(self) -> bool: ...
    @property
    def entries(self) -> list[DoctorEntry]: ...

@final
class DoctorEntry:
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> Literal["ok", "degraded", "missing"]: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str | None: ...
