"""What tests ask for ports: a callable that remembers what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pytest_sockets.addresses import LARGEST_BACKLOG
from pytest_sockets.errors import PortUnavailable, SettingError, blames_the_call
from pytest_sockets.ports.listener import Listener, open_listener

if TYPE_CHECKING:
    from pytest_sockets.ports.pool import PortPool, Released, Reservation

    Protocol = Literal["both", "tcp", "udp"]

_TRIES = 8


class PortFactory:
    """`factory()` gives a free port, kept until `release(port)` or the factory's end."""

    def __init__(self, pool: PortPool) -> None:
        self._pool = pool
        self._reservations: list[Reservation] = []
        self._listeners: list[Listener] = []

    @blames_the_call
    def __call__(self, protocol: Protocol = "both", host: str | None = None) -> int:
        """A port that is free on every address of this machine, IPv4 and IPv6.

        `protocol` limits that to "tcp" or "udp". `host` adds the check that this address exists here, so that a server can
        bind it. Raises PortUnavailable if no port is free, SettingError for arguments that make no sense.
        """
        return self._keep(self._pool.reserve(protocol, host)).port

    @blames_the_call
    def block(self, n: int, protocol: Protocol = "both", host: str | None = None) -> list[int]:
        """`n` free ports with consecutive numbers, lowest first. Raises as the call does."""
        return [self._keep(reservation).port for reservation in self._pool.reserve_block(n, protocol, host)]

    @blames_the_call
    def release(self, port: int) -> Released:
        """Give a port back before the end, be it this factory's or the one of `free_port`.

        On a host where ports are held (the header says so), call it before a child process binds the port with a server that
        does not set SO_REUSEADDR. What it returns tells whether somebody listens there still.
        """
        return self._pool.release(port)

    @blames_the_call
    def listener(self, host: str = "127.0.0.1", *, backlog: int = 128) -> Listener:
        """A listening TCP socket on a port that is kept, to be handed over by object or by number.

        `backlog`: as in listen(2). Raises as the call does.
        """
        if isinstance(backlog, bool) or not isinstance(backlog, int) or not 0 <= backlog <= LARGEST_BACKLOG:
            raise SettingError(f"backlog={backlog!r}: use a whole number from 0 to {LARGEST_BACKLOG}")
        for _ in range(_TRIES):
            reservation = self._keep(self._pool.reserve("tcp", host))
            try:
                listener = open_listener(host, reservation.port, backlog)
            except SettingError:
                reservation.release()
                raise
            except (
                OSError
            ) as error:  # the kernel is free to give away what was let go; only where ports are held
                reservation.release()
                trouble = error
                continue
            self._listeners.append(listener)
            return listener
        raise PortUnavailable(f"no socket could be made to listen on host {host!r}: {trouble}") from trouble

    def close(self) -> list[Released]:
        """Close the listeners and give every port back; what was given back is told."""
        for listener in self._listeners:
            listener.close()
        released = [reservation.release() for reservation in self._reservations]
        self._listeners.clear()
        self._reservations.clear()
        return [one for one in released if one is not None]

    def _keep(self, reservation: Reservation) -> Reservation:
        self._reservations.append(reservation)
        return reservation
