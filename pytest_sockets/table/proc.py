"""What Linux's /proc says of processes: their sockets, children, command line.

A vanished or foreign process is no error, and what cannot be understood (emulated, truncated) is taken as not said. The
`parse_` functions are pure: one file's content in, values out.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from pytest_sockets.originals import RealOs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AVAILABLE: Final = sys.platform == "linux" and RealOs.isdir("/proc/self/fd")
_PREFIX: Final = "socket:["
_MOST: Final = 100_000
"""A bound for every walk of a process tree: a cycle of reused pids must not hold us."""


def sockets_of(pid: int) -> dict[int, int]:
    """inode -> lowest fd of each socket that the process holds; empty if it went or may not be looked at."""
    found: dict[int, int] = {}
    directory = f"/proc/{pid}/fd"
    try:
        names = RealOs.listdir(directory)
    except OSError:
        return found
    for name in names:
        try:
            target = RealOs.readlink(f"{directory}/{name}")
        except OSError:
            continue
        inode = parse_link(target)
        if inode is not None and name.isdecimal():
            fd = int(name)
            found[inode] = min(fd, found.get(inode, fd))
    return found


def parse_link(target: str) -> int | None:
    """The inode in "socket:[4711]"; None for whatever else a descriptor's link says."""
    if not target.startswith(_PREFIX):
        return None
    try:
        return int(target[len(_PREFIX) : -1])
    except ValueError:
        return None


def pids() -> list[int]:
    """All processes that this one can see."""
    return [int(name) for name in RealOs.listdir("/proc") if name.isdecimal()]


def holders(inodes: Iterable[int], among: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """inode -> (pid, lowest fd) of each process of `among` that holds it."""
    wanted = frozenset(inodes)
    found: dict[int, list[tuple[int, int]]] = {}
    if not wanted:
        return found
    for pid in among:
        for inode, fd in sockets_of(pid).items():
            if inode in wanted:
                found.setdefault(inode, []).append((pid, fd))
    return found


def children_told() -> bool:
    """Whether the kernel was built with CONFIG_PROC_CHILDREN."""
    return RealOs.exists("/proc/thread-self/children")


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, as far as they are not adopted by init; parents first."""
    found: dict[int, None] = {}
    waiting = [pid]
    while waiting and len(found) < _MOST:
        for child in _children(waiting.pop(0)):
            if child not in found and child != pid:
                found[child] = None
                waiting.append(child)
    return list(found)


def _children(pid: int) -> Iterator[int]:
    try:
        tasks = RealOs.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for task in tasks:
        try:
            yield from parse_children(RealOs.content(f"/proc/{pid}/task/{task}/children"))
        except OSError:
            continue


def parse_children(raw: bytes) -> list[int]:
    """The pids of /proc/PID/task/TID/children."""
    try:
        return [int(word) for word in raw.split()]
    except ValueError:
        return []


def command_line(pid: int) -> str | None:
    """The command line as a shell would take it; the name in brackets for a zombie or kernel thread; None if it went."""
    raw = _read(f"/proc/{pid}/cmdline")
    line = parse_command_line(raw) if raw else ""
    if line:
        return line
    name = _read(f"/proc/{pid}/comm")
    return f"[{os.fsdecode(name.strip())}]" if name else None


def parse_command_line(raw: bytes) -> str:
    """The words of /proc/PID/cmdline as a shell would take them; empty if the program wrote nothing but zero bytes there."""
    import shlex

    # A program that rewrites its title (redis, nginx, postgres) leaves one string padded with zero bytes.
    text = [os.fsdecode(word) for word in raw.rstrip(b"\0").split(b"\0")]
    return text[0].strip() if len(text) == 1 else shlex.join(text)


def birth(pid: int) -> tuple[str, int] | None:
    """State letter ("Z": a zombie) and start time in clock ticks, which tells a reused pid; None if it went."""
    raw = _read(f"/proc/{pid}/stat")
    return parse_stat(raw) if raw is not None else None


def parse_stat(raw: bytes) -> tuple[str, int] | None:
    """State letter and start time of /proc/PID/stat; None if it is cut short."""
    fields = raw.rpartition(b")")[2].split()  # the name before it may hold anything
    try:
        return fields[0].decode("ascii"), int(fields[19])
    except (IndexError, ValueError):  # a process may end while it is read
        return None


def _read(path: str) -> bytes | None:
    try:
        return RealOs.content(path)
    except OSError:
        return None
