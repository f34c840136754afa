"""The code in the README and in docs/ runs.

Python blocks are executed, each on its own; lines of `console` blocks that begin with `$ evalbox`
must succeed. Rust blocks are documentation tests of the crate.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 2
                # Empty lines keep the line numbers of a traceback right.
                code = "\n" * (line - 1) + match[2]
                found.append(pytest.param(page, code, id=f"{page.name}:{line}"))
    return found


def test_every_block_names_its_language() -> None:
    for page in PAGES:
        for match in FENCE.finditer(page.read_text()):
            assert match[1] in {"python", "rust", "sh", "console", "text"}, (page, match[0])


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), (page, link)


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python(page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(("page", "code"), blocks("console"))
def test_console(page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_ = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_}:/usr/local/bin:/usr/bin:/bin")
    for line in code.splitlines():
        if line.startswith("$ evalbox "):
            answer = subprocess.run(
                ["sh", "-c", line[2:]], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert answer.returncode == 0, (line, answer.stdout, answer.stderr)
