"""The command `evalbox`."""

from __future__ import annotations

import signal
import sys

from evalbox import _native


def main() -> int:
    """Runs the command line of this process and returns its exit status."""
    # The command line sees to its signals itself; Python would only take notice at the end.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.cli_main(sys.argv[1:])
