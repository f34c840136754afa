"""Run code that nobody trusts, and decide what it may do.

>>> import evalbox
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
    Session,
    Stderr,
    Stdout,
    TimedOut,
    Usage,
    __version__,
    doctor,
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
]

Event = Stdout | Stderr | Completed | TimedOut | Failed
"""What a Session tells."""

_native.set_packaged_daemon(
    _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "bin", "evalbox-daemon")
)
