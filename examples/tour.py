"""A short tour: `make demo`, or `python examples/tour.py`."""

from __future__ import annotations

import evalbox

TEXT = b"""\
the quick brown fox jumps over the lazy dog
the dog sleeps
the fox does not
"""

SNIPPET = """\
from collections import Counter

words = Counter(open("text.txt").read().split())
print(sum(words.values()), "words,", len(words), "different")
words.most_common(3)
"""

ESCAPE = """\
import os, socket

for attempt in (
    lambda: open("/etc/shadow").read(),
    lambda: os.listdir("/home"),
    lambda: open("/proc/1/environ").read(),
    lambda: socket.create_connection(("1.1.1.1", 53), timeout=3),
):
    try:
        print("it worked:", attempt())
    except OSError as error:
        print(error)
os.chmod("/etc/passwd", 0o666)
"""

SPINNER = """\
import os

os.fork()
while True:
    pass
"""


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m")


def show(output: evalbox.Output) -> None:
    for line in (output.stdout + output.stderr).splitlines():
        print("   ", line)


def main() -> None:
    title("1. Python, with a file and the value of the last line")
    output = evalbox.run(SNIPPET, files={"text.txt": TEXT})
    show(output)
    print("    value:", output.value)

    title("2. A shell pipeline, with a file that comes back")
    output = (
        evalbox.Plan(["sh", "-c", "tr ' ' '\\n' < text.txt | sort | uniq -c | sort -rn > top.txt"])
        .file("text.txt", TEXT)
        .collect("top.txt")
        .run()
    )
    for line in output.files["top.txt"].decode().splitlines()[:3]:
        print("   ", line)

    title("3. An attempt to escape")
    output = evalbox.run(ESCAPE)
    show(output)
    assert not output.ok
    assert "it worked" not in output.stdout
    print("    refused by evalbox:")
    for call in output.refused:
        print(f"      {call.syscall}({call.target}): allowed by {call.grant or 'no grant'}")

    title("4. A limit: two processes that would run for ever, and one second")
    output = evalbox.run(SPINNER, timeout=1)
    assert not output.ok
    print("    ended by:", output.status)
    print(f"    wall {output.usage.wall:.2f} s, processor {output.usage.user:.2f} s")


if __name__ == "__main__":
    main()
