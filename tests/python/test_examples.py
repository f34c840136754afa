"""Every example runs, and prints what its point is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = {
    "events.py": ["quick: done", "slow: done", "stuck: begun", "stuck: out of time"],
    "files.py": ['{"ann": 8, "bob": 4}'],
    "grants.py": ["0 HELLO", "Permission denied", "HELLO"],
    "tcp.py": ["PING", "Permission denied", "connect: connect("],
    "tour.py": ["16 words, 11 different", "4 the", "chmod", 'write("/etc/passwd")', "ended by:"],
}


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str) -> None:
    answer = subprocess.run(
        [sys.executable, EXAMPLES / name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    for part in EXPECTED[name]:
        assert part in answer.stdout
    assert "nobody's business" not in answer.stdout
