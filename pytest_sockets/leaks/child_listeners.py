"""Find the listeners of child processes. Imported only when a child has outlived its owner."""

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
    """Whether the started process has ended, and this is a descendant of it (started by a shell, or a daemon)."""
    sharers: tuple[int, ...] = ()
    """Other processes of that tree that hold the same socket, inherited by fork(2)."""

    @property
    def identity(self) -> object:
        """A key of the socket. Forked workers share their parent's listener as one socket. psutil reports no inode."""
        return self.entry.inode if self.entry.inode is not None else (self.child.pid, self.entry.local)


def of_tree(
    child: Child,
    descendants: Sequence[int],
    kinds: Sequence[str],
    shared: Container[int | None],
    *,
    left_behind: bool = False,
) -> Iterator[ChildListener]:
    """Return the listeners of these processes, except those in `shared`, which this process holds as well.

    A listener that several processes share is repeated.
    """
    for entry in holders.listening_of([child.pid, *descendants], unix=watches_unix(kinds)):
        if watches(kinds, entry) and entry.inode not in shared and not _is_plumbing(entry):
            command = holders.command_line(entry.pid or child.pid)
            yield ChildListener(child, entry, command, left_behind)


def each_once(listeners: Iterator[ChildListener]) -> list[ChildListener]:
    """Return each listener once: its first process, with the others that share it."""
    found: dict[object, ChildListener] = {}
    for listener in listeners:
        known = found.setdefault(listener.identity, listener)
        if known is not listener:
            pid = listener.entry.pid or listener.child.pid
            found[listener.identity] = known._replace(sharers=(*known.sharers, pid))
    return list(found.values())


_PLUMBING: Final = ("/listener-", "/sock-")
"""The names of multiprocessing's own listeners. The second is used from Python 3.14 and late patch releases of 3.13 on."""


def _is_plumbing(entry: SocketEntry) -> bool:
    """Whether multiprocessing opened it for itself (forkserver, managers). `rules` has the same check for this process."""
    return (
        entry.protocol == "unix"
        and "/pymp-" in entry.local.host
        and any(name in entry.local.host for name in _PLUMBING)
    )
