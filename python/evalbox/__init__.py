"""Run code that nobody trusts, and decide what it may do.

>>> import evalbox
>>> evalbox.run("6 * 7").value
42
>>> evalbox.Plan(["sh", "-c", "echo $((6 * 7))"]).run().stdout
'42\\n'
"""

from __future__ import annotations

import os as _os

from evalbox import _native
from evalbox._native import (
    ALLOW,
    DENY,
    KILL,
    PIPE,
    Completed,
    Decision,
    Doctor,
    DoctorEntry,
    ExceptionInfo,
    Failed,
    Job,
    Limits,
    Output,
    Plan,
    Policy,
    Refused,
    Runtime,
    Session,
    Stderr,
    Stdout,
    Syscall,
    TimedOut,
    Usage,
    Withdrawn,
    __version__,
    doctor,
    run,
)
from evalbox.errors import (
    CommandNotFound,
    CompileError,
    EvalboxError,
    ExecutionFailed,
    LaunchError,
    OutputLimitExceeded,
    PlanError,
    PolicyError,
    RuntimeNotFound,
    SessionError,
    TimeoutExpired,
    Unavailable,
    UseAfterFork,
)

__all__ = [
    "ALLOW",
    "DENY",
    "KILL",
    "PIPE",
    "Bind",
    "CommandNotFound",
    "CompileError",
    "Completed",
    "Connect",
    "Context",
    "Decision",
    "Delete",
    "Doctor",
    "DoctorEntry",
    "EvalboxError",
    "Event",
    "ExceptionInfo",
    "Exec",
    "ExecutionFailed",
    "Failed",
    "Fork",
    "Job",
    "LaunchError",
    "Limits",
    "Link",
    "MakeDir",
    "MakeNode",
    "Open",
    "Output",
    "OutputLimitExceeded",
    "Plan",
    "PlanError",
    "Policy",
    "PolicyError",
    "Refused",
    "Rename",
    "Runtime",
    "RuntimeNotFound",
    "SendTo",
    "Session",
    "SessionError",
    "SetMetadata",
    "Signal",
    "Stderr",
    "Stdout",
    "Symlink",
    "Syscall",
    "TimedOut",
    "TimeoutExpired",
    "Truncate",
    "Unavailable",
    "Usage",
    "UseAfterFork",
    "Withdrawn",
    "__version__",
    "arun",
    "doctor",
    "python",
    "run",
    "shell",
]

Event = Stdout | Stderr | Syscall | Withdrawn | Completed | TimedOut | Failed
"""What a Session tells."""

python = Runtime("python")
"""Runs Python code."""

shell = Runtime("shell")
"""Runs shell scripts."""

_native.set_packaged_daemon(
    _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "bin", "evalbox-daemon")
)


async def arun(
    code: str | bytes | bytearray | memoryview, language: str = "python", **words: object
) -> Output:
    """As `run`, as a coroutine: other tasks of the event loop run meanwhile. Takes the keywords of
    `run`; a callback of `supervise` may be async."""
    check = bool(words.pop("check", False))
    plan = Runtime(language).plan(code, **words)  # type: ignore[arg-type]
    return await plan.arun(check=check)


# These take a moment to import, and most programs need none of them.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from evalbox.contexts import (
        Bind,
        Connect,
        Context,
        Delete,
        Exec,
        Fork,
        Link,
        MakeDir,
        MakeNode,
        Open,
        Rename,
        SendTo,
        SetMetadata,
        Signal,
        Symlink,
        Truncate,
    )


def __getattr__(name: str) -> object:
    from evalbox import contexts

    if name in contexts.__all__:
        return getattr(contexts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
