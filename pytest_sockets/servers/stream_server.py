"""A server of connections: from its settings to its bound sockets and its engine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from pytest_sockets.errors import SettingError
from pytest_sockets.servers import listening
from pytest_sockets.servers.server import Server
from pytest_sockets.servers.sizes import check_sizes
from pytest_sockets.servers.stream_engine import StreamEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sockets.literals import Transport
    from pytest_sockets.servers.connection import Connection
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.listening import Bound
    from pytest_sockets.servers.records import ConnectionRecord


class StreamServer(Server):
    """Servers of connections; `make_connection` says what one does."""

    def __init__(
        self,
        transport: Transport,
        make_connection: Callable[[Hub, Any, StreamEngine, ConnectionRecord], Connection],
        *,
        kind: str,
        host: str,
        port: int,
        faults: Iterable[Fault],
        max_buffer: int,
        record: int,
        backlog: int,
        greeting: bytes = b"",
        make_engine: Callable[..., StreamEngine] = StreamEngine,
    ) -> None:
        check_sizes(max_buffer=max_buffer, record=record, backlog=backlog)
        bound = _bind_streams(transport, host, port, backlog)
        engine = make_engine(
            bound,
            f"{kind} {bound[0].endpoint}",
            make_connection=make_connection,
            greeting=greeting,
            max_buffer=max_buffer,
            record_size=record,
            backlog=backlog,
        )
        super().__init__(engine, transport, faults)


def _bind_streams(transport: str, host: str, port: int, backlog: int) -> list[Bound]:
    if transport != "unix":
        return listening.bind_all(socket.SOCK_STREAM, host, port, backlog)
    if port != 0 or isinstance(port, bool):
        raise SettingError(f"port={port!r}: a unix socket has no port; its path is named by host=")
    return [listening.bind_unix("" if host == "127.0.0.1" else host, backlog)]
