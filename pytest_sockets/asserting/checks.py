"""Assertions about the socket table as functions, for unittest and helper modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets import addresses
from pytest_sockets.asserting import messages
from pytest_sockets.asserting.failure import LOOPBACK_ONLY, explain
from pytest_sockets.asserting.wait_conditions import ConnectionsWait
from pytest_sockets.errors import SocketAssertionError
from pytest_sockets.matching import takes
from pytest_sockets.model import SocketTable
from pytest_sockets.table.holders import with_holders
from pytest_sockets.table.lazy_table import LazyTable
from pytest_sockets.table.readers import reader
from pytest_sockets.waiting import checked_timeout, wait_until

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol

_PROTOCOLS = ("tcp", "udp")


def _listeners(port: int, host: str | None, protocol: PortProtocol) -> SocketTable:
    addresses.checked_protocol(protocol, _PROTOCOLS)
    test = takes(addresses.Wanted(addresses.checked_host(host), addresses.checked_port(port)))
    found = list(filter(test, reader().listening_on(int(port), protocol).without_holders()))
    # Finding their processes takes fifty times as long as the dump, so it happens only for a failure text.
    return LazyTable(lambda: found, with_holders, label="listening")


def _wanted(port: int, host: str | None) -> object:
    return port if host is None else (host, port)


def _fail(operator: str, wanted: object, table: SocketTable, full: bool = True) -> SocketAssertionError:
    __tracebackhide__ = True
    return SocketAssertionError(
        "\n".join(explain(operator, wanted, table, full=full) or [f"{wanted} {operator} {table}"])
    )


def assert_listening(port: int, host: str | None = None, *, protocol: PortProtocol = "tcp") -> None:
    """Assert that a socket listens on the port now, and accepts connections to `host` if given.

    Raises `SocketAssertionError`.
    """
    __tracebackhide__ = True
    if not _listeners(port, host, protocol):
        everybody = reader().listening().where(lambda entry: entry.protocol == protocol, "listening")
        raise _fail("in", _wanted(port, host), everybody)


def assert_not_listening(port: int, host: str | None = None, *, protocol: PortProtocol = "tcp") -> None:
    """Assert that no socket listens on the port now.

    Raises `SocketAssertionError`, which names the sockets that do.
    """
    __tracebackhide__ = True
    found = _listeners(port, host, protocol)
    if found:
        raise _fail("not in", _wanted(port, host), found)


def assert_loopback_only(port: int, *, protocol: PortProtocol = "tcp") -> None:
    """Assert that a socket listens on the port, and only on loopback addresses.

    Raises `SocketAssertionError`.
    """
    __tracebackhide__ = True
    found = _listeners(port, None, protocol)
    if not found or any(map(messages.is_exposed, found.without_holders())):
        raise _fail("in", port, SocketTable((), LOOPBACK_ONLY))


def assert_no_connections(
    port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", grace: float = 0.5
) -> None:
    """Assert that within `grace` seconds no connection has the port on either side.

    TIME_WAIT does not count. Raises `SocketAssertionError`, which names the connected processes.
    """
    __tracebackhide__ = True
    wait = ConnectionsWait(port, host, protocol, checked_timeout(grace))
    if not wait_until(wait.look, wait.timeout):
        head = f"connections of {wait.place} are still open after {grace:g} s"
        raise SocketAssertionError("\n".join([head, *wait.lines()]))


def loopback_only() -> SocketTable:
    """Return the listeners of all ports that are bound to loopback only. One exposed socket excludes its whole port."""
    table = reader().listening()
    exposed = {(entry.protocol, entry.local.port) for entry in table if messages.is_exposed(entry)}
    return table.where(lambda entry: (entry.protocol, entry.local.port) not in exposed, LOOPBACK_ONLY)
