"""What the Python package adds: its import, and runs of Python and of a shell.

Run by `benches/run` with the environment that evalbox is installed in. Prints medians and
minimums; asserts nothing about time.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import evalbox

ROUNDS = 60
SYSTEM_PYTHON = "/usr/bin/python3"


def measure(name: str, run: Callable[[], object], rounds: int = ROUNDS) -> None:
    run()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        run()
        times.append((time.perf_counter() - begun) * 1e3)
        time.sleep(0.002)
    print(f"  {name:<44}{statistics.median(times):8.2f} ms{min(times):8.2f} ms")


def start(code: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


print(f"{'Python':<46}{'median':>11}{'min':>11}")
measure("an interpreter that does nothing", lambda: start("pass"), 20)
measure("an interpreter that imports evalbox", lambda: start("import evalbox"), 20)
measure("subprocess.run(['/bin/true'])", lambda: subprocess.run(["/bin/true"], check=True))
measure("evalbox.Plan(['/bin/true']).run()", evalbox.Plan(["/bin/true"]).run)
bare = [SYSTEM_PYTHON, "-c", "print(1)"]
measure(
    "subprocess.run([python3, -c, print(1)])", lambda: subprocess.run(bare, capture_output=True)
)
measure("evalbox.Plan([python3, -c, print(1)]).run()", evalbox.Plan(bare).run)
measure(
    "evalbox.run('1 + 1', interpreter=python3)",
    lambda: evalbox.run("1 + 1", interpreter=SYSTEM_PYTHON),
)
measure("evalbox.shell.run('echo 1')", lambda: evalbox.shell.run("echo 1"))
