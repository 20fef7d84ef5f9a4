"""The blocking client that `server.connect()` gives."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from pytest_sockets.servers.listening import Bound


def connect(transport: str, bound: Bound, timeout: float | None, connecting: set[object]) -> socket.socket:
    """Connect (for TLS: shake hands, trusting the throw-away CA). Raises what connect(2) gives.

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
        return client if transport != "tls" else _secured(client, bound)
    except BaseException:
        client.close()
        raise


def _secured(client: RealSocket, bound: Bound) -> socket.socket:
    from pytest_sockets.servers.certificates import process_authority

    address = bound.address
    host = address[0] if isinstance(address, tuple) else "localhost"
    return process_authority().client_context.wrap_socket(client, server_hostname=host)
