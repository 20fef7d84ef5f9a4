"""Facts about processes from Linux's /proc: their sockets, children and command line.

A process that has ended or belongs to another user is not an error. Unknown content (emulated, truncated) is ignored.
The `parse_` functions are pure: the content of one file in, values out.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.originals import RealOs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AVAILABLE: Final = sys.platform == "linux" and RealOs.isdir("/proc/self/fd")
_PREFIX: Final = "socket:["
_MOST: Final = 100_000
"""A bound for every walk of a process tree, since reused pids could form a cycle."""


def sockets_of(pid: int) -> dict[int, int]:
    """Return inode -> lowest fd of each socket of a process; empty if it has ended or cannot be inspected."""
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
    """Return the inode in "socket:[4711]"; None for any other link of a descriptor."""
    if not target.startswith(_PREFIX):
        return None
    try:
        return int(target[len(_PREFIX) : -1])
    except ValueError:
        return None


def pids() -> list[int]:
    """Return all processes that this one can see."""
    return [int(name) for name in RealOs.listdir("/proc") if name.isdecimal()]


def holders(inodes: Iterable[int], among: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """Return inode -> (pid, lowest fd) of each process of `among` that holds it."""
    wanted = frozenset(inodes)
    found: dict[int, list[tuple[int, int]]] = {}
    if not wanted:
        return found
    for pid in among:
        for inode, fd in sockets_of(pid).items():
            if inode in wanted:
                found.setdefault(inode, []).append((pid, fd))
    return found


def children_listed() -> bool:
    """Whether the kernel was built with CONFIG_PROC_CHILDREN."""
    return RealOs.exists("/proc/thread-self/children")


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, parents first, except processes that init has adopted."""
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
    """Return the pids of /proc/PID/task/TID/children."""
    try:
        return [int(word) for word in raw.split()]
    except ValueError:
        return []


def command_line(pid: int) -> str | None:
    """Return the command line as in a shell; a zombie's or kernel thread's name in brackets; None if it has ended."""
    raw = _read(f"/proc/{pid}/cmdline")
    line = parse_command_line(raw) if raw else ""
    if line:
        return line
    name = _read(f"/proc/{pid}/comm")
    return f"[{os.fsdecode(name.strip())}]" if name else None


def parse_command_line(raw: bytes) -> str:
    """Return the words of /proc/PID/cmdline as in a shell; empty if the program overwrote them with zero bytes."""
    import shlex

    # A program that changes its title (redis, nginx, postgres) leaves one string padded with zero bytes.
    text = [os.fsdecode(word) for word in raw.rstrip(b"\0").split(b"\0")]
    return text[0].strip() if len(text) == 1 else shlex.join(text)


class Stat(NamedTuple):
    """Fields of /proc/PID/stat: the state letter ("Z": zombie), the start time in clock ticks, the parent's pid.

    The start time differs for a reused pid. The parent changes when it ends before the process.
    """

    state: str
    start: int
    parent: int


def birth(pid: int) -> Stat | None:
    """Return the state, start time and parent; None if the process has ended."""
    raw = _read(f"/proc/{pid}/stat")
    return parse_stat(raw) if raw is not None else None


def parse_stat(raw: bytes) -> Stat | None:
    """Return the facts of /proc/PID/stat; None if it is cut short."""
    fields = raw.rpartition(b")")[2].split()  # the name before it may contain anything
    try:
        return Stat(fields[0].decode("ascii"), int(fields[19]), int(fields[1]))
    except (IndexError, ValueError):  # a process may end while it is read
        return None


def _read(path: str) -> bytes | None:
    try:
        return RealOs.content(path)
    except OSError:
        return None
