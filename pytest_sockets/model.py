"""The values that cross every boundary: an endpoint, a socket table entry, the table. No I/O."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, overload

from pytest_sockets.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from pytest_sockets.literals import SocketProtocol, Status

LISTEN: Final = "LISTEN"
ESTABLISHED: Final = "ESTABLISHED"
SYN_SENT: Final = "SYN_SENT"
SYN_RECV: Final = "SYN_RECV"
FIN_WAIT1: Final = "FIN_WAIT1"
FIN_WAIT2: Final = "FIN_WAIT2"
TIME_WAIT: Final = "TIME_WAIT"
CLOSE: Final = "CLOSE"
CLOSE_WAIT: Final = "CLOSE_WAIT"
LAST_ACK: Final = "LAST_ACK"
CLOSING: Final = "CLOSING"
NONE: Final = "NONE"

STATUSES: Final[tuple[Status, ...]] = (
    LISTEN, ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING, NONE,
)  # fmt: skip
"""Named as in psutil. CLOSE is a TCP socket that neither listens nor is connected. NONE means a socket without a state
machine: UDP, and unix sockets that do not listen."""

TCP_STATES: Final[dict[int, Status]] = {
    1: ESTABLISHED, 2: SYN_SENT, 3: SYN_RECV, 4: FIN_WAIT1, 5: FIN_WAIT2, 6: TIME_WAIT, 7: CLOSE, 8: CLOSE_WAIT,
    9: LAST_ACK, 10: LISTEN, 11: CLOSING, 12: SYN_RECV, 13: CLOSE,
}  # fmt: skip
"""Linux's include/net/tcp_states.h: 12 is TCP_NEW_SYN_RECV, 13 TCP_BOUND_INACTIVE (not listening; kernel >= 6.8)."""


class Endpoint(NamedTuple):
    """One side of a socket. `port` is 0 for an unbound side; for a unix socket `host` is the path and `port` None.

    An abstract unix name starts with "@", as `ss` and psutil print it.
    """

    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = printable(self.host)  # a unix path may hold any byte
        if self.port is None:
            return host or "(unnamed)"
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.port or '*'}"


@dataclasses.dataclass(frozen=True, slots=True)
class SocketEntry:
    """One line of the socket table at one moment.

    `fd`, `pid`, `uid` and `inode` are None where the system does not report them: `fd` and `pid` of another user's
    process, `inode` outside Linux, and all but `uid` for a TIME_WAIT, which no process holds.
    """

    protocol: SocketProtocol
    family: str
    local: Endpoint
    remote: Endpoint | None = None
    status: Status = NONE
    fd: int | None = None
    inode: int | None = None
    pid: int | None = None
    uid: int | None = None
    time_wait_left: float | None = dataclasses.field(default=None, compare=False)
    """Seconds until a TIME_WAIT ends. Only sock_diag reports them."""
    dual_stack: bool | None = dataclasses.field(default=None, compare=False)
    """Whether an IPv6 socket also accepts IPv4 (IPV6_V6ONLY is off); None if unknown or irrelevant."""

    @property
    def socket_tuple(self) -> tuple[SocketProtocol, str, int | None, str | None, int | None]:
        """Protocol, local address, local port, remote address and remote port."""
        remote = self.remote or (None, None)
        return self.protocol, self.local.host, self.local.port, remote[0], remote[1]

    @property
    def identity(self) -> Hashable:
        """A key that is constant while the socket lives: on Linux its inode, since tuples are shared and reused."""
        return self.inode or (self.socket_tuple, self.family, self.pid, self.fd)

    @property
    def is_listening(self) -> bool:
        """Whether it is a TCP or unix socket in LISTEN, or a UDP socket that is bound and unconnected."""
        if self.protocol == "udp":
            return bool(self.local.port) and self.remote is None
        return self.status == LISTEN

    def __str__(self) -> str:
        remote = f" -> {self.remote}" if self.remote else ""
        status = "" if self.status == NONE else f" {self.status}"
        return f"{self.protocol} {self.local}{remote}{status}"


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

        return short_text(self)


# Not registered as a base class: a type checker would then reject `8080 in table` as a comparison that is never true.
Sequence.register(SocketTable)
