"""Turn the left side of `wanted in table` into a matcher of entries. Its only I/O is the look-up of a host name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pytest_sockets import addresses
from pytest_sockets.addresses import Wanted
from pytest_sockets.errors import QueryTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.entry import Endpoint, SocketEntry

    Matcher = Callable[[SocketEntry], bool]

_FORMS: Final = (
    "a port (8080), an address ('127.0.0.1', 8080), a connection (address, address), a unix path ('/run/x.sock', '@name') "
    "or a SocketEntry"
)


class Connection:
    """Two sides of a connection, in either order."""

    __slots__ = ("first", "second")

    def __init__(self, first: Wanted, second: Wanted) -> None:
        self.first, self.second = first, second

    def __str__(self) -> str:
        return f"{self.first} <-> {self.second}"


def understood(wanted: object) -> Wanted | Connection | str | SocketEntry:
    """Return the checked request: a side, a connection, a unix path or an entry. Raises `QueryError`."""
    if hasattr(wanted, "identity"):
        return cast("SocketEntry", wanted)
    if isinstance(wanted, str):
        return _path(wanted)
    if getattr(wanted, "port", 0) is None:  # the Endpoint of a unix socket
        return cast("Endpoint", wanted).host
    if isinstance(wanted, (tuple, list)):
        return _pair(wanted)
    if isinstance(wanted, bool) or not hasattr(wanted, "__index__"):
        raise QueryTypeError(f"{wanted!r} ({type(wanted).__name__}) cannot be looked for; use {_FORMS}")
    return Wanted(None, addresses.checked_port(wanted))


def _path(text: str) -> str:
    if text.startswith("@") or "/" in text:
        return text
    host, _, port = text.rpartition(":")
    port = port or text
    if port.isdecimal():
        use = f"({addresses.checked_host(host)!r}, {port})" if host else port
        raise QueryTypeError(f"{text!r} (str) is not a valid port; use {use}")
    raise QueryTypeError(f"{text!r} (str) cannot be looked for; use {_FORMS}")


def _pair(value: tuple[Any, ...] | list[Any]) -> Wanted | Connection:
    if (
        len(value) == 2
        and not isinstance(value[0], str)
        and any(isinstance(one, (tuple, list)) for one in value)
    ):
        return Connection(_side(value[0]), _side(value[1]))
    return _side(value)


def _side(value: Any) -> Wanted:
    if not isinstance(value, (tuple, list)):
        return Wanted(None, addresses.checked_port(value))
    if len(value) not in (2, 4):  # getsockname(2) of IPv6 gives four
        raise QueryTypeError(f"{value!r} is not an address; use (host, port) such as ('127.0.0.1', 8080)")
    host = addresses.checked_host(value[0])
    return Wanted(host, addresses.checked_port(value[1]))


def matcher(wanted: object) -> Matcher:
    """Return a predicate for one entry. Host names are looked up here, once."""
    asked = understood(wanted)
    if isinstance(asked, str):
        return _unix(asked)
    if isinstance(asked, Connection):
        return _connection(asked)
    if isinstance(asked, Wanted):
        return _one_side(asked)
    identity = asked.identity
    return lambda entry: entry.identity == identity


def _unix(path: str) -> Matcher:
    return lambda entry: (
        entry.protocol == "unix" and path in (entry.local.host, entry.remote and entry.remote.host)
    )


def _one_side(asked: Wanted) -> Matcher:
    local, exact = takes(asked), is_side(asked)
    return lambda entry: local(entry) or (entry.remote is not None and exact(entry.remote))


def takes(asked: Wanted) -> Matcher:
    """Return whether data sent to this address arrives at the entry's local side."""
    port = asked.port
    if asked.host is None:
        return lambda entry: entry.local.port == port
    hosts = addresses.resolved(asked.host)

    def test(entry: SocketEntry) -> bool:
        local = entry.local
        if local.port is None or port not in (None, local.port):
            return False
        return any(addresses.answers_for(local.host, host, dual_stack=entry.dual_stack) for host in hosts)

    return test


def is_side(asked: Wanted) -> Callable[[Endpoint], bool]:
    """Return whether an endpoint is exactly this address, mapped or not."""
    hosts = None if asked.host is None else addresses.resolved(asked.host)

    def test(endpoint: Endpoint) -> bool:
        if endpoint.port is None or asked.port not in (None, endpoint.port):
            return False
        return hosts is None or any(addresses.same(endpoint.host, host) for host in hosts)

    return test


def _connection(asked: Connection) -> Matcher:
    first, second = is_side(asked.first), is_side(asked.second)

    def test(entry: SocketEntry) -> bool:
        local, remote = entry.local, entry.remote
        if remote is None:
            return False
        return (first(local) and second(remote)) or (first(remote) and second(local))

    return test
