"""Which listeners belong to a process tree, and which to other processes?"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.table import holders, proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sockets.model import SocketEntry

FOREIGN_GRACE: Final = 1.5
"""Seconds that another process may keep the port: it may be about to close, and the server about to die of it."""


class Split(NamedTuple):
    """Listeners that the processes hold, each with its process, and listeners that only others hold."""

    own: list[SocketEntry]
    foreign: list[SocketEntry]


def split(found: Iterable[SocketEntry], pids: Sequence[int]) -> Split:
    """Part the listeners by whether one of these processes holds them.

    A descriptor that a process was given counts as its own. Another user's process may not be looked into: a listener
    without a visible holder is then taken for its own.
    """
    entries = list(found)
    if not entries:
        return Split([], [])
    if not proc.AVAILABLE:
        own = [entry for entry in entries if entry.pid in pids]
        return Split(own, [entry for entry in entries if entry.pid not in pids])
    held = {inode: (pid, fd) for pid in reversed(pids) for inode, fd in proc.sockets_of(pid).items()}
    own = []
    foreign = []
    for entry in entries:
        place = held.get(entry.inode or 0)
        if place is not None:
            own.append(dataclasses.replace(entry, pid=place[0], fd=place[1]))
        else:
            foreign.append(entry)
    if foreign and not own and any(map(_is_closed_to_us, pids)):
        known = holders.with_holders(foreign)
        own = [entry for entry in known if entry.pid is None]
        foreign = [entry for entry in known if entry.pid is not None]
    return Split(own, foreign)


def _is_closed_to_us(pid: int) -> bool:
    """Whether this is a process of another user: its descriptors cannot be read."""
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        return False
    return False
