"""What a server saw: one record per connection, one per datagram."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_sockets.errors import ServerFault, SettingError, blames_the_call
from pytest_sockets.servers.faults.base import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.literals import ClosedBy, SocketProtocol
    from pytest_sockets.model import Endpoint
    from pytest_sockets.servers.connection import Connection

PREVIEW = 24
"""How many of the first bytes a record's one line shows."""


class ConnectionRecord:
    """One accepted connection, as the server sees it. It is live: its values change until `closed_at` is set.

    While the connection is open, `send`, `close`, `reset` and `half_close` act on it from the server's side.

    `number` counts from 0 in the order of accept and is the index in `server.connections`. Times are seconds of
    `time.monotonic()`, None until it happened. Byte counts are those of the application: what TLS adds is not in them.
    `closed_by` is "client", "client reset", "server", "fault:NAME" or "teardown", None while open; `detail` says more
    where there is more to say ("TLS handshake failed: ...").
    """

    __slots__ = (
        "_connection",
        "_received",
        "_sent",
        "accepted_at",
        "bytes_in",
        "bytes_out",
        "closed_at",
        "closed_by",
        "detail",
        "first_at",
        "last_at",
        "local",
        "number",
        "protocol",
        "remote",
    )

    def __init__(
        self, number: int, protocol: SocketProtocol, local: Endpoint, remote: Endpoint, accepted_at: float
    ) -> None:
        self.number = number
        self.protocol = protocol
        self.local = local
        self.remote = remote
        self.accepted_at = accepted_at
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.closed_at: float | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.closed_by: ClosedBy | None = None
        self.detail = ""
        # Pieces: an echo keeps each once for both directions, and the transcript refers to the same.
        self._received: list[bytes] = []
        self._sent: list[bytes] = []
        self._connection: Connection | None = None

    @property
    def received(self) -> bytes:
        """The first bytes from the client: 64 KiB, or what the server's `record` says."""
        return b"".join(tuple(self._received))

    @property
    def sent(self) -> bytes:
        """The first bytes to the client, after the faults: 64 KiB, or what the server's `record` says."""
        return b"".join(tuple(self._sent))

    @blames_the_call
    def send(self, data: bytes) -> None:
        """Send `data` to this client, through the faults of direction "out"; never waits for the client.

        Raises `ServerFault` if the connection or the server is closed.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise SettingError(f"send({data!r}): use bytes")
        self._act("send", lambda connection: connection.answer(bytes(data)))

    @blames_the_call
    def close(self) -> None:
        """Close this connection in order: the client gets what was sent, then b""."""
        self._act("close", lambda connection: connection.end_by(Ending("close", "server")))

    @blames_the_call
    def half_close(self) -> None:
        """End the server's sending side and read on: the client gets b"" and can still send."""
        self._act("half_close", lambda connection: connection.end_by(Ending("half", "server")))

    @blames_the_call
    def reset(self) -> None:
        """Reset this connection at once: the client gets `ConnectionResetError`."""
        self._act("reset", lambda connection: connection.reset_by("server"))

    def _act(self, name: str, act: Callable[[Connection], None]) -> None:
        def work() -> None:
            if self._connection is None or self.closed_at is not None:
                raise ServerFault(f"{name}(): this connection is closed\n  {self}")
            act(self._connection)

        connection = self._connection
        if connection is None:
            work()
        else:
            connection.owner.run(work)

    @property
    def socket_tuple(self) -> tuple[SocketProtocol, str, int | None, str | None, int | None]:
        """Protocol, local address, local port, remote address, remote port; seen from the server."""
        return self.protocol, self.local.host, self.local.port, self.remote.host, self.remote.port

    @property
    def is_open(self) -> bool:
        """Not closed by either side yet."""
        return self.closed_at is None

    def __str__(self) -> str:
        preview = b"".join(self._received[:PREVIEW])[:PREVIEW]
        shown = f" {preview!r}{'...' if self.bytes_in > len(preview) else ''}" if preview else ""
        return (
            f"{self.protocol} {self.local} <- {self.remote}: {self.bytes_in} bytes in{shown}, {self.bytes_out} out, "
            f"{self._ending()}{f' ({self.detail})' if self.detail else ''}"
        )

    def _ending(self) -> str:
        if self.closed_at is None:
            return "open"
        return f"closed by {self.closed_by} after {self.closed_at - self.accepted_at:.3f} s"

    def __repr__(self) -> str:
        return f"<ConnectionRecord {self.number}: {self}>"


@dataclasses.dataclass(frozen=True, slots=True)
class DatagramRecord:
    """One datagram that reached the server: who sent it, its first bytes, its whole size, when (`time.monotonic()`)."""

    sender: Endpoint
    data: bytes
    size: int
    received_at: float

    def __str__(self) -> str:
        more = "..." if self.size > PREVIEW else ""
        return f"udp <- {self.sender}: {self.size} bytes {self.data[:PREVIEW]!r}{more}"
