"""A directory that may be read, one that may be written, and what happens elsewhere."""

from __future__ import annotations

import pathlib
import tempfile

import evalbox

with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name).resolve()
    source, target, other = root / "source", root / "target", root / "other"
    for directory in (source, target, other):
        directory.mkdir()
    (source / "note.txt").write_text("hello\n")
    (other / "secret.txt").write_text("nobody's business\n")

    def shell(command: str) -> None:
        plan = evalbox.Plan(["sh", "-c", command]).read(source).write(target).cwd(target)
        output = plan.run()
        print(output.exit_code, output.stdout.strip() or output.stderr.strip())

    shell(f"tr a-z A-Z < {source}/note.txt > copy.txt && cat copy.txt")
    shell(f"echo more >> {source}/note.txt")
    shell(f"cat {other}/secret.txt")
    shell(f"mv copy.txt {other}/")
    print((target / "copy.txt").read_text().strip())
