"""The value of the fixture `sockets`: the socket table now, and the sockets that are new since a moment."""

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
    """Return the sockets that this process and its descendants have now, to exclude them later."""
    return frozenset(entry.identity for entry in socket_table("tree"))


class SocketsView:
    """A view of the socket table. Each attribute reads the table anew.

    `known` are sockets that `new()` leaves out; `kinds` are the protocols that it includes.
    """

    def __init__(
        self, known: frozenset[object], kinds: tuple[str, ...] = ("tcp", "udp"), grace: float = 0.5
    ) -> None:
        self._known = known
        self._kinds = kinds
        self._grace = grace

    @property
    def listening(self) -> SocketTable:
        """Sockets of this host that listen: TCP in LISTEN, UDP bound and unconnected."""
        return reader().listening()

    @property
    def established(self) -> SocketTable:
        """The TCP connections of this host that are open on both sides."""
        return reader().with_status(model.ESTABLISHED)

    @property
    def time_wait(self) -> SocketTable:
        """Closed connections of this host, which stay for a minute on the side that closed first."""
        return reader().with_status(model.TIME_WAIT)

    @property
    def close_wait(self) -> SocketTable:
        """Connections of this host that the peer closed and this side did not."""
        return reader().with_status(model.CLOSE_WAIT)

    @property
    def loopback_only(self) -> SocketTable:
        """Listeners of all ports that are bound to loopback addresses only."""
        return checks.loopback_only()

    def table(self, scope: Scope = "process") -> SocketTable:
        """Return the table of this process, its tree or the whole system, with all protocols and states."""
        return socket_table(scope)

    def new(self, status: Status | None = None) -> SocketTable:
        """Return sockets that this process tree has opened since the test's set-up began and still holds.

        `status` limits the result to one status, such as "ESTABLISHED". The setting `sockets_kinds` selects the
        protocols. No process holds a TIME_WAIT, so none is included.
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
        """Assert that `new(status)` is empty within `grace` seconds (default: the setting `sockets_grace`).

        Raises `SocketAssertionError`, which names each socket, its holder and its opener.
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
        """Call `pytest_sockets.wait_listening`."""
        __tracebackhide__ = True
        return waits.wait_listening(
            port, host, protocol=protocol, timeout=timeout, process=process, check=check
        )

    def wait_not_listening(
        self, port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
    ) -> None:
        """Call `pytest_sockets.wait_not_listening`."""
        __tracebackhide__ = True
        waits.wait_not_listening(port, host, protocol=protocol, timeout=timeout)

    def wait_no_connections(
        self, port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
    ) -> None:
        """Call `pytest_sockets.wait_no_connections`."""
        __tracebackhide__ = True
        waits.wait_no_connections(port, host, protocol=protocol, timeout=timeout)

    async_wait_listening = staticmethod(waits.async_wait_listening)
    async_wait_not_listening = staticmethod(waits.async_wait_not_listening)
    async_wait_no_connections = staticmethod(waits.async_wait_no_connections)

    def probe(self, address: Any, timeout: float = 1.0) -> ProbeResult:
        """Call `pytest_sockets.probe`: "open", "closed" or "filtered"."""
        return probing.probe(address, timeout)

    def who_holds(
        self, port: int, protocol: PortProtocol = "tcp", host: str | None = None
    ) -> list[holder_text.Holder]:
        """Call `pytest_sockets.who_holds`."""
        return holder_text.who_holds(port, protocol, host)

    def __repr__(self) -> str:
        return "<sockets: .listening .established .time_wait .close_wait .loopback_only .new() .table(scope)>"
