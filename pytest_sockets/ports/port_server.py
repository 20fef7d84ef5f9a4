"""Ports from portpicker's port server (`PORTSERVER_ADDRESS`), as on Bazel and shared CI hosts.

The server lends a port to a process until that process ends; it has no "give back". So what a test returns is kept here
and used again, the oldest first and not before a minute has passed: until then the kernel may keep TIME_WAIT remains.
"""

from __future__ import annotations

import collections
import os
import socket
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.originals import monotonic
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sockets.ports.pool import Reservation

VARIABLE: Final = "PORTSERVER_ADDRESS"
REST: Final = 60.0
"""Seconds until a returned port is used again while the server has others: Linux keeps TIME_WAIT that long."""
_TRIES: Final = 64


def port_server_address() -> str | None:
    """The address in the environment; None if it is not set or empty."""
    return os.environ.get(VARIABLE) or None


class PortServer:
    """A client of the port server at `address`: a unix socket's path, "@" first for an abstract name."""

    def __init__(self, address: str, *, clock: Callable[[], float] = monotonic) -> None:
        self.address = address
        self._clock = clock
        self._resting: collections.deque[tuple[float, int]] = collections.deque()

    def offers(self) -> Iterator[int]:
        """Ports to try, a bounded number; each either becomes a reservation or is to be `returned`.

        Raises PortUnavailable if the server does not answer; ends when neither it nor we have more.
        """
        for _ in range(_TRIES):
            if self._resting and self._clock() - self._resting[0][0] >= REST:
                yield self._resting.popleft()[1]
                continue
            port = self._ask()
            if port is None:
                break
            yield port
        for _ in range(
            len(self._resting)
        ):  # the server has no more: the probe says whether one has rested enough
            yield self._resting.popleft()[1]

    def returned(self, port: int) -> None:
        """This port is no longer used by us."""
        self._resting.append((self._clock(), port))

    def block(self, count: int, reserve: Callable[[], Reservation]) -> list[Reservation]:
        """`count` reservations with consecutive ports, if they turn up among the next ones that the server gives."""
        taken: dict[int, Reservation] = {}
        try:
            for _ in range(4 * count + 16):
                port = (reservation := reserve()).port
                taken[port] = reservation
                for first in range(port - count + 1, port + 1):
                    run = range(first, first + count)
                    if all(number in taken for number in run):
                        return [taken.pop(number) for number in run]
        finally:
            for reservation in taken.values():
                reservation.release()
        raise PortUnavailable(
            f"the port server at {self.address} ({VARIABLE}) gave no {count} consecutive ports; "
            "ask for single ports, or unset the variable to use this host's own pool"
        )

    def after_fork(self) -> None:
        """In a forked child: the server lent those ports to the parent."""
        self._resting.clear()

    def nothing_usable(self) -> PortUnavailable:
        """The server answers, but no port of it can be used."""
        return PortUnavailable(
            f"the port server at {self.address} ({VARIABLE}) has no free port left for process {os.getpid()}. "
            "It takes ports back when the process that has them ends: end runs that hang, "
            "or give it a larger --portserver_static_pool."
        )

    def _ask(self) -> int | None:
        from portpicker import get_port_from_port_server

        try:
            port: int | None = get_port_from_port_server(self.address)
        except RuntimeError as error:  # pytest-socket's SocketBlockedError
            raise PortUnavailable(
                f"the port server at {self.address} ({VARIABLE}) cannot be asked: {error}. "
                "If pytest-socket blocks sockets here, --allow-unix-socket lets the port server's one through."
            ) from error
        if port:
            return port
        trouble = self._trouble()
        if trouble is None:
            return None
        raise PortUnavailable(
            f"the port server at {self.address} ({VARIABLE}) does not answer: {trouble}. "
            "Start it, or unset the variable to use this host's own pool."
        )

    def _trouble(self) -> str | None:
        """Why the server cannot be reached; None if it can and has nothing to give. portpicker does not tell which."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with RealSocket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.settimeout(5)
                probe.connect(name)
            except OSError as error:
                return error.strerror or str(error)
        return None
