"""The same faults in front of a real service: each accepted connection gets its own connection to the service."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pytest_sockets import originals
from pytest_sockets.addresses import checked_port
from pytest_sockets.errors import SettingError, quoted
from pytest_sockets.model import Endpoint
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.servers import listening
from pytest_sockets.servers.connection import Connection
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.poller import WRITE
from pytest_sockets.servers.server import Server
from pytest_sockets.servers.sizes import check_sizes
from pytest_sockets.servers.stream import CLOSED, OPEN, TOO_MUCH, StreamSocket
from pytest_sockets.servers.stream_server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.literals import Transport
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.records import ConnectionRecord
    from pytest_sockets.servers.stream_engine import StreamEngine

TRANSPORTS: Final = ("tcp", "udp", "unix")
MAX_BUFFER: Final = 1024 * 1024
"""A proxy holds little: the service is to feel a client that does not read."""


class Upstream(StreamSocket):
    """The proxy's connection to the service."""

    __slots__ = ("_connected", "client")

    def __init__(self, hub: Hub, sock: RealSocket, client: ProxyConnection) -> None:
        super().__init__(hub, sock)
        self.client = client
        self._connected = False
        self._mask = WRITE
        hub.add(sock.fileno(), self, WRITE)

    def write(self, data: bytes | memoryview) -> None:
        """Before the connection is made: keep it."""
        if self._connected:
            super().write(data)
        elif self._phase == OPEN:
            self._out.append(memoryview(bytes(data)))
            self.out_size += len(data)

    def finish(self, how: str) -> None:
        """Before the connection is made: remember it."""
        if self._connected:
            super().finish(how)
        elif self._phase == OPEN:
            self._finish = how

    def on_event(self, events: int) -> None:
        """From the hub; the first one says how connect(2) ended."""
        if not self._connected:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.lost(OSError(code, os.strerror(code)))
                return
            self._connected = True
            self._update()
            events |= WRITE
        super().on_event(events)

    def _update(self) -> None:
        if self._connected:
            super()._update()

    def received(self, data: memoryview) -> None:
        """The service answers."""
        self.client.answer(bytes(data))
        self.client.balance()

    def read_end(self) -> None:
        """The service sends no more."""
        self.client.upstream_ended()

    def lost(self, error: OSError) -> None:
        """The service refused, reset, or broke."""
        self.destroy()
        self.client.upstream_lost(error)

    def flushed(self) -> None:
        """The service took something: perhaps the client may send more."""
        if self.client.is_held(TOO_MUCH):
            self.client.balance()

    def failed(self, error: BaseException) -> None:
        """An event's handling raised."""
        self.client.failed(error)

    def describe(self) -> str:
        """One line."""
        return f"{self.client.describe()}, to the service"


class ProxyConnection(Connection):
    """What passes the "in" stages goes to the service, what the service answers through the "out" stages to the client."""

    __slots__ = ("_client_ended", "_service_ended", "_upstream")

    def __init__(
        self, hub: Hub, sock: RealSocket, owner: StreamEngine, record: ConnectionRecord, service: Service
    ) -> None:
        super().__init__(hub, sock, owner, record)
        self._client_ended = self._service_ended = False
        self._upstream = Upstream(hub, service.connecting(), self)

    def deliver(self, data: bytes) -> None:
        """To the service."""
        self._upstream.write(data)

    def deliver_end(self, ending: Ending) -> None:
        """The client's end is only half of one: the service may still answer. A fault's end is the whole."""
        if ending.by == "client" and not self._service_ended:
            self._client_ended = True
            self._upstream.finish("half")
        else:
            self.outbound.end(ending)

    def upstream_ended(self) -> None:
        """The same in the other direction."""
        if self._client_ended:
            self.outbound.end(Ending("close", "client"))
        else:
            self._service_ended = True
            self.outbound.end(Ending("close", "server"))

    def upstream_lost(self, error: OSError) -> None:
        """As the client would see it without a proxy: a reset."""
        if self._phase == OPEN:
            self.record.detail = f"the service: {os.strerror(error.errno or errno.ECONNABORTED)}"
            self.outbound.end(Ending("reset", "server"))

    def downstream_size(self) -> int:
        """What waits for the service."""
        return self._upstream.out_size + self.inbound.held

    def balance(self) -> None:
        """Both directions: do not read from one side more than the other takes."""
        super().balance()
        upstream = self._upstream
        if upstream._phase == CLOSED:
            return
        size = self.out_size + self.outbound.held
        if size >= self.owner.max_buffer:
            upstream.hold(TOO_MUCH)
        elif size <= self.owner.max_buffer // 2:
            upstream.resume(TOO_MUCH)

    def flushed(self) -> None:
        """The client took something: perhaps the service may send more."""
        super().flushed()
        if self._upstream.is_held(TOO_MUCH):
            self.balance()

    def finished(self) -> None:
        """The client's side is closed; the service's follows."""
        super().finished()
        self._upstream.finish("close")

    def destroyed(self) -> None:
        """The client's descriptor is closed: the service's must not stay."""
        super().destroyed()
        if self._upstream._phase == OPEN:
            self._upstream.reset()

    def abandon(self) -> None:
        """Close both descriptors without the hub."""
        super().abandon()
        self._upstream._phase = CLOSED
        self._upstream.sock.close()


class Service:
    """Where a proxy connects to: (host, port), "host:port", a unix path, or anything with such an `.address`.

    `transport` is what it speaks: "tcp", "udp" or "unix".
    """

    def __init__(self, address: Any, transport: str | None = None) -> None:
        self.address = _normal(getattr(address, "address", address))
        self.endpoint = Endpoint(*self.address) if isinstance(self.address, tuple) else Endpoint(self.address)
        self.transport = _transport(getattr(address, "transport", None), self.address, transport)
        self._family, self._target = _resolved(self.address)

    def datagram_socket(self) -> RealSocket:
        """A non-blocking UDP socket that is connected to it."""
        sock = RealSocket(self._family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(self._target)
        except BaseException:
            sock.close()
            raise
        return sock

    def connecting(self) -> RealSocket:
        """A non-blocking socket on its way there."""
        sock = RealSocket(self._family, socket.SOCK_STREAM)
        sock.setblocking(False)
        if isinstance(self.address, tuple):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(self._target)  # the first event shows whether it succeeded
        return sock


def _normal(address: Any) -> tuple[str, int] | str:
    if isinstance(address, os.PathLike):
        address = os.fspath(address)
    if isinstance(address, str) and "\0" not in address and address:
        host, colon, port = address.rpartition(":")
        if colon and port.isdecimal() and "/" not in host:
            return host.strip("[]"), checked_port(int(port))
        return address
    if isinstance(address, (tuple, list)) and len(address) >= 2 and isinstance(address[0], str):
        return address[0], checked_port(address[1])
    raise SettingError(
        f"{quoted(address)} is not the address of a service; "
        'use (host, port), "host:port", a unix path, or a server of pytest-sockets'
    )


def _transport(of_server: object, address: tuple[str, int] | str, wanted: str | None) -> Transport:
    if wanted is not None and wanted not in TRANSPORTS:
        raise SettingError(f"transport={wanted!r}: a proxy is one of: {', '.join(TRANSPORTS)}")
    if isinstance(address, str):
        known: str | None = "unix"
    else:
        known = {"udp": "udp", "tcp": "tcp", "tls": "tcp"}.get(str(of_server))
    if (wanted and wanted != (known or wanted)) or wanted == "unix" != known:
        raise SettingError(
            f"transport={wanted!r}: the upstream {quoted(address)} speaks {known or 'tcp or udp'}"
        )
    return cast("Transport", wanted or known or "tcp")


def _resolved(address: tuple[str, int] | str) -> tuple[int, Any]:
    if isinstance(address, str):
        if not hasattr(socket, "AF_UNIX"):
            raise SettingError(
                f"this host has no unix sockets; use (host, port) instead of {quoted(address)}"
            )
        return socket.AF_UNIX, f"\0{address[1:]}" if address.startswith("@") else address
    try:
        found = originals.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label that is too long (UnicodeError), a NUL
        raise SettingError(f"the service's address {address[0]!r} cannot be resolved: {error}") from error
    return found[0][0], found[0][4]


class FaultProxy(StreamServer):
    """A server in front of a real service; `.upstream` is the service's address.

    `upstream`: (host, port), "host:port", a unix path, or a server of pytest-sockets. `transport`: "tcp", "udp" or
    "unix", by default that of the upstream; a plain (host, port) is taken for TCP. Over "tcp" TLS passes unread.
    A unix proxy gets a private path, or `host=`. The other settings are those of `EchoServer`.
    """

    def __init__(
        self,
        upstream: Any,
        faults: Iterable[Fault] = (),
        *,
        transport: Literal["tcp", "udp", "unix"] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        max_buffer: int = MAX_BUFFER,
        record: int = 64 * 1024,
        backlog: int = 128,
    ) -> None:
        service = Service(upstream, transport)
        self.upstream = service.endpoint
        if service.transport == "udp":
            check_sizes(max_buffer=max_buffer, record=record, backlog=backlog)
            self._init_datagram(service, faults, host, port, record)
            return

        def make(hub: Hub, sock: RealSocket, owner: StreamEngine, seen: ConnectionRecord) -> ProxyConnection:
            return ProxyConnection(hub, sock, owner, seen, service)

        super().__init__(
            cast("Transport", service.transport),
            make,
            kind=f"fault proxy to {service.endpoint}",
            host=host,
            port=port,
            faults=faults,
            max_buffer=max_buffer,
            record=record,
            backlog=backlog,
        )

    def _init_datagram(
        self, service: Service, faults: Iterable[Fault], host: str, port: int, record: int
    ) -> None:
        from pytest_sockets.servers.datagram_proxy import DatagramProxyEngine

        bound = listening.bind_all(socket.SOCK_DGRAM, host, port, 0)
        name = f"udp fault proxy to {service.endpoint} {bound[0].endpoint}"
        Server.__init__(
            self, DatagramProxyEngine(bound, name, service=service, record_size=record), "udp", faults
        )
