"""Find open descriptors that no event reported: duplicates, and sockets that C code opened.

Each look counts the descriptors that are not sockets with a Python object. While that count stays the same, descriptors are
not listed. One listing can take seconds beside a hundred busy threads, since each system call lets them run first. Once an
untracked socket has been seen, the count proves nothing, and each look lists the descriptors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks import identity
from pytest_sockets.leaks.owner import Scope
from pytest_sockets.leaks.records import Record, no_object
from pytest_sockets.originals import monotonic
from pytest_sockets.real_socket import own_fds
from pytest_sockets.table.own_fds import raise_unless_system

if TYPE_CHECKING:
    from pytest_sockets.leaks.records import Key
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.model import SocketEntry

_LISTENERS_SEARCHED: Final = 200
_SLOW_LISTING: Final = 0.5
"""Seconds."""
_PAUSE: Final = 10
"""The pause after a slow listing, as a multiple of its duration: listings take at most a tenth of the run's time."""


class Untracked:
    """Makes a record of each untracked socket, as precisely as possible, and attributes it to the current scope."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.last_count = -1
        """The number of open descriptors at the last look."""
        self._others = -1
        """The number of those that were not sockets with a Python object."""
        self.foreign: set[Key] = set()
        """Sockets without an owner: open before the run began, or accepted by a listener from before the run."""
        self._seen = False
        self._new: list[Record] = []
        """Records from the last look. The event of another thread's accept() may still arrive and supersede one."""
        self._list_again_at = 0.0

    @property
    def any_seen(self) -> bool:
        """Whether a look is needed even without an event."""
        return self._seen or bool(self._new)

    def begin(self) -> None:
        """Mark every socket that is open now as foreign."""
        self.foreign = set(self._listed().items())
        self.last_count = self._others = self._registry.fds.count()

    def inodes(self) -> set[int]:
        """Return the inodes of all open sockets."""
        return set(self._listed().values())

    def look(self, with_objects: int) -> None:
        """Find new untracked sockets if the number of descriptors suggests that there are any.

        `with_objects` is the number of sockets with a Python object.
        """
        if self._new:
            self._seen = self._seen or any(not record.superseded for record in self._new)
            self._new.clear()
        fds = self._registry.fds
        if not fds.available:
            return
        try:
            count = fds.quick()
        except OSError as error:  # A test has closed the descriptor.
            raise_unless_system(error)
            count = fds.count()
        others = count - with_objects
        if others == self._others and not self._seen:
            self.last_count = count
            return
        began = monotonic()
        if began < self._list_again_at:
            self.last_count = self._others = -1
            return
        self.last_count = fds.recount()
        self._list()
        self._others = self.last_count - self._registry.forget_closed()
        ended = monotonic()
        if ended - began > _SLOW_LISTING:
            self._list_again_at = ended + _PAUSE * (ended - began)

    def _listed(self) -> dict[int, int]:
        try:
            return identity.listed()
        except OSError as error:
            raise_unless_system(error)
            known = [record.key for record in self._registry.open_records() if record.key]
            return dict(known)

    def _list(self) -> None:
        registry, foreign = self._registry, self.foreign.copy()
        present = set(self._listed().items())
        self.foreign -= foreign - present  # Keep those that were added since the listing.
        own = own_fds()
        for fd, number in sorted(present - foreign):
            record = registry.newest(fd)
            if record is not None and record.key == (fd, number) and not record.superseded:
                if not record.seems_open:
                    record.ref = no_object  # detached by C code
            elif fd not in own:
                registry.add(self._record_of((fd, number)))
        # Strike closed sockets last: their records have the call sites of their duplicates.
        for record in registry.without_objects():
            if record.key not in present:
                registry.strike(record)

    def _record_of(self, key: Key) -> Record:
        # The look at the end of a test runs in its teardown. The test itself most probably opened what it finds.
        scope = self._registry.current.get()
        scope = Scope(scope.owner, "call" if scope.phase == "teardown" else scope.phase)
        original = self._registry.by_inode(key[1])
        if original is not None:
            record = Record(scope, original.call_site, key)
            record.duplicate_of, record.pair = original.key, original.pair
            return record
        record = Record(scope, None, key)
        self._new.append(record)
        give_to_listener(record, self._registry)
        if record.no_owner:
            self.foreign.add(key)
        return record


def give_to_listener(record: Record, registry: Registry) -> None:
    """Attribute a socket that a native loop accepted (uvloop, libzmq, gevent) to the listener on the same local address.

    The listener belongs to a wider owner, or is from before the run. In the second case the socket has no owner.
    """
    from pytest_sockets.table import own_socket  # A run without untracked sockets needs no table entries.

    entry = own_socket.describe(record.key[0]) if record.key is not None else None
    if entry is None or (entry.remote is None and entry.protocol != "unix"):
        return
    for other in registry.open_records()[:_LISTENERS_SEARCHED]:
        if other.owner.over or other.owner is record.owner or other.key is None:
            continue
        if _listens_at(other.key[0], entry):
            record.owner = record.opener = other.owner
            record.call_site, record.accepted = other.call_site, True
            return
    record.no_owner = any(_listens_at(fd, entry) for fd, _ in registry.foreign()[:_LISTENERS_SEARCHED])


def _listens_at(fd: int, entry: SocketEntry) -> bool:
    from pytest_sockets.table import own_socket

    listener = own_socket.describe(fd)
    if listener is None or not listener.is_listening or listener.protocol != entry.protocol:
        return False
    if listener.protocol == "unix":
        return listener.local.host != "" and listener.local == entry.local
    return listener.local.port == entry.local.port
