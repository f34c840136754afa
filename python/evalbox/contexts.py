"""What a supervised call is about to do.

Paths are absolute and resolved: links are followed exactly as the call follows them. Names that
aren't UTF-8 have surrogates, as `os.fsdecode` makes them; `os.fsencode` gives the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Bind",
    "Connect",
    "Context",
    "Delete",
    "Exec",
    "Fork",
    "Link",
    "MakeDir",
    "MakeNode",
    "Open",
    "Rename",
    "SendTo",
    "SetMetadata",
    "Signal",
    "Symlink",
    "Truncate",
]


@dataclass(frozen=True, slots=True)
class Open:
    """open(2) and its relatives. `access` is "r", "w" or "rw"."""

    path: str
    access: str
    create: bool
    truncate: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """unlink(2), rmdir(2)."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    """rename(2)."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Link:
    """link(2): another name for a file."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Symlink:
    """symlink(2). `target` is the link's text, as the program gave it."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class MakeDir:
    """mkdir(2)."""

    path: str


@dataclass(frozen=True, slots=True)
class MakeNode:
    """mknod(2): a pipe, a socket or an empty file."""

    path: str


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """chmod(2), chown(2), utimensat(2), setxattr(2). `change` is such as "mode 644" or "times"."""

    path: str
    change: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """truncate(2). `length` is in bytes."""

    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Exec:
    """execve(2). `mutable`: a script that the sandbox may change, so that what runs need not be
    what was looked at. At most 64 KiB of `argv` are shown."""

    path: str
    argv: tuple[str, ...]
    mutable: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """connect(2). Either `address` and `port` are set, or `path`, for a unix socket. `host` is the
    name that evalbox itself resolved to the address, if it did."""

    address: str | None
    port: int | None
    path: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """bind(2), and listen(2) on a socket that isn't bound."""

    address: str | None
    port: int | None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class SendTo:
    """sendto(2) and its relatives, with an address."""

    address: str | None
    port: int | None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """fork(2) and its relatives. Threads are never asked about."""


@dataclass(frozen=True, slots=True)
class Signal:
    """kill(2) and its relatives. `pid` 0 is the caller's group, -1 everything in the sandbox."""

    pid: int
    signal: int


Context = (
    Open
    | Delete
    | Rename
    | Link
    | Symlink
    | MakeDir
    | MakeNode
    | SetMetadata
    | Truncate
    | Exec
    | Connect
    | Bind
    | SendTo
    | Fork
    | Signal
)
"""Any of them."""
