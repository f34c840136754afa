"""What evalbox raises.

Every exception is an `EvalboxError`, and also the built-in exception a Python program would expect
in its place. A program that fails inside a sandbox raises nothing, unless `check` asks for it.
"""

from __future__ import annotations

# As in `typing`, which takes longer to import than all of evalbox.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from evalbox._native import Output


class EvalboxError(Exception):
    """The root of everything evalbox raises."""

    __module__ = "evalbox"


class Unavailable(EvalboxError, OSError):
    """This machine, or this installation, can't run what was asked for. Says what to do."""

    __module__ = "evalbox"


class PlanError(EvalboxError, ValueError):
    """A mistake in a plan: the message names the field, the value and the limit."""

    __module__ = "evalbox"


class PolicyError(EvalboxError, ValueError):
    """A mistake in a policy: which rule, the value, and the problem, which are attributes, too."""

    __module__ = "evalbox"
    rule: str
    value: str
    problem: str


class RuntimeNotFound(EvalboxError, FileNotFoundError):
    """No usable interpreter or toolchain for the language. Says where evalbox looked."""

    __module__ = "evalbox"


class LaunchError(EvalboxError, OSError):
    """The command could not be started. Nothing of it has run. `errno` is set where known."""

    __module__ = "evalbox"


class CommandNotFound(LaunchError, FileNotFoundError):
    """The command is in no directory of the plan's `PATH`."""

    __module__ = "evalbox"


class SessionError(EvalboxError, RuntimeError):
    """A session was used wrongly, or lost its other end."""

    __module__ = "evalbox"


class UseAfterFork(SessionError):
    """A session was used in a process forked after it was made. Make a new one there."""

    __module__ = "evalbox"


class CompileError(EvalboxError):
    """The code could not be compiled. The message is the compiler's."""

    __module__ = "evalbox"


class _RunError(EvalboxError):
    """A run that `check` does not accept."""

    output: Output
    """Everything the run did."""

    def __init__(self, message: str, output: Output) -> None:
        super().__init__(message)
        self.output = output

    def __reduce__(self) -> tuple[type[_RunError], tuple[str, Output]]:
        return type(self), (str(self), self.output)


class ExecutionFailed(_RunError):
    """The program ended with an exit code other than 0, or by a signal or a limit."""

    __module__ = "evalbox"


class TimeoutExpired(_RunError, TimeoutError):
    """`timeout` passed and the run was killed. `output` is what it did until then."""

    __module__ = "evalbox"


class OutputLimitExceeded(_RunError):
    """The program wrote more than `limits.output`. `output` has the part up to there."""

    __module__ = "evalbox"
