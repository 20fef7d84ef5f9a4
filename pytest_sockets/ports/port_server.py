"""Ports from portpicker's port server (`PORTSERVER_ADDRESS`), as on Bazel and shared CI hosts.

The server lends a port to a process until that process ends, and accepts no port earlier. Released ports are therefore kept
here and reused, oldest first. Each rests for at least a minute, since the kernel may keep TIME_WAIT entries until then.
"""

from __future__ import annotations

import collections
import os
import re
import socket
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import PortUnavailable, quoted
from pytest_sockets.originals import monotonic
from pytest_sockets.ports.ranges import read_kernel
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sockets.ports.pool import Reservation

VARIABLE: Final = "PORTSERVER_ADDRESS"
REST: Final = 60.0
"""Seconds until a returned port is reused while the server has others. Linux keeps TIME_WAIT that long."""
TIMEOUT: Final = 5.0
"""Seconds for one answer. A port server answers from memory, within a millisecond."""
_TRIES: Final = 64
_LONGEST_ANSWER: Final = 64
_ANSWER: Final = re.compile(rb"\s*(\d{1,5})\s*\n")


def port_server_address() -> str | None:
    """Return the address from the environment; None if it is unset or empty."""
    return os.environ.get(VARIABLE) or None


class PortServer:
    """A client of the port server at `address`: a unix socket's path, "@" first for an abstract name."""

    def __init__(
        self, address: str, *, clock: Callable[[], float] = monotonic, timeout: float = TIMEOUT
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._lowest = read_kernel().unprivileged_start
        self._clock = clock
        self._resting: collections.deque[tuple[float, int]] = collections.deque()

    def offers(self) -> Iterator[int]:
        """Yield a bounded number of ports to try. The caller reserves each one or hands it back with `returned`.

        Ends when no port is left. Raises PortUnavailable if the server does not answer properly.
        """
        for _ in range(_TRIES):
            if self._resting and self._clock() - self._resting[0][0] >= REST:
                yield self._resting.popleft()[1]
                continue
            port = self._ask()
            if port is None:
                break
            yield port
        for _ in range(len(self._resting)):  # The server has no more ports: try those that still rest.
            yield self._resting.popleft()[1]

    def returned(self, port: int) -> None:
        """Keep a released port for later."""
        self._resting.append((self._clock(), port))

    def block(self, count: int, reserve: Callable[[], Reservation]) -> list[Reservation]:
        """Return `count` reservations with consecutive ports. Raises PortUnavailable if the server offers no such run."""
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
            f"the port server at {self.address} ({VARIABLE}) offered no {count} consecutive ports; "
            "ask for single ports, or unset the variable to use this host's own pool"
        )

    def after_fork(self) -> None:
        """Forget the ports that the server lent to the parent, in a forked child."""
        self._resting.clear()

    def nothing_usable(self) -> PortUnavailable:
        """Return the error for a server that answers but has no usable port."""
        return PortUnavailable(
            f"the port server at {self.address} ({VARIABLE}) has no free port left for process {os.getpid()}. "
            "It takes ports back when the process that has them ends: end runs that hang, "
            "or give it a larger --portserver_static_pool."
        )

    def _ask(self) -> int | None:
        """Return a port; None if the server has none left. Raises PortUnavailable for any other answer."""
        try:
            answer = request(self.address, os.getpid(), self._timeout)
        except TimeoutError as error:
            raise self._unusable(
                f"did not finish its answer within {self._timeout:g} s", "Restart it"
            ) from error
        except OSError as error:
            raise self._unusable(f"does not answer: {error.strerror or error}", "Start it") from error
        if not answer.strip() or answer.strip() == b"0":
            return None
        port = _port_in(answer)
        if port is None:
            raise self._unusable(
                f"answered {quoted(answer)}, which is not a port number",
                "Check which program has this address",
            )
        if port < self._lowest:
            raise self._unusable(
                f"answered {port}, a privileged port (below {self._lowest})", "Give it a pool of higher ports"
            )
        return port

    def _unusable(self, what: str, fix: str) -> PortUnavailable:
        return PortUnavailable(
            f"the port server at {self.address} ({VARIABLE}) {what}. "
            f"{fix}, or unset the variable to use this host's own pool."
        )


def request(address: str, pid: int, timeout: float) -> bytes:
    """Ask for a port on behalf of `pid` and return the answer up to its newline, within `timeout` seconds in all.

    The protocol is portpicker's: the client sends its process id, the server a port or nothing. Raises OSError.
    """
    if not hasattr(socket, "AF_UNIX"):  # On Windows, portpicker reads a named pipe.
        from portpicker import get_port_from_port_server

        return str(get_port_from_port_server(address, pid) or "").encode()
    deadline = monotonic() + timeout
    answer = b""
    with RealSocket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        client.connect("\0" + address[1:] if address.startswith("@") else address)
        client.sendall(b"%d\n" % pid)
        while b"\n" not in answer and len(answer) <= _LONGEST_ANSWER:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            client.settimeout(left)
            piece = client.recv(_LONGEST_ANSWER)
            if not piece:
                break
            answer += piece
    return answer.partition(b"\n")[0] + b"\n" * (b"\n" in answer)


def _port_in(answer: bytes) -> int | None:
    """Return the port of a complete answer. An answer without its newline was cut off, and may lack digits."""
    found = _ANSWER.fullmatch(answer)
    port = int(found[1]) if found else 0
    return port if 0 < port <= 65535 else None
