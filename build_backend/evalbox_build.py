"""The build backend: maturin, with the daemon's executable put into the package first.

The executable is linked statically and without the `python` feature, so it is a build of its own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin
from maturin import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parent.parent
NAME = "evalbox-daemon"
PACKAGED = ROOT / "python" / "evalbox" / "bin" / NAME


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the daemon, then the wheel (PEP 517)."""
    build_daemon()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the daemon, then the editable wheel (PEP 660)."""
    build_daemon()
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


def build_daemon() -> None:
    """Builds `evalbox-daemon` and puts it into the package."""
    # With a target named, the flags don't reach build scripts and procedural macros, which can't
    # be static.
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked"]
    command += ["--bin", NAME, "--target", target()]
    command += ["--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, env=static(), stdout=subprocess.PIPE)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith(b"{")]
    found = [message["executable"] for message in messages if message.get("executable")]
    if built.returncode != 0 or not found:
        raise SystemExit(
            f"{shlex.join(command)} failed; a static executable needs the C library's static "
            "archive, libc.a (Debian: libc6-dev, Fedora: glibc-static)"
        )
    PACKAGED.parent.mkdir(exist_ok=True)
    # Replaced, not overwritten: a daemon of this installation may be running.
    new = PACKAGED.with_name(NAME + ".new")
    shutil.copyfile(found[-1], new)
    new.chmod(0o755)
    new.replace(PACKAGED)


def target() -> str:
    """The target maturin will build for: the one it was told, else the host's."""
    words = shlex.split(os.environ.get("MATURIN_PEP517_ARGS", ""))
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == "--target":
            return following
        if word.startswith("--target="):
            return word.partition("=")[2]
    if named := os.environ.get("CARGO_BUILD_TARGET"):
        return named
    rustc = os.environ.get("RUSTC", "rustc")
    version = subprocess.run(
        [rustc, "-vV"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return next(
        line.partition(" ")[2] for line in version.stdout.splitlines() if line.startswith("host: ")
    )


def static() -> dict[str, str]:
    """The environment, with static linking added to the compiler's flags."""
    env = dict(os.environ)
    flags = ["-C", "target-feature=+crt-static"]
    if encoded := env.get("CARGO_ENCODED_RUSTFLAGS"):
        env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join([encoded, *flags])
    else:
        env["RUSTFLAGS"] = " ".join([env.get("RUSTFLAGS", ""), *flags]).strip()
    return env
