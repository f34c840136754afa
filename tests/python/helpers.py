from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


def running(mark: str) -> list[int]:
    """Processes that have `mark` as a word of their command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.name))
    return found


def of_directory(path: str | Path) -> list[int]:
    """Daemons and guards whose TMPDIR is `path`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                name = (entry / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            if name == b"evalbox-daemon" and f"TMPDIR={path}".encode() in environment:
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def python(code: str, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python of its own, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
