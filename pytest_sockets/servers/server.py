"""What every server does: its address, clients of it, faults, refusing and pausing, how it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pytest_sockets.errors import ServerFault, blames_the_call
from pytest_sockets.servers import listening
from pytest_sockets.servers.faults.base import ActiveFault, check_faults
from pytest_sockets.servers.observed import TIMEOUT, ObservedServer
from pytest_sockets.servers.stream_engine import StreamEngine
from pytest_sockets.waiting import checked_timeout

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from pytest_sockets.literals import Transport
    from pytest_sockets.model import Endpoint
    from pytest_sockets.servers.datagram import DatagramEngine
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.tls_settings import ServerTls


class Undo:
    """A change that is already made; leaving the `with` block reverts it."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._undo()


class Server(ObservedServer):
    """A running server. It is a context manager; leaving it stops the server and raises what went wrong inside."""

    _tls: ServerTls | None = None

    def __init__(
        self, engine: StreamEngine | DatagramEngine, transport: Transport, faults: Iterable[Fault]
    ) -> None:
        super().__init__(engine, transport)
        self._clients: list[socket.socket] = []
        try:
            checked = check_faults(faults, transport)
            engine.active_faults = [ActiveFault(fault) for fault in checked]
            if checked and transport == "udp":
                engine.faults_changed()
            engine.start()
        except BaseException:
            engine.close_sockets()
            for bound in engine.bound:
                if bound.endpoint.port is None:
                    listening.remove_path(bound)
            raise

    # Where it is

    @property
    def address(self) -> Any:
        """What connect(2) takes: (host, port), or a unix path. A wildcard host gives the loopback address."""
        return self._engine.bound[0].address

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """Every address that it is bound to; two for host="localhost"."""
        return tuple(bound.endpoint for bound in self._engine.bound)

    @property
    def host(self) -> str:
        """The host to connect to; the path of a unix socket."""
        address = self.address
        return str(address[0]) if isinstance(address, tuple) else self._engine.bound[0].endpoint.host

    @property
    def port(self) -> int:
        """The port; a unix socket has none: `ServerFault`."""
        port = self._engine.bound[0].endpoint.port
        if port is None:
            raise ServerFault(f"{self} is a unix socket and has no port; use .address")
        return port

    def url(self, scheme: str = "http") -> str:
        """`scheme://host:port`, an IPv6 host in brackets; `scheme://path` for a unix socket."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("@") else self.host
        return f"{scheme}://{host}" if self.transport == "unix" else f"{scheme}://{host}:{self.port}"

    @blames_the_call
    def connect(self, *, timeout: float | None = TIMEOUT) -> socket.socket:
        """A connected blocking client, closed when the server stops. Each of its calls waits `timeout` seconds at most.

        Raises `ServerFault` if the server is stopped, else what connect(2) gives.
        """
        from pytest_sockets.servers.clients import connect

        if self._engine.stopped:
            raise ServerFault(f"connect(): {self} is stopped; start a new server, or connect before stop()")
        self._engine.hub.ensure_sound()
        seconds = None if timeout is None else checked_timeout(timeout)
        client = connect(
            self.transport, self._engine.bound[0], seconds, self._engine.connecting, self._tls, self
        )
        self._clients.append(client)
        return client

    @property
    def client_context(self) -> ssl.SSLContext:
        """For a client of this TLS server: trusts its certificate, and has one of its own if the server asks for one.

        Raises `ServerFault` if the server does not speak TLS.
        """
        if self._tls is None:
            raise ServerFault(f"{self} has no client_context: transport={self.transport!r} has no TLS")
        return self._tls.client_context

    # Breaking it

    @blames_the_call
    def faults(self, *faults: Fault) -> Undo:
        """Apply these faults now, to open and new connections, after those that are already in force.

        In a `with` block they are removed at its end.
        """
        added = self._engine.add_faults(check_faults(faults, self.transport))
        return Undo(lambda: self._engine.remove_faults(added))

    def refuse(self) -> Undo:
        """Refuse new connections and keep the port; open ones go on. `resume()`, or the end of a `with` block, undoes it."""
        self._engine.refuse()
        return Undo(self._resume_if_running)

    def pause(self) -> Undo:
        """Do nothing: clients connect (up to the backlog) and wait. `resume()`, or the end of a `with` block, undoes it."""
        self._engine.pause()
        return Undo(self._resume_if_running)

    def resume(self) -> None:
        """Undo `refuse()` and `pause()`."""
        self._engine.resume()

    def _resume_if_running(self) -> None:
        if not self._engine.stopped:
            self._engine.resume()

    def reset_all(self) -> None:
        """RST to every open connection: its client gets `ConnectionResetError`."""
        self._streams().reset_all()

    def close_all(self) -> None:
        """Close every open connection in order, after what is still to be sent: its client gets that and then b""."""
        self._streams().close_all()

    def _streams(self) -> StreamEngine:
        if not isinstance(self._engine, StreamEngine):
            raise ServerFault(f"{self}: UDP has no connections to end")
        return self._engine

    def stop(self) -> None:
        """Reset what is open, free the address, close the clients of `connect()`. Records stay readable."""
        __tracebackhide__ = True
        try:
            self._engine.stop()
        finally:
            for client in self._clients:
                client.close()
            self._clients.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self.stop()
        if kind is None:
            self.check()

    def __repr__(self) -> str:
        state = "stopped" if self._engine.stopped else f"{self._seen()} seen"
        return f"<{type(self).__name__} {self}, {state}>"
