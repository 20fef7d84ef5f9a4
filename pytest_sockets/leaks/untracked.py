"""Descriptors without an audit event of their own: duplicates, detached ones, and what C extensions opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pytest_sockets.leaks.identity import BY_INODE
from pytest_sockets.leaks.records import Key, Record, Scope
from pytest_sockets.table import own_socket

if TYPE_CHECKING:
    from pytest_sockets.model import SocketEntry

_LISTENERS_SEARCHED: Final = 200


class Books(Protocol):
    """What must be known of the ledger."""

    def by_inode(self, inode: int) -> Record | None: ...

    def lost(self, fd: int) -> list[Record]: ...

    def creations(self) -> tuple[list[Record], list[Record]]: ...

    def open_records(self) -> list[Record]: ...

    def foreign(self) -> list[Key]: ...


class Strangers:
    """Makes a record for each, as well as it can be told."""

    def __init__(self) -> None:
        self.seen = False
        """A socket that no Python code opened has been seen: from now on the number of descriptors proves nothing."""
        self._new: list[Record] = []
        """Found at the last look; the audit event of another thread's accept() may still come and supersede it."""

    @property
    def any_seen(self) -> bool:
        """Whether a look is needed though nothing seems to have happened."""
        return self.seen or bool(self._new)

    def confirm(self) -> None:
        """At the next look: sockets that no event has claimed are untracked."""
        if self._new:
            self.seen = self.seen or any(not record.superseded for record in self._new)
            self._new.clear()

    def record_of(self, key: Key, scope: Scope, books: Books) -> Record | None:
        """The record; None if another thread is probably making the socket right now: the next look will tell."""
        # The look at the end of a test comes in its teardown; what it finds was most probably opened by the test itself.
        scope = Scope(scope.owner, "call" if scope.phase == "teardown" else scope.phase)
        original = books.by_inode(key[1])
        if original is not None:
            record = Record(scope, original.origin, original.family, original.kind)
            record.duplicate_of, record.pair = original.key, original.pair
            record.key = key
            return record
        entry = own_socket.describe(key[0])
        unborn, unsettled = books.creations()
        if entry is not None and any(record.describes(entry) for record in unborn):
            return None
        if not BY_INODE:  # a detached socket is a new one there: what had the descriptor last was probably it
            unsettled = books.lost(key[0]) + unsettled
        record = Record(scope, None, 0, 0)
        record.key = key
        if entry is not None and not _take_creation(record, entry, unsettled):
            self._new.append(record)
            give_to_listener(record, books)
        return record


def _take_creation(record: Record, entry: SocketEntry, unsettled: list[Record]) -> bool:
    """An object that has lost its descriptor (detach) or cannot be referred to weakly may have been this socket's."""
    for candidate in unsettled:
        if not candidate.matched and candidate.describes(entry):
            candidate.matched = True
            record.origin, record.ref, record.pair = candidate.origin, candidate.ref, candidate.pair
            record.owner, record.phase, record.opener = candidate.owner, candidate.phase, candidate.owner
            return True
    return False


def give_to_listener(record: Record, books: Books) -> None:
    """What a loop of its own (uvloop's, libzmq's, gevent's) accepted belongs with the listener on the same local address.

    That is a listener of a wider owner, or one from before the run. In the second case the socket has no owner.
    """
    entry = own_socket.describe(record.key[0]) if record.key is not None else None
    if entry is None or (entry.remote is None and entry.protocol != "unix"):
        return
    for other in books.open_records()[:_LISTENERS_SEARCHED]:
        if other.owner.over or other.owner is record.owner or other.key is None:
            continue
        if _listens_at(other.key[0], entry):
            record.owner = record.opener = other.owner
            record.origin, record.accepted = other.origin, True
            return
    record.nobodys = any(_listens_at(fd, entry) for fd, _ in books.foreign()[:_LISTENERS_SEARCHED])


def _listens_at(fd: int, entry: SocketEntry) -> bool:
    listener = own_socket.describe(fd)
    if listener is None or not listener.is_listening or listener.protocol != entry.protocol:
        return False
    if listener.protocol == "unix":
        return listener.local.host != "" and listener.local == entry.local
    return listener.local.port == entry.local.port
