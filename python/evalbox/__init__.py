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
    PIPE,
    Completed,
    Doctor,
    DoctorEntry,
    ExceptionInfo,
    Failed,
    Job,
    Limits,
    Output,
    Plan,
    Refused,
    Runtime,
    Session,
    Stderr,
    Stdout,
    TimedOut,
    Usage,
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
    "PIPE",
    "CommandNotFound",
    "CompileError",
    "Completed",
    "Doctor",
    "DoctorEntry",
    "EvalboxError",
    "Event",
    "ExceptionInfo",
    "ExecutionFailed",
    "Failed",
    "Job",
    "LaunchError",
    "Limits",
    "Output",
    "OutputLimitExceeded",
    "Plan",
    "PlanError",
    "PolicyError",
    "Refused",
    "Runtime",
    "RuntimeNotFound",
    "Session",
    "SessionError",
    "Stderr",
    "Stdout",
    "TimedOut",
    "TimeoutExpired",
    "Unavailable",
    "Usage",
    "UseAfterFork",
    "__version__",
    "doctor",
    "python",
    "run",
    "shell",
]

Event = Stdout | Stderr | Completed | TimedOut | Failed
"""What a Session tells."""

python = Runtime("python")
"""Runs Python code."""

shell = Runtime("shell")
"""Runs shell scripts."""

_native.set_packaged_daemon(
    _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "bin", "evalbox-daemon")
)
