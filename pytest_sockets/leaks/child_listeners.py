"""What children still listen on. Imported when a child has outlived its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.leaks.kinds import watches, watches_unix
from pytest_sockets.table import holders

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from pytest_sockets.leaks.children import Child
    from pytest_sockets.model import SocketEntry


class ChildListener(NamedTuple):
    """A listening socket of a child, or of a descendant of it."""

    child: Child
    entry: SocketEntry
    command: str | None
    left_behind: bool = False
    """The process that was started has ended; this is one that it has started, as a shell does, or a daemon."""
    sharers: tuple[int, ...] = ()
    """Other processes of that tree that have the same socket, by fork(2)."""

    @property
    def identity(self) -> object:
        """Workers that were forked share their parent's listener: it is one socket. Only psutil tells no inode."""
        return self.entry.inode if self.entry.inode is not None else (self.child.pid, self.entry.local)


def of_tree(
    child: Child,
    descendants: Sequence[int],
    kinds: Sequence[str],
    shared: Container[int | None],
    *,
    left_behind: bool = False,
) -> Iterator[ChildListener]:
    """The listeners of these processes, except those that this one shares (`shared`); one that several share is repeated."""
    for entry in holders.listening_of([child.pid, *descendants], unix=watches_unix(kinds)):
        if watches(kinds, entry) and entry.inode not in shared and not _is_plumbing(entry):
            command = holders.command_line(entry.pid or child.pid)
            yield ChildListener(child, entry, command, left_behind)


def each_once(listeners: Iterator[ChildListener]) -> list[ChildListener]:
    """The first process that has it, and who shares it."""
    found: dict[object, ChildListener] = {}
    for listener in listeners:
        known = found.setdefault(listener.identity, listener)
        if known is not listener:
            pid = listener.entry.pid or listener.child.pid
            found[listener.identity] = known._replace(sharers=(*known.sharers, pid))
    return list(found.values())


_PLUMBING: Final = ("/listener-", "/sock-")
"""What multiprocessing calls its own listeners; the second since Python 3.14 and late patch releases of 3.13."""


def _is_plumbing(entry: SocketEntry) -> bool:
    """multiprocessing's own (forkserver, managers), as `rules` has it for this process."""
    return (
        entry.protocol == "unix"
        and "/pymp-" in entry.local.host
        and any(name in entry.local.host for name in _PLUMBING)
    )
