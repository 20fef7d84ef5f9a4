"""What the fixture `sockets` gives: the socket table of now, and what is new since a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sockets import model
from pytest_sockets.addresses import checked_statuses
from pytest_sockets.asserting import checks, holder_text, probing, waits
from pytest_sockets.asserting.failure import new_sockets_text
from pytest_sockets.errors import SocketAssertionError
from pytest_sockets.table.readers import reader
from pytest_sockets.table.reading import socket_table
from pytest_sockets.waiting import checked_timeout, wait_until

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol, ProbeResult, Scope, Status
    from pytest_sockets.model import SocketEntry, SocketTable


def known_sockets() -> frozenset[object]:
    """The sockets that this process and its descendants have now: what is not new later."""
    return frozenset(entry.identity for entry in socket_table("tree"))


class SocketsView:
    """Each attribute reads the table anew. `known` is what `new()` leaves out, `kinds` the protocols that it tells."""

    def __init__(
        self, known: frozenset[object], kinds: tuple[str, ...] = ("tcp", "udp"), grace: float = 0.5
    ) -> None:
        self._known = known
        self._kinds = kinds
        self._grace = grace

    @property
    def listening(self) -> SocketTable:
        """Who listens on this host: TCP in LISTEN, UDP bound and unconnected."""
        return reader().listening()

    @property
    def established(self) -> SocketTable:
        """The TCP connections of this host that are open on both sides."""
        return reader().with_status(model.ESTABLISHED)

    @property
    def time_wait(self) -> SocketTable:
        """What closed connections leave for a minute on the side that closed first."""
        return reader().with_status(model.TIME_WAIT)

    @property
    def close_wait(self) -> SocketTable:
        """Connections that the peer closed and this side did not."""
        return reader().with_status(model.CLOSE_WAIT)

    @property
    def loopback_only(self) -> SocketTable:
        """The listeners of all ports that are bound to loopback addresses only."""
        return checks.loopback_only()

    def table(self, scope: Scope = "process") -> SocketTable:
        """The table of this process, its tree or the system, all protocols and states."""
        return socket_table(scope)

    def new(self, status: Status | None = None) -> SocketTable:
        """What this process and its descendants opened since the test's set-up began and still hold; TIME_WAIT is not held.

        `status` limits it: one of psutil's words. Kinds of sockets are those of the setting `sockets_kinds`.
        """
        wanted = None if status is None else checked_statuses((status,), model.STATUSES)

        def is_new(entry: SocketEntry) -> bool:
            return (
                entry.protocol in self._kinds
                and entry.identity not in self._known
                and (wanted is None or entry.status in wanted)
            )

        return socket_table("tree").where(is_new, f"new({status!r})" if status else "new()")

    def assert_no_new(self, status: Status | None = None, grace: float | None = None) -> None:
        """Nothing that `new(status)` tells is left, at the latest after `grace` seconds (setting `sockets_grace`).

        Raises `SocketAssertionError`, which names each socket, its holder and what opened it.
        """
        __tracebackhide__ = True
        seconds = checked_timeout(self._grace if grace is None else grace)
        if wait_until(lambda: not self.new(status), seconds):
            return
        left = self.new(status)
        if left:
            raise SocketAssertionError(new_sockets_text(left, seconds, status))

    def wait_listening(
        self,
        port: int,
        host: str | None = None,
        *,
        protocol: PortProtocol = "tcp",
        timeout: float = 5.0,
        process: Any = None,
        check: Any = None,
    ) -> SocketTable:
        """`pytest_sockets.wait_listening`."""
        __tracebackhide__ = True
        return waits.wait_listening(
            port, host, protocol=protocol, timeout=timeout, process=process, check=check
        )

    def wait_not_listening(
        self, port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
    ) -> None:
        """`pytest_sockets.wait_not_listening`."""
        __tracebackhide__ = True
        waits.wait_not_listening(port, host, protocol=protocol, timeout=timeout)

    def wait_no_connections(
        self, port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
    ) -> None:
        """`pytest_sockets.wait_no_connections`."""
        __tracebackhide__ = True
        waits.wait_no_connections(port, host, protocol=protocol, timeout=timeout)

    async_wait_listening = staticmethod(waits.async_wait_listening)
    async_wait_not_listening = staticmethod(waits.async_wait_not_listening)
    async_wait_no_connections = staticmethod(waits.async_wait_no_connections)

    def probe(self, address: Any, timeout: float = 1.0) -> ProbeResult:
        """`pytest_sockets.probe`: "open", "closed" or "filtered"."""
        return probing.probe(address, timeout)

    def who_holds(
        self, port: int, protocol: PortProtocol = "tcp", host: str | None = None
    ) -> list[holder_text.Holder]:
        """`pytest_sockets.who_holds`."""
        return holder_text.who_holds(port, protocol, host)

    def __repr__(self) -> str:
        return "<sockets: .listening .established .time_wait .close_wait .loopback_only .new() .table(scope)>"
