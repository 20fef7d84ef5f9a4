"""Whose client connected, when C code opened the connection?

Clients written in C (gRPC channels, ZeroMQ sockets, libcurl handles) connect in threads of their own and at their first use.
No Python object stands for the connection. If a wider fixture keeps such a client, and the test has left none of its own,
the connection is that fixture's.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.reachability import walk
from pytest_sockets.leaks.safe_reading import mro, package_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.records import Record

_CLIENTS: Final = {
    "grpc": {"AioChannel", "Channel"},
    "zmq": {"Socket"},
    "pycurl": {"Curl", "CurlMulti"},
    "psycopg": {"PGconn"},
    "psycopg_binary": {"PGconn"},
    "psycopg_c": {"PGconn"},
    "psycopg2": {"connection"},
    "MySQLdb": {"connection"},
    "cimpl": {"Consumer", "Producer"},  # confluent_kafka
    "uvloop": {"TCPTransport", "UDPTransport", "UnixTransport"},
}
"""By package, the classes whose objects open connections of their own."""


class Clients:
    """Remembers which clients earlier tests have left: those opened nothing for a later test."""

    def __init__(self) -> None:
        self._earlier: dict[int, weakref.ref[Any]] = {}

    def owners(self, nameless: list[Record], live: Sequence[tuple[Owner, list[Any]]]) -> dict[Record, Owner]:
        """For each connection among these, which C code opened: the live owner whose client must have done it."""
        kept = _clients_of(live)
        # A new client beside those, in the same library, may be the test's own and have opened it as well.
        beside = self._new_libraries_beside(kept)
        owners = [owner for library, owner in kept.values() if library not in beside]
        return dict.fromkeys(filter(_is_connection, nameless), owners[0]) if owners else {}

    def _new_libraries_beside(self, kept: dict[int, tuple[str, Owner]]) -> set[str]:
        types: dict[type, str | None] = {}
        found: set[str] = set()
        clients: dict[int, weakref.ref[Any]] = {}
        for node in gc.get_objects():
            kind = type(node)
            if kind not in types:
                types[kind] = _library_of(kind)
            library = types[kind]
            if library is None:
                continue
            known = self._earlier.get(id(node))
            if id(node) not in kept and (known is None or known() is not node):
                found.add(library)
            with contextlib.suppress(TypeError):  # some C types cannot be referred to weakly
                clients[id(node)] = weakref.ref(node)
        self._earlier = clients
        return found


def _clients_of(live: Sequence[tuple[Owner, list[Any]]]) -> dict[int, tuple[str, Owner]]:
    """The library and owner of each client that a live owner leads to, by the id of its object."""
    kept: dict[int, tuple[str, Owner]] = {}
    for owner, roots in live:
        for node in walk(roots):
            library = _library_of(type(node))
            if library is not None:
                kept.setdefault(id(node), (library, owner))
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
