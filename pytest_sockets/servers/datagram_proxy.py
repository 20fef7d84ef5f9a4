"""A UDP proxy: each client address gets a socket of its own to the service, so that answers find their way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.servers.datagram import MAX_SIZE, READS_PER_EVENT, DatagramEngine
from pytest_sockets.servers.poller import READ

if TYPE_CHECKING:
    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.faults.base import Datagram
    from pytest_sockets.servers.listening import Bound
    from pytest_sockets.servers.proxy import Service
    from pytest_sockets.servers.records import DatagramRecord

MOST_CLIENTS: Final = 256
"""Client addresses that are served at a time; the one that was silent longest makes room."""


class DatagramProxyEngine(DatagramEngine):
    """What passes the "in" stages goes to the service, what it answers through the "out" stages to the client."""

    def __init__(self, bound: list[Bound], name: str, *, service: Service, record_size: int) -> None:
        super().__init__(bound, name, reply=None, record_size=record_size)
        self._service = service
        self._flows: dict[Any, _Flow] = {}

    def serve(self, datagram: Datagram, record: DatagramRecord) -> None:  # noqa: ARG002
        """To the service."""
        flow = self._flows.pop(datagram.address, None)
        if flow is None:
            while len(self._flows) >= MOST_CLIENTS:
                self._flows.pop(next(iter(self._flows))).close()
            flow = _Flow(self, self._service.datagram_socket(), datagram)
        self._flows[datagram.address] = flow  # the last one again
        flow.send(datagram.data)

    def stop_sockets(self) -> None:
        super().stop_sockets()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()

    def close_sockets(self) -> None:
        super().close_sockets()
        for flow in self._flows.values():
            flow.sock.close()


class _Flow:
    """One client's socket to the service, as the hub's handler."""

    __slots__ = ("_client", "_engine", "sock")

    def __init__(self, engine: DatagramProxyEngine, sock: RealSocket, client: Datagram) -> None:
        self.sock = sock
        self._engine = engine
        self._client = client._replace(data=b"")
        engine.hub.add(sock.fileno(), self, READ)

    def send(self, data: bytes) -> None:
        """To the service; what the kernel does not take is lost, as on a network."""
        try:
            self.sock.send(data)
        except OSError:
            pass

    def on_event(self, events: int) -> None:  # noqa: ARG002  (the hub's signature)
        """The service answers, or an ICMP error says that nothing listens there."""
        for _ in range(READS_PER_EVENT):
            try:
                data = self.sock.recv(MAX_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue
            self._engine.answer(self._client._replace(data=data))

    def failed(self, error: BaseException) -> None:
        """An event's handling raised."""
        self._engine.failures.add(error, self.describe())

    def describe(self) -> str:
        """For messages."""
        return f"{self._engine.name}, for {self._client.address}"

    def close(self) -> None:
        """Give the descriptor back."""
        if self.sock.fileno() >= 0:
            self._engine.hub.remove(self.sock.fileno())
            self.sock.close()
