"""Which sockets did only the interpreter close? Gathered from finalizers and garbage collections until they are judged."""

from __future__ import annotations

import collections
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import identity
from pytest_sockets.leaks.call_site import capture
from pytest_sockets.leaks.finalizers import FinalizerWatch
from pytest_sockets.leaks.kinds import watches
from pytest_sockets.leaks.records import Record
from pytest_sockets.leaks.safe_reading import descriptor
from pytest_sockets.table.own_socket import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sockets.leaks.records import Key
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.model import SocketEntry

_MOST_OPENED: Final = 1000
"""Connections of libraries that are remembered before the closed ones are struck out."""

Dropped = tuple[Record, "SocketEntry"]


class DroppedSockets:
    """The sockets of one process that died open; each is returned once."""

    def __init__(self, ledger: Registry, kinds: Sequence[str]) -> None:
        self._ledger = ledger
        self._kinds = kinds
        self.watch: FinalizerWatch | None = None
        """Finalizers are watched, so that each of these is a finding of its own."""
        self._seen: collections.deque[Dropped] = collections.deque()
        self._opened: dict[Key | None, Record] = {}
        self.reported: set[Key | None] = set()
        """Sockets that are findings already."""
        self.collected = 0
        """Sockets that only a garbage collection of the judge closed."""

    def begin(self) -> FinalizerWatch:
        """Watch finalizers from now on."""
        self.watch = FinalizerWatch(self.note_dying, self.note_opened)
        self.watch.start()
        return self.watch

    @property
    def any_seen(self) -> bool:
        """Whether a finalizer has found an open socket that was not taken yet."""
        return bool(self._seen)

    def note_opened(self, connection: Any) -> None:
        """A library has made this connection, whose socket C code opened: no other event has its line."""
        scope = self._ledger.current.get()
        call_site = capture(sys._getframe(2), self._ledger.places)
        record = Record(scope, call_site, _key_of(connection))
        self._opened[record.key] = record
        if len(self._opened) > _MOST_OPENED:
            self._opened = {key: record for key, record in self._opened.items() if record.is_open}

    def note_dying(self, sock: Any) -> None:
        """Called by the interpreter's finalization of an open socket, in any thread."""
        record = self._ledger.dying(sock)
        if record is None or record.call_site is None:
            record = self._opened.pop(_key_of(sock), record)
        if record is None:
            return
        entry = describe(sock.fileno())
        if entry is not None:
            self._seen.append((record, entry))

    def note_collected(self, collected: Iterable[tuple[Record, SocketEntry | None]]) -> None:
        """The judge's collections closed these. No finalizer of a Python object has seen those that C code opened."""
        for record, entry in collected:
            self.collected += 1
            if self.watch is not None and record.call_site is None and entry is not None:
                self._seen.append((record, entry))

    def take(self) -> Iterator[Dropped]:
        """Each socket once: its transport and itself may both be finalized; an open one may have been reported before."""
        identities: set[object] = set()
        while self._seen:
            record, entry = self._seen.popleft()
            if entry.identity in identities or record.key in self.reported:
                continue
            if watches(self._kinds, entry):
                identities.add(entry.identity)
                yield record, entry


def _key_of(connection: Any) -> Key | None:
    fd = descriptor(connection)
    number = identity.socket_at(fd) if fd >= 0 else None
    return (fd, number) if number is not None else None
