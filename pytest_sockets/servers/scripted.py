"""The scripted server: plain blocking functions that speak a protocol, one thread for each connection."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, cast

from pytest_sockets import originals
from pytest_sockets.errors import SettingError
from pytest_sockets.servers.echo import MAX_BUFFER, RECORD, chosen_certificate, server_tls
from pytest_sockets.servers.observed import TIMEOUT
from pytest_sockets.servers.stream_server import StreamServer
from pytest_sockets.waiting import checked_timeout

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal

    from pytest_sockets.literals import ClientCertificate
    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.certificates import Certificate
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.records import ConnectionRecord
    from pytest_sockets.servers.scripted_connection import ScriptedConnection
    from pytest_sockets.servers.scripted_stream import ScriptedStream
    from pytest_sockets.servers.stream_engine import StreamEngine
    from pytest_sockets.servers.tls_settings import ServerTls

    Handler = Callable[[ScriptedConnection], object]

TRANSPORTS: Final = ("tcp", "unix", "tls")


class ScriptedServer(StreamServer):
    """A server that speaks any protocol: `handler(conn)` runs in a thread for each connection, see `ScriptedConnection`.

    `handler`: one function for every connection, or a list with one for each connection in the order of accept. The test
    fails for a connection without a handler, which is reset, and for a handler without a connection. When the handler
    returns, its connection is closed in order. When it raises, the connection is reset, and `check()`, the fixture or the
    end of a `with` block raises `ServerFault` with the handler's traceback.
    `transport`: "tcp", "unix" or "tls"; over TLS the handler begins after the handshake. The settings of
    TLS are those of `EchoServer`.
    `timeout`: seconds that each call of the connection waits at most; None: until the server stops.
    The other settings are those of `EchoServer`.

    `stop()` ends handlers that wait for their client. A handler that waits for something else is interrupted after a
    second and reported.
    """

    def __init__(
        self,
        handler: Handler | Sequence[Handler],
        *,
        transport: Literal["tcp", "unix", "tls"] = "tcp",
        timeout: float | None = TIMEOUT,
        host: str = "127.0.0.1",
        port: int = 0,
        context: ssl.SSLContext | Certificate | None = None,
        alpn: Iterable[str] | None = None,
        client_certificate: ClientCertificate = "none",
        minimum_version: ssl.TLSVersion | None = None,
        maximum_version: ssl.TLSVersion | None = None,
        faults: Iterable[Fault] = (),
        max_buffer: int = MAX_BUFFER,
        record: int = RECORD,
        backlog: int = 128,
    ) -> None:
        if transport not in TRANSPORTS:
            choices = ", ".join(TRANSPORTS)
            raise SettingError(
                f"transport={transport!r}: use one of: {choices}; for UDP use an echo server with reply="
            )
        self._tls = server_tls(
            transport,
            context=context,
            alpn=alpn,
            client_certificate=client_certificate,
            minimum_version=minimum_version,
            maximum_version=maximum_version,
        )
        from pytest_sockets.servers.scripted_engine import ScriptedEngine

        seconds = None if timeout is None else checked_timeout(timeout)
        super().__init__(
            transport,
            _maker(self._tls),
            kind=f"{transport} scripted server",
            host=host,
            port=port,
            faults=faults,
            max_buffer=max_buffer,
            record=record,
            backlog=backlog,
            make_engine=functools.partial(ScriptedEngine, script=_checked(handler), timeout=seconds),
        )


def _checked(handler: object) -> Handler | Sequence[Handler]:
    if callable(handler):
        return cast("Handler", handler)
    if isinstance(handler, (list, tuple)) and handler and all(map(callable, handler)):
        return tuple(handler)
    raise SettingError(
        f"handler={handler!r}: use a function that takes the connection, or a list of such functions"
    )


def _maker(
    tls: ServerTls | None,
) -> Callable[[Hub, RealSocket, StreamEngine, ConnectionRecord], ScriptedStream]:
    originals.load_ssl()
    from pytest_sockets.servers.scripted_stream import ScriptedStream

    if tls is None:

        def make(hub: Hub, sock: RealSocket, owner: StreamEngine, record: ConnectionRecord) -> ScriptedStream:
            return ScriptedStream(hub, sock, owner, record, context=None, secure=False)

        return make

    def make_secure(
        hub: Hub, sock: RealSocket, owner: StreamEngine, record: ConnectionRecord
    ) -> ScriptedStream:
        kind = chosen_certificate(owner.active_faults, record)
        chosen = None if kind == "hang" else tls.context(kind)
        return ScriptedStream(hub, sock, owner, record, context=chosen, secure=True)

    return make_secure
