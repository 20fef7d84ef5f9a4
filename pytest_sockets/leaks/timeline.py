"""Record when each socket opened and closed. Active only if a report with a timeline was requested.

No event reports close(). A freed object reports its death. A socket that is closed without being freed is noticed at the
next checkpoint.
"""

from __future__ import annotations

import _socket
import dataclasses
import socket
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import address_events
from pytest_sockets.leaks.records import fileno
from pytest_sockets.model import CLOSE, Endpoint
from pytest_sockets.originals import wall_clock
from pytest_sockets.table import own_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sockets.leaks.records import Record
    from pytest_sockets.model import SocketEntry


@dataclasses.dataclass(slots=True)
class _Life:
    opened: float
    protocol: str = "tcp"
    entry: SocketEntry | None = None
    address: str = ""
    died: float | None = None
    death: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """The life of one socket; times in seconds since the epoch. `text` describes the socket as last seen."""

    record: Record
    text: str
    protocol: str
    status: str
    opened: float
    closed: float | None
    seen: float
    """The time of this observation."""


class Timeline:
    """Calls `ended` with each life that has ended."""

    def __init__(self, ended: Callable[[Life], None], newest: Callable[[int], Record | None]) -> None:
        self._ended = ended
        self._newest = newest
        """Finds the record of a descriptor."""
        address_events.listen(self)

    def created(self, record: Record, sock: Any) -> None:
        """Start the life of a new socket. Called in the thread that opens it."""
        life = record.life = _Life(wall_clock(), _protocol_of(sock))

        def died(_: object) -> None:
            life.died = wall_clock()

        try:
            life.death = weakref.ref(sock, died)
        except TypeError:
            pass

    def address_used(self, sock: Any, address: Any) -> None:
        """Note the address just before bind() or connect() runs."""
        record = self._newest(fileno(sock))
        if record is None or record.life is None or type(address) is not tuple or len(address) < 2:
            return
        host, port = address[:2]
        if isinstance(host, str) and type(port) is int:
            record.life.address = str(Endpoint(host, port))

    def look(self, records: Iterable[Record]) -> None:
        """Note the current state of these open sockets for later reports."""
        for record in records:
            if record.life is not None and record.life.entry is None and record.key is not None:
                record.life.entry = own_socket.describe(record.key[0])

    def closed(self, records: Iterable[Record]) -> None:
        """End the lives of these sockets, which were found closed."""
        now = wall_clock()
        for record in records:
            life, record.life = record.life, None
            if life is not None:
                self._ended(_summed_up(record, life, life.died or now))

    def leaked(self, record: Record, entry: SocketEntry) -> Life:
        """Return the life so far of a socket that is reported as a leak."""
        life, record.life = record.life or _Life(wall_clock()), None
        life.entry = entry
        return _summed_up(record, life, None)


def _summed_up(record: Record, life: _Life, closed: float | None) -> Life:
    now = wall_clock()
    entry = life.entry
    if entry is not None:
        return Life(record, str(entry), entry.protocol, entry.status, life.opened, closed, now)
    text = f"{life.protocol} {life.address}".strip()
    return Life(record, text, life.protocol, CLOSE, life.opened, closed, now)


_TYPE_BITS: Final = 0xF
"""The bits of the socket type; SOCK_NONBLOCK and SOCK_CLOEXEC are flags above them."""
_family_of: Final[Any] = _socket.socket.family.__get__
_type_of: Final[Any] = _socket.socket.type.__get__


def _protocol_of(sock: Any) -> str:
    """Return the protocol of a socket object. Call it while the socket is open, since a closed one has lost it."""
    if _family_of(sock) == getattr(socket, "AF_UNIX", None):
        return "unix"
    return "udp" if _type_of(sock) & _TYPE_BITS == socket.SOCK_DGRAM else "tcp"
