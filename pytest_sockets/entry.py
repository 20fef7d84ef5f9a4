"""The values of the socket table: statuses, an endpoint, and one entry. No I/O."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.printable import printable

if TYPE_CHECKING:
    from collections.abc import Hashable

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
