"""The socket table as a value: an immutable sequence of entries with set algebra. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from pytest_sockets.entry import (
    CLOSE,
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT1,
    FIN_WAIT2,
    LAST_ACK,
    LISTEN,
    NONE,
    STATUSES,
    SYN_RECV,
    SYN_SENT,
    TCP_STATES,
    TIME_WAIT,
    Endpoint,
    SocketEntry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sockets.literals import Status

__all__ = [
    "CLOSE",
    "CLOSE_WAIT",
    "CLOSING",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "LAST_ACK",
    "LISTEN",
    "NONE",
    "STATUSES",
    "SYN_RECV",
    "SYN_SENT",
    "TCP_STATES",
    "TIME_WAIT",
    "Endpoint",
    "SocketEntry",
    "SocketTable",
]


class SocketTable:
    """The socket table at one moment: an immutable sequence of `SocketEntry` with set algebra by socket identity.

    It has one entry for each process that holds a socket. `port in table`, `(host, port) in table` and `(a, b) in
    table` (a connection in either order) match addresses by reachability. `table == []` compares with any list, in any
    order.
    """

    __slots__ = ("_entries", "label")

    def __init__(self, entries: Iterable[SocketEntry] = (), label: str = "") -> None:
        self._entries = tuple(entries)
        self.label = label
        """The name of the selection ("listening", "established"), with which failure texts begin."""

    def _all(self) -> tuple[SocketEntry, ...]:
        return self._entries

    def without_holders(self) -> Sequence[SocketEntry]:
        """Return the entries, possibly without pid and fd, which cost more than the rest. A lazy table overrides this."""
        return self._all()

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return bool(self.without_holders())

    def __iter__(self) -> Iterator[SocketEntry]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> SocketEntry: ...
    @overload
    def __getitem__(self, index: slice) -> SocketTable: ...
    def __getitem__(self, index: int | slice) -> SocketEntry | SocketTable:
        return SocketTable(self._all()[index]) if isinstance(index, slice) else self._all()[index]

    def index(self, entry: SocketEntry) -> int:
        """Return the position of the entry. Raises `ValueError` if it is missing."""
        return self._all().index(entry)

    def count(self, entry: SocketEntry) -> int:
        """Return how often the entry occurs."""
        return self._all().count(entry)

    def __contains__(self, wanted: object) -> bool:
        from pytest_sockets.matching import matcher

        return any(map(matcher(wanted), self.without_holders()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (SocketTable, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and Counter(self) == Counter(other)

    def __hash__(self) -> int:
        return hash(frozenset(self._all()))

    def __add__(self, other: SocketTable) -> SocketTable:
        """Return the entries of both tables, each socket once. This table's entry wins."""
        return SocketTable((*self._all(), *(other - self)))

    def __sub__(self, other: SocketTable) -> SocketTable:
        """Return the entries whose socket is not in `other`, whatever its status there."""
        known = {entry.identity for entry in other}
        return self.where(lambda entry: entry.identity not in known)

    def __and__(self, other: SocketTable) -> SocketTable:
        """Return the entries whose socket is also in `other`."""
        known = {entry.identity for entry in other}
        return self.where(lambda entry: entry.identity in known)

    def where(self, holds: Callable[[SocketEntry], bool], label: str = "") -> SocketTable:
        """Return the entries for which `holds(entry)` is true."""
        return SocketTable((entry for entry in self._all() if holds(entry)), label or self.label)

    @property
    def listening(self) -> SocketTable:
        """The TCP and unix sockets in LISTEN, and the UDP sockets that are bound and unconnected."""
        return self.where(lambda entry: entry.is_listening, "listening")

    @property
    def established(self) -> SocketTable:
        """The TCP connections in ESTABLISHED."""
        return self.where(lambda entry: entry.status == ESTABLISHED, "established")

    @property
    def tcp(self) -> SocketTable:
        """The TCP sockets. TCP and UDP have separate ports."""
        return self.where(lambda entry: entry.protocol == "tcp")

    @property
    def udp(self) -> SocketTable:
        """The UDP sockets."""
        return self.where(lambda entry: entry.protocol == "udp")

    def with_status(self, *names: Status) -> SocketTable:
        """Return the entries in one of these statuses, named as in psutil. Raises `QueryError` for an unknown status."""
        from pytest_sockets.addresses import checked_statuses

        wanted = checked_statuses(names, STATUSES)
        return self.where(lambda entry: entry.status in wanted)

    def on_port(self, port: int) -> SocketTable:
        """Return the TCP and UDP entries with this port on either side. Raises `QueryError` for an invalid port."""
        from pytest_sockets.addresses import checked_port

        number = checked_port(port)
        return self.where(lambda entry: number in (entry.local.port, entry.remote and entry.remote.port))

    def of_process(self, pid: int) -> SocketTable:
        """Return the entries that the process holds."""
        return self.where(lambda entry: entry.pid == pid)

    def __str__(self) -> str:
        from pytest_sockets.listing import table_text

        return table_text(self)

    def __repr__(self) -> str:
        from pytest_sockets.listing import short_text

        return short_text(self._all())


# Not registered as a base class: a type checker would then reject `8080 in table` as a comparison that is never true.
Sequence.register(SocketTable)
