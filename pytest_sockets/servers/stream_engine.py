"""A server of connections: its listeners, its open connections, all its records."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.errors import ServerFault
from pytest_sockets.model import Endpoint
from pytest_sockets.originals import LINGER_OFF_RESET, monotonic
from pytest_sockets.servers import listening
from pytest_sockets.servers.engine import Engine, SocketHandler
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.poller import READ
from pytest_sockets.servers.records import ConnectionRecord
from pytest_sockets.servers.short_list import short_list
from pytest_sockets.servers.transcript import new_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.connection import Connection
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.listening import Bound

ACCEPTS_PER_EVENT: Final = 64
_CLIENT_GONE: Final = frozenset(
    {errno.EINVAL, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}
)
"""How a socket answers whose client has gone already; EINVAL is macOS's word."""
_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY_ACCEPT: Final = 0.1


class StreamEngine(Engine):
    """TCP, unix and TLS servers and proxies: `make_connection` says what a connection is."""

    def __init__(
        self,
        bound: list[Bound],
        name: str,
        *,
        make_connection: Callable[[Hub, RealSocket, StreamEngine, ConnectionRecord], Connection],
        greeting: bytes,
        max_buffer: int,
        record_size: int,
        backlog: int,
    ) -> None:
        super().__init__(bound, name)
        self.max_buffer = max_buffer
        self.record_size = record_size
        self.records: list[ConnectionRecord] = []
        self.connections: dict[int, Connection] = {}
        self.events = new_events()
        self._make_connection = make_connection
        self._greeting = greeting
        self._backlog = backlog
        self._handlers = [SocketHandler(self, one.sock, self._accept_some) for one in bound]
        self._listens = True
        self._paused = False
        self._is_unix = bound[0].endpoint.port is None
        self._fixed_local = None if _is_wildcard(bound[0].endpoint) or len(bound) > 1 else bound[0].endpoint

    # In the hub

    def started(self) -> None:
        for handler in self._handlers:
            self.hub.add(handler.sock.fileno(), handler, READ)

    def _accept_some(self, handler: SocketHandler) -> None:
        listener: RealSocket = handler.sock
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                sock, address = listener.accepted()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_DESCRIPTOR:
                    raise
                self._cannot_accept(handler, error)
                return
            try:
                local = self._prepared(sock)
            except OSError as error:
                sock.close()
                if error.errno not in _CLIENT_GONE:
                    raise
                continue
            self._accepted(sock, local, _endpoint(address))

    def _cannot_accept(self, handler: SocketHandler, error: OSError) -> None:
        """Without a free descriptor the listener stays ready: stop looking for a moment instead of spinning."""
        problem = ServerFault(
            f"{self.name} could not accept a connection: {error.strerror}\n"
            f"{len(self.connections)} of its own are open\n"
            "likely cause: connections that are never closed, or a low `ulimit -n`"
        )
        if not self.failures:
            self.failures.add(problem, self.name)
        self.hub.change(handler.sock.fileno(), 0)
        self.hub.later(_RETRY_ACCEPT, self._look_again, handler)

    def _look_again(self) -> None:
        if not self.stopped and self._listens and not self._paused:
            for handler in self._handlers:
                self.hub.change(handler.sock.fileno(), READ)

    def _prepared(self, sock: RealSocket) -> Endpoint:
        sock.setblocking(False)
        if not self._is_unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._fixed_local or _endpoint(sock.getsockname())

    def _accepted(self, sock: RealSocket, local: Endpoint, remote: Endpoint) -> None:
        now = self.hub.now = monotonic()  # later than the event that brought it
        record = ConnectionRecord(len(self.records), "unix" if self._is_unix else "tcp", local, remote, now)
        self.events.append((now, record.number, "opened", b""))
        connection: Connection | None = None
        try:
            connection = self._make_connection(self.hub, sock, self, record)
            self.hub.add(sock.fileno(), connection, READ)
        except Exception as error:  # noqa: BLE001  (one connection cannot be served; the others go on)
            self._not_served(sock, record, error)
            if connection is not None:
                connection.abandon()
            return
        self.connections[record.number] = connection
        self.records.append(record)
        try:
            connection.apply(self.active_faults)
            if self._greeting:
                connection.answer(self._greeting)
            connection.opened()
        except Exception as error:  # noqa: BLE001  (the hub's rule for connections, which it does not know yet)
            connection.failed(error)

    def _not_served(self, sock: RealSocket, record: ConnectionRecord, error: Exception) -> None:
        """Reset an accepted client that cannot be served, such as a proxy's without a descriptor for its service."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF_RESET)
        except OSError:
            pass
        sock.close()
        record._connection = None
        record.closed_by, record.closed_at = "server", monotonic()
        record.detail = f"not served: {error}"
        self.events.append((record.closed_at, record.number, "closed", b""))
        self.records.append(record)
        likely = "\nlikely cause: connections that are never closed, or a low `ulimit -n`"
        cause = likely if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR else ""
        problem = ServerFault(
            f"{self.name} could not serve an accepted connection: {error}\n  {record}{cause}"
        )
        problem.__cause__ = None if cause else error
        if not any(str(one.error).startswith(f"{self.name} could not serve") for one in self.failures):
            self.failures.add(problem, self.name, accepted_at=record.accepted_at)

    def connection_gone(self, connection: Connection) -> None:
        """A connection's descriptor is closed."""
        self.connections.pop(connection.record.number, None)

    def faults_changed(self) -> None:
        for connection in tuple(self.connections.values()):
            connection.apply(self.active_faults)

    def stop_sockets(self) -> None:
        for handler in self._handlers:
            self.hub.remove(handler.sock.fileno())
            handler.sock.close()
        for connection in tuple(self.connections.values()):
            connection.reset_by("teardown")

    def close_sockets(self) -> None:
        for handler in self._handlers:
            handler.sock.close()
        for connection in tuple(self.connections.values()):
            connection.abandon()

    # From any thread

    def accept_now(self) -> None:
        """Accept the clients that have connected until now."""
        if not self.stopped:
            self.run(self.accept_waiting)

    def accept_waiting(self) -> None:
        """`accept_now`, in the hub."""
        if self._listens and not self._paused:
            for handler in self._handlers:
                self._accept_some(handler)

    def refuse(self) -> None:
        """Stop listening and keep the port. Connections that are not accepted yet are reset."""

        def work() -> None:
            if not self._listens:
                return
            self._listens = False
            for handler in self._handlers:
                self.hub.remove(handler.sock.fileno())
                if listening.CAN_STOP_LISTENING and not self._is_unix:
                    handler.sock.shutdown(socket.SHUT_RDWR)
                    handler.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # ours alone meanwhile
                else:
                    handler.sock.close()

        self.run(work)

    def pause(self) -> None:
        """Accept nothing, read nothing. The kernel still completes handshakes, up to the backlog."""

        def work() -> None:
            self._paused = True
            if self._listens:
                for handler in self._handlers:
                    self.hub.change(handler.sock.fileno(), 0)
            for connection in tuple(self.connections.values()):
                connection.pause(on=True)

        self.run(work)

    def resume(self) -> None:
        """Undo `refuse` and `pause`."""

        def work() -> None:
            paused, self._paused = self._paused, False
            if not self._listens:
                for handler, bound in zip(self._handlers, self.bound, strict=True):
                    handler.sock = bound.sock = self._listen_again(bound)
                    self.hub.add(handler.sock.fileno(), handler, READ)
                self._listens = True
            elif paused:
                self._look_again()
            for connection in tuple(self.connections.values()):
                connection.pause(on=False)

        self.run(work)

    def _listen_again(self, bound: Bound) -> RealSocket:
        if listening.CAN_STOP_LISTENING and not self._is_unix:
            bound.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.sock.listen(self._backlog)
            return bound.sock
        if self._is_unix:
            listening.remove_socket_file(bound)
            again = listening.bind_unix(bound.endpoint.host, self._backlog)
            bound.file = again.file
            return again.sock
        host, port = bound.endpoint
        return listening.bind_all(socket.SOCK_STREAM, host, port or 0, self._backlog)[0].sock

    def reset_all(self) -> None:
        """RST to every open connection."""

        def work() -> None:
            for connection in tuple(self.connections.values()):
                connection.reset_by("server")

        self.run(work)

    def close_all(self) -> None:
        """An orderly close of every open connection, after what is still to be sent."""

        def work() -> None:
            for connection in tuple(self.connections.values()):
                connection.end_by(Ending("close", "server"))

        self.run(work)

    def concerned(self) -> str:
        open_now = [connection.record for connection in tuple(self.connections.values())]
        lines = short_list(open_now)
        waits = "it waits for these connections:" if lines else "it has no open connections"
        return "\n".join([f"{self.name}: {waits}", *lines])


def _endpoint(address: Any) -> Endpoint:
    if isinstance(address, tuple):
        return Endpoint(address[0], address[1])
    if isinstance(address, bytes):
        return Endpoint("@" + address[1:].decode(errors="replace") if address else "")
    return Endpoint(address or "")


def _is_wildcard(endpoint: Endpoint) -> bool:
    return endpoint.host in ("0.0.0.0", "::")  # noqa: S104  (a comparison, nothing is bound)
