"""Check that a port is free on every address of this host, by an exclusive bind to the wildcards of both families."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final, NamedTuple

from pytest_sockets.addresses import host_to_bind
from pytest_sockets.errors import SettingError
from pytest_sockets.real_socket import BareSocket, keep

TCP: Final = int(socket.SOCK_STREAM)
UDP: Final = int(socket.SOCK_DGRAM)
KINDS: Final = {"tcp": (TCP,), "udp": (UDP,), "both": (TCP, UDP)}
"""The socket types to probe for each `protocol=`."""

WILDCARDS: Final = ("::", "0.0.0.0")  # noqa: S104
_TAKEN: Final = frozenset(
    {errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", -1), getattr(errno, "WSAEACCES", -1)}
)  # EACCES: Windows for excluded ranges, SELinux for ports of other services
_EXCLUSIVE: Final = getattr(
    socket, "SO_EXCLUSIVEADDRUSE", None
)  # Windows: without it SO_REUSEADDR steals the port
_getaddrinfo = socket.getaddrinfo


class Place(NamedTuple):
    """An address to bind."""

    family: int
    host: str
    v6only: int | None = None
    """The value for IPV6_V6ONLY; None keeps the system's default."""


class Prober:
    """Binds ports exclusively, on the wildcard address of every family that the host has.

    Linux needs one bind: [::] for both families conflicts with every socket on any address, IPv4 or IPv6, listening,
    connected or in TIME_WAIT. BSD systems allow a wildcard beside a specific address, so each address is tried there.
    """

    def __init__(
        self, *, one_bind_is_enough: bool = sys.platform == "linux", has_ipv6: bool | None = None
    ) -> None:
        self.has_ipv6 = _has_ipv6() if has_ipv6 is None else has_ipv6
        self.places = self._places(one_bind_is_enough)
        self._hosts: dict[str, tuple[Place, ...]] = {}

    def _places(self, one_bind_is_enough: bool) -> tuple[Place, ...]:
        if one_bind_is_enough and self.has_ipv6:
            # Keeping a suitable default saves a system call for each probe.
            return (Place(socket.AF_INET6, "::", None if _dual_by_default() else 0),)
        ipv4 = (Place(socket.AF_INET, "0.0.0.0"),)  # noqa: S104
        if one_bind_is_enough:
            return ipv4
        ipv6 = (Place(socket.AF_INET6, "::", 1), Place(socket.AF_INET6, "::1", 1)) if self.has_ipv6 else ()
        return (*ipv4, Place(socket.AF_INET, "127.0.0.1"), *ipv6)

    def is_free(self, port: int, kinds: tuple[int, ...], host: str | None = None) -> bool:
        """Whether `port` is free. Raises OSError if the check is impossible (no descriptor left)."""
        for family, address, v6only in self.places if host is None else (*self.places, *self.places_of(host)):
            for kind in kinds:
                sock = BareSocket(
                    family, kind, 0
                )  # Inlines bind() from below, since this runs for every port.
                try:
                    if v6only is not None:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
                    if _EXCLUSIVE is not None:
                        sock.setsockopt(socket.SOL_SOCKET, _EXCLUSIVE, 1)
                    sock.bind((address, port))
                except OSError as error:
                    if error.errno in _TAKEN:
                        return False
                    raise
                finally:
                    sock.close()
        return True

    def places_of(self, host: str) -> tuple[Place, ...]:
        """Return the addresses of `host`. Raises SettingError if this machine has none of them."""
        known = self._hosts.get(host) if isinstance(host, str) else None
        if known is None:
            known = self._hosts[host] = _resolve(host)
        return known


def bind_exclusively(prober: Prober, port: int) -> list[BareSocket] | None:
    """Bind TCP sockets that keep `port` on the wildcard address of each family. Return None if it is in use."""
    taken: list[BareSocket] = []
    for place in prober.places:
        if place.host not in WILDCARDS:
            continue
        sock = bind(place, TCP, port)
        if sock is None:
            for other in taken:
                other.close()
            return None
        keep(sock)
        taken.append(sock)
    return taken


def bind_address(host: str) -> Place:
    """Return the address to bind for a listener on `host`: its first address, or both families for "::"."""
    if host == "::" and _has_ipv6():
        return Place(socket.AF_INET6, "::", 0)
    return _resolve(host)[0]


def bind(place: Place, kind: int, port: int) -> BareSocket | None:
    """Bind a socket exclusively to `port`. Return None if the port is in use."""
    sock: BareSocket = BareSocket(place.family, kind, 0)
    try:
        if place.v6only is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6only)
        if _EXCLUSIVE is not None:
            sock.setsockopt(socket.SOL_SOCKET, _EXCLUSIVE, 1)
        sock.bind((place.host, port))
    except BaseException as error:  # A timeout of the test may be raised here.
        sock.close()
        if isinstance(error, OSError) and error.errno in _TAKEN:
            return None
        raise
    return sock


def _has_ipv6() -> bool:
    """Whether the kernel supports IPv6. [::] can be bound even if the interfaces disable it (disable_ipv6=1)."""
    try:
        sock = bind(Place(socket.AF_INET6, "::"), TCP, 0)
    except OSError:
        return False
    if sock is not None:
        sock.close()
    return sock is not None


def _dual_by_default() -> bool:
    sock = BareSocket(socket.AF_INET6, TCP, 0)
    try:
        return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    finally:
        sock.close()


def _resolve(host: object) -> tuple[Place, ...]:
    host = host_to_bind(host)
    try:
        found = _getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label that is too long (UnicodeError), a NUL
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"host={host!r} cannot be resolved: {reason}") from None
    places = (
        Place(family, str(address[0]), 1 if family == socket.AF_INET6 else None)
        for family, *_, address in found
    )
    local = tuple(place for place in dict.fromkeys(places) if _is_local(place))
    if not local:
        raise SettingError(
            f"host={host!r} is not an address of this machine, so no server can bind it; "
            "leave host out to get a port that is free on every address"
        )
    return local


def _is_local(place: Place) -> bool:
    try:
        sock = bind(place, UDP, 0)
    except OSError:  # EADDRNOTAVAIL, or EAFNOSUPPORT: the kernel lacks the family
        return False
    if sock is not None:
        sock.close()
    return True
