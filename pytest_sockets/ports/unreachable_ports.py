"""Ports that no client can reach: one refuses every connection, one never answers."""

from __future__ import annotations

import errno
import select
import socket
import sys
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.ports import placeholders
from pytest_sockets.ports.probing import TCP, Place, bind_exclusively
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from pytest_sockets.ports.pool import PortPool, Released, Reservation

_TRIES: Final = 8
_LARGEST_QUEUE: Final = 64
_PENDING_AFTER: Final = 0.02
"""Seconds after which a connect over loopback counts as unanswered. An answered one takes some 50 us."""
_ANSWERS_A_FULL_QUEUE: Final = {
    # XNU's solisten() replaces a backlog of 0 with kern.ipc.somaxconn.
    "darwin": "macOS takes a backlog of 0 for its largest one, so no listener's queue can be filled",
    # The client sends SYN three times, 500 ms apart, and gets RST each time.
    "win32": "Windows refuses connections to a full queue after 2 s instead of leaving them unanswered",
}
_POLLOUT: Final = getattr(select, "POLLOUT", 0)
_poll = getattr(select, "poll", None)  # gevent removes it later, and Windows lacks it.


class CannotHang(PortUnavailable):
    """This system answers connects even if the listener's queue is full."""


class UnreachablePort:
    """A reserved port and the sockets that make it unreachable, until `close()`."""

    def __init__(self, reservation: Reservation, sockets: list[socket.socket]) -> None:
        self.port = reservation.port
        self.reservation = reservation
        self._sockets = sockets

    def close(self) -> Released | None:
        """Close the sockets and release the port."""
        for sock in self._sockets:
            sock.close()
        return self.reservation.release()


def closed_port(pool: PortPool) -> UnreachablePort:
    """Reserve a TCP port that is bound and never listens. The kernel refuses every connection and every other bind.

    An unbound port is not enough: a client that happens to have the same local port connects to itself.
    """
    for _ in range(_TRIES):
        reservation = pool.reserve()
        placeholders.release(reservation.port, (TCP,))
        sockets = bind_exclusively(pool.prober, reservation.port)
        if sockets is not None:
            return UnreachablePort(reservation, list(sockets))
        reservation.release()
    raise PortUnavailable(
        f"no port could be kept closed: {_TRIES} ports were taken by other programs just before the bind"
    )


def blackhole_port(pool: PortPool) -> UnreachablePort:
    """Reserve a TCP port on which every connect to 127.0.0.1, ::1 or localhost times out.

    The queue of its listener is full, so Linux drops further SYN packets. Raises CannotHang where the system answers them.
    """
    reason = _ANSWERS_A_FULL_QUEUE.get(sys.platform)
    if reason is not None:
        raise CannotHang(reason)
    for _ in range(_TRIES):
        reservation = pool.reserve()
        placeholders.release(reservation.port, (TCP,))
        sockets: list[socket.socket] = []
        try:
            for place in _loopbacks():
                _saturate(place, reservation.port, sockets)
        except OSError as error:
            UnreachablePort(reservation, sockets).close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise
        except CannotHang:
            UnreachablePort(reservation, sockets).close()
            raise
        return UnreachablePort(reservation, sockets)
    raise PortUnavailable(
        f"no port could be made a black hole: {_TRIES} ports were taken by other programs just before the bind"
    )


def _loopbacks() -> list[Place]:
    places = [Place(socket.AF_INET, "127.0.0.1"), Place(socket.AF_INET6, "::1", 1)]
    return [place for place in places if _exists(place)]


def _exists(place: Place) -> bool:
    try:
        with RealSocket(place.family, socket.SOCK_DGRAM) as sock:
            sock.bind((place.host, 0))
    except OSError:
        return False
    return True


def _saturate(place: Place, port: int, sockets: list[socket.socket]) -> None:
    """Listen with the smallest queue and fill it. Add every new socket to `sockets`."""
    listener = RealSocket(place.family, socket.SOCK_STREAM)
    sockets.append(listener)
    if place.v6only is not None:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6only)
    listener.bind((place.host, port))
    listener.listen(0)
    for _ in range(_LARGEST_QUEUE):
        client = RealSocket(place.family, socket.SOCK_STREAM)
        client.setblocking(False)
        if not _connects(client, (place.host, port)):
            client.close()
            return
        sockets.append(client)
    raise CannotHang(f"a queue of length 0 took {_LARGEST_QUEUE} connections on this system")


def _connects(client: socket.socket, address: tuple[str, int]) -> bool:
    """Whether the connect is answered. Raises CannotHang if it is refused."""
    client.connect_ex(address)
    if not _writable(client):
        return False
    error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise CannotHang(
            f"this system refuses connects to a full queue ({errno.errorcode.get(error, error)})"
        )
    return True


def _writable(client: socket.socket) -> bool:
    if _poll is None:
        return bool(select.select([], [client], [], _PENDING_AFTER)[1])
    poll = _poll()  # Unlike select(2), poll(2) accepts descriptors above 1023.
    poll.register(client, _POLLOUT)
    return bool(poll.poll(_PENDING_AFTER * 1000))
