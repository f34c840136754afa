#!/usr/bin/env python3
"""Checks licences and duplicate versions of the crates in Cargo.lock, by the rules of deny.toml.

cargo-deny does more (advisories, sources); this needs nothing but cargo and Python.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(r"\(|\)|[A-Za-z0-9.+-]+")


def allowed(expression: str, licences: set[str]) -> bool:
    """Whether an SPDX expression can be met with these licences. AND binds tighter than OR."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))

    def either() -> bool:
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        token = tokens.pop(0)
        if token == "(":
            met = either()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(f"unbalanced licence expression: {expression}")
            return met
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in licences

    met = either()
    if tokens:
        raise ValueError(f"unreadable licence expression: {expression}")
    return met


def packages(targets: list[str]) -> dict[str, dict[str, Any]]:
    """Every package of every target, by id. Only what the build resolves to is listed."""
    found: dict[str, dict[str, Any]] = {}
    for target in targets:
        command = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features"]
        answer = subprocess.run(
            [*command, f"--filter-platform={target}"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
        )
        metadata = json.loads(answer.stdout)
        needs = {n["id"]: [d["pkg"] for d in n["deps"]] for n in metadata["resolve"]["nodes"]}
        used: set[str] = set()
        waiting = list(metadata["workspace_members"])
        while waiting:
            package = waiting.pop()
            if package not in used:
                used.add(package)
                waiting += needs[package]
        found.update((p["id"], p) for p in metadata["packages"] if p["id"] in used)
    return found


def problems(config: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[str]:
    licences = set(config["licenses"]["allow"])
    list_ = []
    versions: dict[str, set[str]] = defaultdict(set)
    for package in found.values():
        name, version = package["name"], package["version"]
        versions[name].add(version)
        expression = package["license"]
        if not expression:
            list_.append(f"{name} {version}: it names no licence")
        elif not allowed(expression, licences):
            list_.append(f"{name} {version}: the licence {expression} is not in deny.toml")
    skipped = defaultdict(set)
    for entry in config["bans"].get("skip", []):
        spec = entry if isinstance(entry, str) else entry.get("crate") or entry["name"]
        name, _, version = spec.partition("@")
        skipped[name].add(version or "*")
    if config["bans"]["multiple-versions"] == "deny":
        for name, all_ in sorted(versions.items()):
            left = set() if "*" in skipped[name] else all_ - skipped[name]
            if len(all_) > 1 and len(left) > 1:
                list_.append(f"{name}: several versions: {', '.join(sorted(left))}")
    return list_


def main() -> int:
    config = tomllib.loads((ROOT / "deny.toml").read_text())
    found = packages(config["graph"]["targets"])
    wrong = problems(config, found)
    for problem in wrong:
        print(f"error: {problem}", file=sys.stderr)
    if not wrong:
        print(f"{len(found)} packages: licences allowed, no duplicate versions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
