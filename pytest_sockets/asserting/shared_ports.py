"""Find ports on which two owners listen. With SO_REUSEPORT both receive connections."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from pytest_sockets.asserting import messages
from pytest_sockets.asserting.openers import opener_of
from pytest_sockets.table import holders
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from pytest_sockets.model import SocketEntry

_MOST: Final = 3
_MOST_HOLDERS: Final = 4
_DEEPEST: Final = 50


def notes() -> list[str]:
    """Return a text for each port that this process tree shares with another owner.

    Costs one dump of the listeners if no port is shared.
    """
    groups = _on_one_address(reader().listening().without_holders())
    if not groups:
        return []
    own = frozenset((os.getpid(), *holders.descendants(os.getpid())))
    found = [note for group in groups if (note := _note(holders.with_holders(group), own))]
    return found[:_MOST]


def are_shared(entries: Iterable[SocketEntry]) -> bool:
    """Whether several sockets listen on exactly the same address and port."""
    return bool(_on_one_address(entries))


def _on_one_address(entries: Iterable[SocketEntry]) -> list[list[SocketEntry]]:
    """Group listeners that share an address and port. An inode is one socket, however many processes hold it."""
    sockets: dict[object, dict[object, SocketEntry]] = defaultdict(dict)
    for entry in entries:
        if entry.is_listening and entry.inode is not None and entry.protocol != "unix":
            sockets[entry.protocol, entry.local][entry.inode] = entry
    return [list(group.values()) for group in sockets.values() if len(group) > 1]


def _note(group: list[SocketEntry], own: Container[int]) -> str | None:
    owners: dict[object, str] = {}
    for entry in group:
        owners.setdefault(_owner(entry, own), _holder(entry))
    if len(owners) < 2 or not any(entry.pid in own for entry in group):
        return None
    first = group[0]
    place = f"{first.local}/{first.protocol}"
    head = f"{len(owners)} owners listen on {place} through SO_REUSEPORT, and answers come from all of them:"
    return "\n".join([head, *(f"  {line}" for line in messages.listed(owners.values(), _MOST_HOLDERS))])


def _holder(entry: SocketEntry) -> str:
    opener = opener_of(entry.pid, entry.inode)
    return f"{messages.entry_process(entry)}, fd {entry.fd}{f', opened by {opener}' if opener else ''}"


def _owner(entry: SocketEntry, own: Container[int]) -> object:
    """Return the test or fixture that opened a socket of this process; for a child, the process that this one started."""
    opener = opener_of(entry.pid, entry.inode)
    if opener is not None:
        return opener.name.partition(", at ")[0], opener.worker
    pid = entry.pid
    if pid is None or pid not in own or pid == os.getpid():
        return pid if pid is not None else ("uid", entry.uid)
    from pytest_sockets.table import processes

    for _ in range(_DEEPEST):
        parent = processes.parent(pid)
        if parent is None or parent == os.getpid() or parent not in own:
            break
        pid = parent
    return pid
