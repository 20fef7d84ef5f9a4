"""Find who holds a socket, their descendants and command lines: through /proc on Linux, psutil elsewhere."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from pytest_sockets.printable import command_text
from pytest_sockets.table import proc, sock_diag
from pytest_sockets.table.sock_diag import SockDiagMissing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import SocketEntry


def listening_of(pids: Iterable[int], *, unix: bool = False) -> list[SocketEntry]:
    """Return the listening TCP and UDP sockets of these processes, with pid, fd and inode.

    There is one entry for each process and socket. With `unix`, unix sockets in LISTEN are included on Linux. Costs one
    dump of the listeners and a walk of the descriptors of `pids`. A process that has ended, or that this user cannot
    inspect, has no entries.
    """
    among = list(pids)
    if not among:
        return []
    if not proc.AVAILABLE:
        return _listening_by_psutil(among)
    held = {pid: sockets_ for pid in among if (sockets_ := proc.sockets_of(pid))}
    if not held:
        return []
    try:
        listeners = {entry.inode: entry for entry in sock_diag.listening()}
        if unix:
            listeners.update((entry.inode, entry) for entry in sock_diag.unix_listening())
    except SockDiagMissing:
        return _listening_by_psutil(among)
    return [
        dataclasses.replace(listeners[inode], pid=pid, fd=fd)
        for pid, inodes in held.items()
        for inode, fd in inodes.items()
        if inode in listeners
    ]


def _listening_by_psutil(pids: list[int]) -> list[SocketEntry]:
    from pytest_sockets.table import processes

    return [entry for entry in processes.read_processes(pids, "inet") if entry.is_listening]


def with_holders(entries: Iterable[SocketEntry], among: Iterable[int] | None = None) -> list[SocketEntry]:
    """Return the entries with pid and fd, one for each process that holds the socket; both are None if it is unknown.

    `among` limits the search to some processes.
    """
    known = list(entries)
    if not proc.AVAILABLE:
        return known
    searched = proc.pids() if among is None else among
    held = proc.holders((entry.inode for entry in known if entry.inode and entry.pid is None), searched)
    found: list[SocketEntry] = []
    for entry in known:
        holders = held.get(entry.inode or 0)
        if holders:
            found += [dataclasses.replace(entry, pid=pid, fd=fd) for pid, fd in sorted(holders)]
        else:
            found.append(entry)
    return found


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, parents first, except processes that init has adopted."""
    if _children_listed():
        return proc.descendants(pid)
    from pytest_sockets.table import processes

    return processes.descendants(pid)


@functools.cache
def _children_listed() -> bool:
    return proc.AVAILABLE and proc.children_listed()


def command_line(pid: int) -> str | None:
    """Return the command line of a process to show: quoted as in a shell, printable, without passwords.

    None if the process has ended or this user cannot inspect it.
    """
    if proc.AVAILABLE:
        line = proc.command_line(pid)
    else:
        from pytest_sockets.table import processes

        line = processes.command_line(pid)
    return None if line is None else command_text(line)
