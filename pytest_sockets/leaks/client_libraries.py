"""Whose client connected, when C code opened the connection?

Clients written in C (gRPC channels, ZeroMQ sockets, libcurl handles) connect in threads of their own and at their first use.
No Python object stands for the connection. If a wider fixture keeps such a client, and the test has left none of its own,
the connection is that fixture's.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.reachability import walk
from pytest_sockets.leaks.safe_reading import mro, package_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sockets.leaks.records import Owner, Record

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


def clients_owners(records: Iterable[Record], live: Sequence[tuple[Owner, list[Any]]]) -> dict[Record, Owner]:
    """For each connection that C code opened: the live owner whose client must have opened it, if that is certain."""
    connections = [record for record in records if _is_nameless_connection(record)]
    if not connections:
        return {}
    kept: dict[int, tuple[str, Owner]] = {}
    for owner, roots in live:
        for node in walk(roots):
            library = _library_of(type(node))
            if library is not None:
                kept.setdefault(id(node), (library, owner))
    if not kept:
        return {}
    # A client of the test's own in one of these libraries may have opened it as well: then the test is asked.
    libraries = {library for library, _ in kept.values()} - _libraries_in_use_beside(kept)
    owners = [owner for library, owner in kept.values() if library in libraries]
    return dict.fromkeys(connections, owners[0]) if owners else {}


def _is_nameless_connection(record: Record) -> bool:
    if record.origin is not None or record.accepted or record.ref() is not None:
        return False
    entry = record.entry
    return entry is not None and entry.remote is not None


def _libraries_in_use_beside(kept: dict[int, Any]) -> set[str]:
    types: dict[type, str | None] = {}
    found: set[str] = set()
    for node in gc.get_objects():
        kind = type(node)
        if kind not in types:
            types[kind] = _library_of(kind)
        library = types[kind]
        if library is not None and id(node) not in kept:
            found.add(library)
    return found


def _library_of(kind: type) -> str | None:
    for base in mro(kind):
        package = package_of(base)
        if base.__name__ in _CLIENTS.get(package, ()):
            return package
    return None
