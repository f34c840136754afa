#!/usr/bin/env python3
"""Writes the generated tables of docs/threat-model.md.

From the comments at the top of tests/payloads/*.c: what is tried and what stops it. From
src/isolation/abi.rs: what older kernels get. With --check, fails if the page is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "threat-model.md"
PAYLOADS = ROOT / "tests" / "payloads"
ABI = ROOT / "src" / "isolation" / "abi.rs"

# The first pattern that matches a payload's name decides its group.
GROUPS = [
    (
        "Reading what is not granted",
        "read_outside|etc_shadow|home_read|list_outside|tmp_other|symlink_(read|race|outside)"
        "|dotdot|fchdir|proc_self_root|name_to_handle|inotify|fanotify|posix_shm",
    ),
    (
        "Other processes by procfs, ptrace or their memory",
        "proc_other|proc_parent|proc_ancestors|proc_oom|process_|ptrace_|pidfd_getfd|kcmp"
        "|get_robust|prctl_dumpable",
    ),
    ("The kernel by procfs or sysfs", "proc_core|proc_sysrq|cgroup"),
    (
        "Writing, creating, renaming or deleting outside or in a read-only grant",
        "write_|create_|symlink_create|link_|mkdir_|mkfifo_|rename_|rmdir_|unlink_"
        "|truncate_(outside|readonly)|open_trunc|proc_self_fd_reopen",
    ),
    (
        "Metadata: mode, owner, times, extended attributes, flags",
        "chmod|chown|lchown|utimens|utimes|setxattr|removexattr|cwd_swap|fdtable_swap"
        "|ioctl_setflags|fcntl_setlease",
    ),
    ("Leaving set-user-ID files or devices behind", "setuid_|setgid_|mknod_"),
    ("Executing", "exec_|memfd_exec|ldso"),
    (
        "TCP, UDP and other internet sockets",
        "tcp_|udp_|mptcp|listen_|raw_socket|packet|netlink|vsock|socket_",
    ),
    ("Unix sockets", "unix_|ssh_agent"),
    (
        "Signals, priorities and limits of other processes",
        "kill_|tkill|tgkill|sigqueue|rt_tgsig|pidfd_send|fcntl_setown|prlimit|sched_|setpriority"
        "|ioprio|setpgid|clone_(exit|parent|ptrace|untraced)",
    ),
    ("The terminal", "tio|dev_tty"),
    ("What the host leaks to a child", "inherited_"),
    (
        "Privileges: capabilities, other users, namespaces",
        "caps_|setres|setgroups|userns|clone3|unshare|setns|chroot|pivot|rlimit_raise",
    ),
    (
        "Parts of the kernel with a history",
        "bpf|io_uring|userfaultfd|perf|keyctl|request_key|modify_ldt|personality|mount_|umount"
        "|open_tree|fsopen|quotactl|sysv|posix_mq",
    ),
    (
        "The machine itself",
        "acct|clock|init_module|kexec|reboot|sethostname|settime|swapon|syslog",
    ),
    (
        "Getting around the filter or the rules",
        "i386|x32|seccomp_|landlock_stack",
    ),
    ("More memory than allowed", "memory_"),
    ("More processes or threads than allowed", "fork_bomb|thread_bomb|vfork_bomb"),
    ("More file space than allowed", "fallocate|truncate_over"),
    ("Outliving the run", "daemon_|setsid_|survivor_"),
]


def header(path: Path) -> dict[str, str]:
    """The `// key: value` lines at the top of a payload."""
    lines = {}
    for line in path.read_text().splitlines():
        if not line.startswith("//"):
            break
        key, _, value = line[2:].partition(":")
        lines[key.strip()] = value.strip()
    return lines


def payload_table() -> str:
    found: dict[str, list[dict[str, str]]] = {title: [] for title, _ in GROUPS}
    holes = []
    payloads = sorted(PAYLOADS.glob("*.c"))
    for path in payloads:
        fields = header(path) | {"name": path.stem}
        title = next((t for t, pattern in GROUPS if re.match(pattern, path.stem)), None)
        if title is None:
            sys.exit(f"{path.name}: in no group; add it to GROUPS in tools/threat_table.py")
        found[title].append(fields)
        if fields.get("inside", "blocked") != "blocked":
            holes.append(fields)
    lines = [
        f"{len(payloads)} programs, one attempt each ([all of them](../tests/payloads/README.md)).",
        "",
        "| what is tried | programs | stopped by |",
        "|---|---|---|",
    ]
    for title, members in found.items():
        if not members:
            sys.exit(f"{title}: no payload matches; remove the group from tools/threat_table.py")
        layers: dict[str, int] = {}
        for fields in members:
            for layer in fields["layer"].split(","):
                layers[layer.strip()] = layers.get(layer.strip(), 0) + 1
        ranked = sorted(layers, key=lambda layer: (-layers[layer], layer))
        lines.append(f"| {title} | {len(members)} | {', '.join(ranked)} |")
    lines += ["", "Expected to work inside, and why that is no hole:", ""]
    for fields in holes:
        reason = re.sub(r"^works[,:;. ]*", "", fields["inside"])
        lines.append(f"- `{fields['name']}`: {fields['escape']}. {reason[:1].upper()}{reason[1:]}.")
    return "\n".join(lines)


KERNELS = {1: "5.13", 2: "5.19", 3: "6.2", 4: "6.7", 5: "6.10", 6: "6.12", 7: "6.15"}


def kernel_table() -> str:
    source = ABI.read_text()
    row = re.compile(
        r'Layer\s*\{\s*name:\s*"([^"]+)",\s*needs:\s*(\d+),\s*substitute:\s*"([^"]+)",?\s*\}'
    )
    rows = row.findall(source)
    if not rows or len(rows) != len(re.findall(r"Layer\s*\{\s*name: \"", source)):
        sys.exit("src/isolation/abi.rs: the table LAYERS can't be read")
    lines = [
        "| what is kept | by Landlock from | on older kernels |",
        "|---|---|---|",
    ]
    for name, needs, substitute in rows:
        lines.append(f"| {name} | ABI {needs} (Linux {KERNELS[int(needs)]}) | {substitute} |")
    return "\n".join(lines)


def replaced(page: str, name: str, content: str) -> str:
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        sys.exit(f"{PAGE.name}: no {begin} … {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def main() -> int:
    old = PAGE.read_text()
    new = replaced(replaced(old, "payloads", payload_table()), "kernels", kernel_table())
    if "--check" in sys.argv[1:]:
        if new != old:
            print("docs/threat-model.md is out of date: run tools/threat_table.py", file=sys.stderr)
            return 1
        print("docs/threat-model.md is up to date")
        return 0
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
