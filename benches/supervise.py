"""What an answer costs: microseconds for each call, by rule, through a callback, and beside peers.

Run by `benches/run` with the environment that evalbox is installed in. The same loop runs in every
way; prints medians, and what is added to the bare call; asserts nothing about time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import evalbox

PYTHON = "/usr/bin/python3"
LOOP = """
import json, os, statistics, subprocess, sys, time
def measure(call, rounds, before=lambda: None):
    times = []
    for _ in range(rounds):
        before()
        begun = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begun)
    return statistics.median(times) / 1e3
def opened():
    os.close(os.open("file", os.O_RDONLY))
def made():
    os.close(os.open("gone", os.O_CREAT | os.O_WRONLY))
def connected():
    s = socket.socket(socket.AF_UNIX)
    s.connect("socket")
    s.close()
import socket
open("file", "w").close()
if os.path.exists("socket"):
    os.unlink("socket")
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen(4096)
rounds = int(sys.argv[1])
print(json.dumps({
    "open": measure(opened, rounds),
    "unlink": measure(lambda: os.unlink("gone"), rounds, made),
    "connect": measure(connected, min(rounds, 1000)),
    "exec": measure(lambda: subprocess.run(["/bin/true"]), rounds // 10),
}))
"""
CALLS = ("open", "unlink", "connect", "exec")


def bare(directory: str, rounds: int, *prefix: str) -> dict[str, float]:
    command = [*prefix, PYTHON, "-I", "-S", "-c", LOOP, str(rounds)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def boxed(directory: str, rounds: int, policy=None, decide=None) -> dict[str, float]:
    plan = evalbox.Plan([PYTHON, "-I", "-S", "-c", LOOP, str(rounds)]).write(directory)
    plan = plan.cwd(directory).timeout(None)
    if policy is not None:
        plan = plan.supervised(policy, decide)
    return json.loads(plan.run(check=True).stdout)


def main() -> None:
    asked = ("read", "delete", "connect", "exec")
    rule = evalbox.Policy().deny(
        read="./no", delete="./no", connect="unix:/no", exec="/no", name="unused"
    )
    ask = evalbox.Policy(ask=asked)
    with tempfile.TemporaryDirectory() as directory:
        ways = {
            "bare": lambda: bare(directory, 2_000),
            "evalbox, unsupervised": lambda: boxed(directory, 2_000),
            "evalbox, judged by rule": lambda: boxed(directory, 2_000, rule),
            "evalbox, asked, Python callback": lambda: boxed(
                directory, 2_000, ask, lambda call: evalbox.ALLOW
            ),
        }
        if shutil.which("strace"):
            log = str(Path(directory) / "strace.log")
            ways["strace"] = lambda: bare(directory, 500, "strace", "-f", "-o", log)
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(3):
            for name, run in ways.items():
                rows[name].append(run())
    print(f"{'us for each call':<36}" + "".join(f"{call:>16}" for call in CALLS))
    base = None
    for name, runs in rows.items():
        best = {call: sorted(run[call] for run in runs)[1] for call in CALLS}
        base = base or best
        cells = (f"{best[call]:.1f} (+{best[call] - base[call]:.1f})" for call in CALLS)
        print(f"  {name:<34}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
