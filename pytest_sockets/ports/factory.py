"""The public ways to reserve ports: `PortFactory` and `reserve_port()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.addresses import LARGEST_BACKLOG
from pytest_sockets.errors import PortUnavailable, SettingError, blames_the_call
from pytest_sockets.ports.listener import Listener, open_listener

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from pytest_sockets.literals import ReservedProtocol
    from pytest_sockets.ports.pool import PortPool, Released, Reservation

_TRIES = 8


@blames_the_call
def reserve_port(protocol: ReservedProtocol = "both", host: str | None = None) -> AbstractContextManager[int]:
    """Reserve a port for a `with` block: `with reserve_port() as port:`.

    The arguments and errors are those of `PortFactory`. The call reserves the port; the end of the block
    releases it.
    """
    from pytest_sockets.ports.process_pool import process_pool

    return _ReservedPort(process_pool().reserve(protocol, host))


class _ReservedPort:
    def __init__(self, reservation: Reservation) -> None:
        self._reservation = reservation

    def __enter__(self) -> int:
        return self._reservation.port

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reservation.release()


class PortFactory:
    """Reserves ports until `release(port)`, `close()` or the end of its `with` block.

    No other worker, run or kernel choice takes a reserved port. Without `pool` the ports come from this process's own pool:
    those outside the kernel's ephemeral range. The fixture `free_port_factory` uses the pool that `--sockets-ports` sets.
    `label` names the factory in explanations of "address in use".
    """

    def __init__(self, pool: PortPool | None = None, *, label: str = "") -> None:
        if pool is None:
            from pytest_sockets.ports.process_pool import process_pool

            pool = process_pool()
        self._pool = pool
        self._label = label
        self._reservations: list[Reservation] = []
        self._listeners: list[Listener] = []
        self._closed = False

    @blames_the_call
    def __call__(self, protocol: ReservedProtocol = "both", host: str | None = None) -> int:
        """Reserve a port that is free on every address of this machine, IPv4 and IPv6.

        `protocol` limits that to "tcp" or "udp". `host` must be an address of this machine, and is checked as well.
        Raises PortUnavailable if no port is free, SettingError for invalid arguments and for a closed factory.
        """
        self._check_open()
        return self._keep(self._pool.reserve(protocol, host)).port

    @blames_the_call
    def block(self, n: int, protocol: ReservedProtocol = "both", host: str | None = None) -> list[int]:
        """Reserve `n` ports with consecutive numbers, lowest first. Raises as the call does."""
        self._check_open()
        return [self._keep(reservation).port for reservation in self._pool.reserve_block(n, protocol, host)]

    @blames_the_call
    def release(self, port: int) -> Released:
        """Release a port early, whether this factory or the fixture `free_port` reserved it.

        Where ports need a placeholder (the header says so), release one before a child process binds it with a server that
        does not set SO_REUSEADDR. The result says whether a socket still listens there. Raises SettingError if the port is
        not reserved.
        """
        self._check_open()
        return self._pool.release(port)

    @blames_the_call
    def listener(self, host: str = "127.0.0.1", *, backlog: int = 128) -> Listener:
        """Open a listening TCP socket on a reserved port, to hand over by object or by number.

        `backlog` is that of listen(2). Raises as the call does.
        """
        self._check_open()
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
            ) as error:  # Another process took the port after its placeholder was released for this bind.
                reservation.release()
                last_error = error
                continue
            self._listeners.append(listener)
            return listener
        raise PortUnavailable(
            f"no socket could be made to listen on host {host!r}: {last_error}"
        ) from last_error

    def close(self) -> list[Released]:
        """Close the listeners and release every port. Return the released ports. The factory cannot be used again."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        released = [reservation.release() for reservation in self._reservations]
        self._listeners.clear()
        self._reservations.clear()
        return [one for one in released if one is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise SettingError(
                "this port factory is closed: its session or `with` block is over, and its ports are released. "
                "Reserve ports while the factory is open, or make a new PortFactory()"
            )

    def _keep(self, reservation: Reservation) -> Reservation:
        reservation.label = self._label
        self._reservations.append(reservation)
        return reservation
