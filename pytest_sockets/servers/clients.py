"""The blocking client that `server.connect()` gives."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from pytest_sockets.real_socket import RealSocket
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from pytest_sockets.servers.listening import Bound
    from pytest_sockets.servers.server import Server
    from pytest_sockets.servers.tls_settings import ServerTls

_SETTLES: Final = 0.5


def connect(
    transport: str,
    bound: Bound,
    timeout: float | None,
    connecting: set[object],
    tls: ServerTls | None = None,
    server: Server | None = None,
) -> socket.socket:
    """Connect and, for TLS, shake hands. Raises what connect(2) gives; a failed handshake says what the server saw.

    The client is in `connecting` until connect(2) has returned.
    """
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    client = RealSocket(bound.sock.family, kind)
    try:
        client.settimeout(timeout)
        connecting.add(client)
        try:
            client.connect(bound.address)
        finally:
            connecting.discard(client)
        return client if tls is None else _secured(client, bound, tls, server)
    except BaseException:
        client.close()
        raise


def _secured(client: RealSocket, bound: Bound, tls: ServerTls, server: Server | None) -> socket.socket:
    address = bound.address
    host = address[0] if isinstance(address, tuple) else "localhost"
    own = client.getsockname()[:2]
    try:
        return tls.client_context.wrap_socket(client, server_hostname=tls.server_name(host))
    except OSError as error:
        if server is not None:
            error.add_note(_seen_by(server, own))
        raise


def _seen_by(server: Server, client: tuple[str, int]) -> str:
    """The server's side of a failed handshake; it may get the client's alert a moment later."""

    def detail() -> str:
        return next((one.detail for one in reversed(server.connections) if one.remote == client), "")

    wait_until(detail, _SETTLES)
    return f"{server}: {detail() or 'the handshake is not over'}"
