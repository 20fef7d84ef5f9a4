"""Find the client of a connection that C code opened.

Clients written in C (gRPC channels, ZeroMQ sockets, libcurl handles) connect in threads of their own, on first use. No
Python object represents the connection. If a wider fixture keeps such a client, and the test has left none of its own, the
connection belongs to that fixture.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.reachability import walk
from pytest_sockets.leaks.safe_reading import descriptor, mro, package_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.records import Record

_CLIENTS: Final = {
    "grpc": {"AioChannel", "Channel"},
    "zmq": {"Socket"},
    "pycurl": {"Curl", "CurlMulti"},
    "psycopg": {"BaseConnection"},
    "psycopg2": {"connection"},
    "MySQLdb": {"connection"},
    "cimpl": {"Consumer", "Producer"},  # confluent_kafka
    "uvloop": {"TCPTransport", "UDPTransport", "UnixTransport"},
}
"""By package, the classes whose objects open connections."""
_KNOW_DESCRIPTORS: Final = frozenset(("psycopg", "psycopg2", "MySQLdb", "uvloop"))
"""Classes that need no guess: their objects report the descriptor of the connection."""


class Clients:
    """Remembers the clients that earlier tests left, since those opened nothing for a later test."""

    def __init__(self) -> None:
        self._earlier: dict[int, Callable[[], Any] | None] = {}
        """A weak reference by the id of its object; None for types without weak references, such as Cython's."""

    def owners(self, nameless: list[Record], live: Sequence[tuple[Owner, list[Any]]]) -> dict[Record, Owner]:
        """Return the live owner of each of these connections whose client must have opened it in C code."""
        kept = _clients_of(live)
        descriptors: set[int] = set()
        if not kept or self._any_new_beside(kept, descriptors):
            return {}  # A new client may belong to the test, and may have opened the connection.
        connections = [
            record
            for record in nameless
            if _is_connection(record) and record.key is not None and record.key[0] not in descriptors
        ]
        return dict.fromkeys(connections, next(iter(kept.values())))

    def _any_new_beside(self, kept: dict[int, Owner], descriptors: set[int]) -> bool:
        """Whether a client is neither kept by a live owner nor left by an earlier test. Adds to `descriptors`."""
        types: dict[type, str | None] = {}
        any_new = False
        clients: dict[int, Callable[[], Any] | None] = {}
        for node in gc.get_objects():
            kind = type(node)
            if kind not in types:
                types[kind] = _library_of(kind)
            library = types[kind]
            if library is None:
                continue
            if library in _KNOW_DESCRIPTORS:
                descriptors.add(descriptor(node))
                continue
            earlier = id(node) in self._earlier
            known = self._earlier.get(id(node))
            if id(node) not in kept and not (earlier and (known is None or known() is node)):
                any_new = True
            clients[id(node)] = _weakly(node)
        self._earlier = clients
        return any_new


def _weakly(client: Any) -> Callable[[], Any] | None:
    try:
        return weakref.ref(client)
    except TypeError:
        return None


def _clients_of(live: Sequence[tuple[Owner, list[Any]]]) -> dict[int, Owner]:
    """Return the live owner that refers to each client without a known descriptor, by the id of the client."""
    kept: dict[int, Owner] = {}
    for owner, roots in live:
        for node in walk(roots):
            if _library_of(type(node)) not in (None, *_KNOW_DESCRIPTORS):
                kept.setdefault(id(node), owner)
    return kept


def _is_connection(record: Record) -> bool:
    if record.accepted or record.ref() is not None:
        return False
    entry = record.entry
    return entry is not None and entry.remote is not None


def _library_of(kind: type) -> str | None:
    for base in mro(kind):
        package = package_of(base)
        if base.__name__ in _CLIENTS.get(package, ()):
            return package
    return None
