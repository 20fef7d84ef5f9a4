"""A UDP server: datagrams in, datagrams out, faults between."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.model import Endpoint
from pytest_sockets.originals import monotonic
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.servers import listening
from pytest_sockets.servers.engine import Engine, SocketHandler
from pytest_sockets.servers.faults.base import ActiveFault, Datagram, DatagramPlace, DatagramStage
from pytest_sockets.servers.poller import READ
from pytest_sockets.servers.records import DatagramRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.servers.listening import Bound

READS_PER_EVENT: Final = 64
MAX_SIZE: Final = 65536
_RECEIVE_BUFFER: Final = 4 * 1024 * 1024  # the kernel cuts it to net.core.rmem_max


class DatagramEngine(Engine):
    """Answers each datagram with itself or with what `reply` makes of it."""

    def __init__(
        self,
        bound: list[Bound],
        name: str,
        *,
        reply: Callable[[bytes, Any], bytes | None] | None,
        record_size: int,
    ) -> None:
        super().__init__(bound, name)
        self.datagrams: list[DatagramRecord] = []
        self._reply = reply
        self._record_size = record_size
        self._handlers = [SocketHandler(self, one.sock, self._read_some) for one in bound]
        self._refuses = False
        self._stages: dict[ActiveFault, tuple[DatagramStage | None, DatagramStage | None]] = {}
        self._feed_in: Callable[[Datagram], None] = self._deliver
        self._feed_out: Callable[[Datagram], None] = self._send
        for one in bound:
            one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    # In the hub

    def started(self) -> None:
        for handler in self._handlers:
            self.hub.add(handler.sock.fileno(), handler, READ)

    def _read_some(self, handler: SocketHandler) -> None:
        sock = handler.sock
        for _ in range(READS_PER_EVENT):
            try:
                data, address = sock.recvfrom(MAX_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error about an earlier answer: that client is gone
                continue
            self._feed_in(Datagram(data, address, handler))

    def _deliver(self, datagram: Datagram) -> None:
        data, (host, port, *_), _ = datagram
        record = DatagramRecord(Endpoint(host, port), data[: self._record_size], len(data), monotonic())
        self.datagrams.append(record)
        self.serve(datagram, record)

    def serve(self, datagram: Datagram, record: DatagramRecord) -> None:
        """Answer, through the "out" stages."""
        data = datagram.data
        answer = data if self._reply is None else self._reply(data, record)
        if answer is not None:
            self.answer(datagram._replace(data=answer))

    def answer(self, datagram: Datagram) -> None:
        """Send this to its client through the "out" stages."""
        self._feed_out(datagram)

    def _send(self, datagram: Datagram) -> None:
        try:
            datagram.via.sock.sendto(datagram.data, datagram.address)
        except OSError:  # full buffer or a client that is gone: UDP loses it
            pass

    def faults_changed(self) -> None:
        old, self._stages = self._stages, {}
        for force in self.active_faults:
            self._stages[force] = old.get(force) or self._make(force)
        for force, pair in old.items():
            if force not in self._stages:
                for stage in pair:
                    if stage:
                        stage.release()
        self._feed_in = self._link([pair[0] for pair in self._stages.values()], self._deliver)
        self._feed_out = self._link([pair[1] for pair in self._stages.values()], self._send)

    def _make(self, force: ActiveFault) -> tuple[DatagramStage | None, DatagramStage | None]:
        made = [
            force.fault.datagram_stage(DatagramPlace(self, force.chance(way), force.rng(way)))
            if force.fault.works_in(way)
            else None
            for way in ("in", "out")
        ]
        return made[0], made[1]

    def _link(
        self, stages: list[DatagramStage | None], sink: Callable[[Datagram], None]
    ) -> Callable[[Datagram], None]:
        for stage in reversed(stages):
            if stage:
                stage.pass_on = sink
                sink = stage.datagram
        return sink

    def time(self) -> float:
        """For stages."""
        return monotonic()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """For stages: a timer that ends with the server."""
        self.hub.later(seconds, lambda: None if self.stopped else call(), self._handlers[0])

    def stop_sockets(self) -> None:
        self.stopped = True
        for handler in self._handlers:
            self.hub.remove(handler.sock.fileno())
            handler.sock.close()

    def close_sockets(self) -> None:
        for handler in self._handlers:
            handler.sock.close()

    # From any thread

    def refuse(self) -> None:
        """Keep the port, and let the kernel answer "port unreachable": a socket connected to itself takes nothing."""

        def work() -> None:
            if not self._refuses:
                self._refuses = True
                for handler, bound in zip(self._handlers, self.bound, strict=True):
                    self.hub.remove(handler.sock.fileno())
                    handler.sock.connect(bound.address)

        self.run(work)

    def pause(self) -> None:
        """Read nothing; the kernel keeps what comes until its buffer is full."""

        def work() -> None:
            if not self._refuses:
                for handler in self._handlers:
                    self.hub.change(handler.sock.fileno(), 0)

        self.run(work)

    def resume(self) -> None:
        """Undo `refuse` and `pause`."""

        def work() -> None:
            for handler, bound in zip(self._handlers, self.bound, strict=True):
                if self._refuses:
                    handler.sock = bound.sock = _take_over(bound)
                    self.hub.add(handler.sock.fileno(), handler, READ)
                else:
                    self.hub.change(handler.sock.fileno(), READ)
            self._refuses = False

        self.run(work)


def _take_over(bound: Bound) -> RealSocket:
    """A fresh socket on the same port; connect(2) cannot be undone from Python.

    Only Linux lets two sockets with SO_REUSEADDR share a UDP port without a thief. Elsewhere the old one is closed first.
    """
    old = bound.sock
    new = RealSocket(old.family, old.type)
    if not listening.CAN_STOP_LISTENING:
        old.close()
        return _bound_again(new, bound)
    try:
        for sock in (old, new):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except BaseException:
        new.close()
        raise
    _bound_again(new, bound)
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    old.close()
    return new


def _bound_again(new: RealSocket, bound: Bound) -> RealSocket:
    try:
        if new.family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if bound.endpoint.host == "::" else 1)
        new.bind(tuple(bound.endpoint))
        new.setblocking(False)
    except BaseException:
        new.close()
        raise
    return new
