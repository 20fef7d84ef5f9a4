"""Match addresses by reachability, never by string.

0.0.0.0 accepts data for every IPv4 address, [::] for every IPv6 one and, if dual-stack, for IPv4 too. ::ffff:127.0.0.1
is 127.0.0.1. A host name means any address that it resolves to, of any family. Only a host name causes a look-up.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import operator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from pytest_sockets.errors import QueryError, QueryTypeError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

W = TypeVar("W", bound=str)
_ANY: Final = ("", "*")


class Wanted(NamedTuple):
    """One side as the user names it: a host (None: any) and a port (None: any)."""

    host: str | None
    port: int | None

    def __str__(self) -> str:
        host = "any address" if self.host is None else f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"port {self.port}" if self.host is None else host if self.port is None else f"{host}:{self.port}"
        )


LARGEST_BACKLOG: Final = 2**31 - 1
"""The largest backlog of listen(2), a C int. The kernel reduces it to net.core.somaxconn."""


def host_to_bind(host: object) -> str:
    """Return `host` for a bind. Raises `SettingError` if it is not a str."""
    if isinstance(host, str):
        return host
    raise SettingError(f"host={host!r} ({type(host).__name__}): use a str such as '127.0.0.1' or 'localhost'")


def checked_port(value: object) -> int:
    """Return `value` as a port, 1-65535. Raises `QueryError`; for a bool, str or other type `QueryTypeError`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        hint = f"; use int({value!r})" if isinstance(value, str) and value.isdecimal() else "; use an int"
        raise QueryTypeError(f"{value!r} ({type(value).__name__}) is not a valid port{hint}")
    port = operator.index(value)
    if port == 0:
        raise QueryError(
            "port 0 means 'any' in bind(2), and nothing ever has it; use the port that getsockname() gives"
        )
    if not 0 < port <= 65535:
        raise QueryError(f"{port} is not a valid port; ports are 1-65535")
    return port


def checked_protocol(value: W, allowed: Iterable[str] = ("tcp", "udp")) -> W:
    """Return `value` if it is one of the `allowed` names. Raises `QueryError` otherwise."""
    if value not in tuple(allowed):
        raise QueryError(f"{value!r} is not a valid protocol; use one of: {', '.join(allowed)}")
    return value


def checked_statuses(names: Iterable[object], known: Iterable[str]) -> frozenset[str]:
    """Return `names` if all are statuses. The error suggests the nearest status."""
    words = tuple(known)
    found = set()
    for name in names:
        if not isinstance(name, str):
            raise QueryTypeError(
                f"{name!r} ({type(name).__name__}) is not a valid status; use one of: {', '.join(words)}"
            )
        if name not in words:
            near = difflib.get_close_matches(name.upper().replace("-", "_"), words, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"use one of: {', '.join(words)}"
            raise QueryError(f"{name!r} is not a valid status; {hint}")
        found.add(name)
    return frozenset(found)


def checked_host(value: object) -> str | None:
    """Return `value` as a host without brackets; None, "" and "*" mean any."""
    if value is None or value in _ANY:
        return None
    if not isinstance(value, str):
        raise QueryTypeError(
            f"{value!r} ({type(value).__name__}) is not a valid host; use a str such as '127.0.0.1' or 'localhost'"
        )
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value


@functools.lru_cache(1024)
def parsed(host: str) -> tuple[IPAddress, str] | None:
    """Return the address (IPv4 if it is a mapped one) and its zone or ""; None for a host name or path."""
    bare, _, zone = host.partition("%")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped, "") if mapped is not None else (address, zone)


def resolved(host: str) -> tuple[str, ...]:
    """Return the addresses of `host`: itself, or those to which the name resolves. Raises `QueryError`."""
    if parsed(host) is not None:
        return (host,)
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label that is too long (UnicodeError) or has a NUL
        raise QueryError(f"{host!r} is neither an address nor a host name that resolves: {error}") from None
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


def answers_for(local: str, host: str, *, dual_stack: bool | None) -> bool:
    """Whether a socket bound to the address `local` receives data sent to the address `host`.

    `dual_stack` matters only if `local` is [::]. None (not known) counts as dual-stack, the default. A wildcard as
    `host` asks whether all addresses of that family are covered.
    """
    bound, asked = parsed(local), parsed(host)
    if bound is None or asked is None:
        return local == host
    (address, zone), (wanted, wanted_zone) = bound, asked
    if address.is_unspecified:
        return address.version == wanted.version or (address.version == 6 and dual_stack is not False)
    return address == wanted and (not zone or not wanted_zone or zone == wanted_zone)


def same(first: str, second: str) -> bool:
    """Whether two addresses are the same; mapped addresses and missing zones are treated as equal."""
    return first == second or (not _unspecified(first) and answers_for(first, second, dual_stack=False))


def _unspecified(host: str) -> bool:
    found = parsed(host)
    return found is not None and found[0].is_unspecified


def is_loopback(host: str) -> bool:
    """Whether the address is in 127.0.0.0/8 or ::1. A unix path counts too, since it is not reachable from outside."""
    found = parsed(host)
    return found is None or found[0].is_loopback


def is_wildcard(host: str) -> bool:
    """Whether the host is 0.0.0.0 or ::."""
    return _unspecified(host)
