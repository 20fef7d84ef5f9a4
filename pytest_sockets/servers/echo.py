"""The echo server: what comes in goes out again, or what `reply` makes of it."""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, Any, Final, overload

from pytest_sockets import originals
from pytest_sockets.errors import SettingError
from pytest_sockets.servers import listening
from pytest_sockets.servers.echo_connection import EchoConnection
from pytest_sockets.servers.server import Server
from pytest_sockets.servers.sizes import check_sizes
from pytest_sockets.servers.stream_server import StreamServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable
    from typing import Literal, Unpack

    from pytest_sockets.literals import ClientCertificate, Transport
    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.certificates import Certificate
    from pytest_sockets.servers.connection import Connection
    from pytest_sockets.servers.echo_settings import (
        AnySettings,
        TcpSettings,
        TlsServerSettings,
        UdpSettings,
        UnixSettings,
    )
    from pytest_sockets.servers.faults.base import ActiveFault, Fault
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.records import ConnectionRecord
    from pytest_sockets.servers.stream_engine import StreamEngine
    from pytest_sockets.servers.tls_settings import ServerTls

    Reply = Callable[..., "bytes | None"]

TRANSPORTS: Final[tuple[Transport, ...]] = ("tcp", "udp", "unix", "tls")
MAX_BUFFER: Final = 64 * 1024 * 1024
RECORD: Final = 64 * 1024


class EchoServer(StreamServer):
    """A server for one test, on loopback, that answers from the moment it is made.

    `transport`: "tcp", "udp", "unix" or "tls".
    `host`: 127.0.0.1, ::1, "localhost" (both), or a path for a unix socket ("@name" is an abstract one); by default a unix
    socket gets a path in a new directory that only this user can enter. `port=0`: any free one; a unix socket has no port,
    and another value is refused.
    `reply(data)` or `reply(data, record)`: gives the answer to each piece that comes in; None or b"" sends nothing. It
    runs in the servers' own thread and must not block. `greeting`: sent at accept. `faults`: see `pytest_sockets.faults`.
    `max_buffer`: so many bytes per connection are kept for a client that does not read, then the server stops reading
    from it. `record`: so many bytes of each connection are kept in its record. `backlog`: as in listen(2).

    Only for "tls": `context` is an `ssl.SSLContext` or a certificate of `sockets_tls.issue()`, by default a certificate for
    localhost. `alpn`: protocol names in the order of preference. `client_certificate`: "none", "optional" or "required",
    signed by the same authority. `minimum_version`, `maximum_version`: an `ssl.TLSVersion`. They are set on a `context`
    that is given. `client_context` fits them all.
    """

    if TYPE_CHECKING:  # each transport has its own settings

        @overload
        def __init__(self, transport: Literal["tcp"] = "tcp", **settings: Unpack[TcpSettings]) -> None: ...
        @overload
        def __init__(self, transport: Literal["udp"], **settings: Unpack[UdpSettings]) -> None: ...
        @overload
        def __init__(self, transport: Literal["unix"], **settings: Unpack[UnixSettings]) -> None: ...
        @overload
        def __init__(self, transport: Literal["tls"], **settings: Unpack[TlsServerSettings]) -> None: ...
        @overload
        def __init__(self, transport: Transport, **settings: Unpack[AnySettings]) -> None: ...

    def __init__(
        self,
        transport: Transport = "tcp",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        reply: Reply | None = None,
        greeting: bytes = b"",
        faults: Iterable[Fault] = (),
        max_buffer: int = MAX_BUFFER,
        record: int = RECORD,
        backlog: int = 128,
        context: ssl.SSLContext | Certificate | None = None,
        alpn: Iterable[str] | None = None,
        client_certificate: ClientCertificate = "none",
        minimum_version: ssl.TLSVersion | None = None,
        maximum_version: ssl.TLSVersion | None = None,
    ) -> None:
        if transport not in TRANSPORTS:
            raise SettingError(f"{transport!r} is not a transport; use one of: {', '.join(TRANSPORTS)}")
        self._tls = server_tls(
            transport,
            context=context,
            alpn=alpn,
            client_certificate=client_certificate,
            minimum_version=minimum_version,
            maximum_version=maximum_version,
        )
        check_greeting(greeting, transport)
        answer = None if reply is None else two_arguments(reply)
        if transport == "udp":
            check_sizes(max_buffer=max_buffer, record=record, backlog=backlog)
            self._init_datagram(host, port, answer, faults, record)
            return
        super().__init__(
            transport,
            _maker(self._tls, answer),
            kind=f"{transport} echo server",
            host=host,
            port=port,
            faults=faults,
            max_buffer=max_buffer,
            record=record,
            backlog=backlog,
            greeting=bytes(greeting),
        )

    def _init_datagram(
        self, host: str, port: int, reply: Reply | None, faults: Iterable[Fault], record: int
    ) -> None:
        from pytest_sockets.servers.datagram import DatagramEngine

        bound = listening.bind_all(socket.SOCK_DGRAM, host, port, 0)
        engine = DatagramEngine(
            bound, f"udp echo server {bound[0].endpoint}", reply=reply, record_size=record
        )
        Server.__init__(self, engine, "udp", faults)


def check_greeting(greeting: object, transport: str) -> None:
    """Bytes, and only where there are connections to greet."""
    if not isinstance(greeting, (bytes, bytearray, memoryview)):
        raise SettingError(f"greeting={greeting!r}: use bytes")
    if greeting and transport == "udp":
        raise SettingError("greeting: UDP has no connections to greet")


def two_arguments(reply: Reply) -> Reply:
    """`reply` as a call with data and record, its answer checked."""
    import inspect

    if not callable(reply):
        raise SettingError(f"reply={reply!r}: use a function that takes bytes and returns bytes")
    try:
        parameters = [
            one
            for one in inspect.signature(reply).parameters.values()
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
        ]
        wants_record = len(parameters) >= 2
    except (TypeError, ValueError):  # some built-in functions have no signature
        wants_record = False

    @functools.wraps(reply, updated=())
    def checked(data: bytes, record: object) -> bytes | None:
        answer = reply(data, record) if wants_record else reply(data)
        if answer is not None and not isinstance(answer, (bytes, bytearray, memoryview)):
            raise TypeError(f"reply must return bytes or None, not {type(answer).__name__}")
        return None if answer is None else bytes(answer)

    return checked


def server_tls(transport: str, **settings: Any) -> ServerTls | None:
    """The TLS side of a server; None without TLS. Raises SettingError for settings of TLS on another transport."""
    if transport != "tls":
        for name, value in settings.items():
            if value not in (None, "none"):
                raise SettingError(f'{name}: transport={transport!r} has no TLS; use transport="tls"')
        return None
    originals.load_ssl()
    from pytest_sockets.servers.certificates import process_authority

    process_authority()  # says how to install trustme where it is missing
    from pytest_sockets.servers.tls_settings import ServerTls, TlsSettings, checked_alpn

    context = settings.pop("context")
    return ServerTls(context, TlsSettings(**{**settings, "alpn": checked_alpn(settings["alpn"])}))


def _maker(
    tls: ServerTls | None, reply: Reply | None
) -> Callable[[Hub, RealSocket, StreamEngine, ConnectionRecord], Connection]:
    if tls is not None:
        return _tls_maker(tls, reply)

    def make(hub: Hub, sock: RealSocket, owner: StreamEngine, record: ConnectionRecord) -> Connection:
        return EchoConnection(hub, sock, owner, record, reply)

    return make


def _tls_maker(
    tls: ServerTls, reply: Reply | None
) -> Callable[[Hub, RealSocket, StreamEngine, ConnectionRecord], Connection]:
    from pytest_sockets.servers.tls import TlsConnection

    def make(hub: Hub, sock: RealSocket, owner: StreamEngine, record: ConnectionRecord) -> Connection:
        kind = chosen_certificate(owner.active_faults, record)
        context = None if kind == "hang" else tls.context(kind)
        return TlsConnection(hub, sock, owner, record, reply, context=context)

    return make


def chosen_certificate(active_faults: list[ActiveFault], record: ConnectionRecord) -> str:
    """The first TLS fault that is for this connection chooses; "good" without one."""
    from pytest_sockets.servers.faults.certificates import TlsFault

    for active in active_faults:
        if isinstance(active.fault, TlsFault) and active.fault.is_for(record.number) and active.take():
            return active.fault.certificate
    return "good"
