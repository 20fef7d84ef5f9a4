"""Separate the listeners of a process tree from those of other processes."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.table import holders, proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sockets.model import SocketEntry

FOREIGN_GRACE: Final = 1.5
"""Seconds that another process may keep the port. It may be about to close, or the server may be about to fail."""


class Split(NamedTuple):
    """Listeners that the processes hold, each with its process, and listeners that only other processes hold."""

    own: list[SocketEntry]
    foreign: list[SocketEntry]


def split(found: Iterable[SocketEntry], pids: Sequence[int]) -> Split:
    """Separate listeners that one of these processes holds from all others.

    An inherited descriptor counts as held. The processes of another user cannot be inspected. If one of `pids` is such
    a process, it is assumed to hold the listeners without a visible holder.
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
    """Whether another user owns this process, so that its descriptors cannot be read."""
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        return False
    return False
