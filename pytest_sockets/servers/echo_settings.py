"""Which settings does an echo server of each transport have? For type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from pytest_sockets.literals import ClientCertificate
    from pytest_sockets.servers.certificates import Certificate
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.records import ConnectionRecord, DatagramRecord

    StreamReply = Callable[[bytes], bytes | None] | Callable[[bytes, ConnectionRecord], bytes | None]
    DatagramReply = Callable[[bytes], bytes | None] | Callable[[bytes, DatagramRecord], bytes | None]


class AnySettings(TypedDict, total=False):
    """Those of every transport."""

    host: str
    faults: Iterable[Fault]
    record: int


class UdpSettings(AnySettings, total=False):
    """A datagram server sends no greeting and buffers nothing."""

    reply: DatagramReply | None
    port: int


class UnixSettings(AnySettings, total=False):
    """A unix socket has no port."""

    reply: StreamReply | None
    greeting: bytes
    max_buffer: int
    backlog: int


class TcpSettings(UnixSettings, total=False):
    """A stream server with a port."""

    port: int


class TlsServerSettings(TcpSettings, total=False):
    """A stream server with a certificate."""

    context: ssl.SSLContext | Certificate | None
    alpn: Iterable[str] | None
    client_certificate: ClientCertificate
    minimum_version: ssl.TLSVersion | None
    maximum_version: ssl.TLSVersion | None
