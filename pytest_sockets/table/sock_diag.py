"""Read the host's sockets by netlink sock_diag. The listeners take tens of microseconds, however many sockets are open.

No privilege is needed. The kernel reports the inode and uid of each socket, but not the process, which `holders` finds.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_sockets import model
from pytest_sockets.table import inet_diag, unix_diag
from pytest_sockets.table.netlink import AVAILABLE, Dumper, DumpFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.model import SocketEntry

T = TypeVar("T")

_LISTEN: Final = inet_diag.state_mask(model.LISTEN)
_UNCONNECTED: Final = inet_diag.state_mask(model.CLOSE)
"""An unconnected UDP socket has TCP_CLOSE as its state, a connected one TCP_ESTABLISHED."""


class SockDiagMissing(Exception):
    """This system has no sock_diag (gVisor, some containers, not Linux)."""


def available() -> bool:
    """Whether the kernel answers a dump of the listeners."""
    try:
        tcp_listening()
    except SockDiagMissing:
        return False
    return True


def dump_tcp(dumper: Dumper, states: int) -> list[bytes]:
    """Return raw TCP messages, IPv4 and IPv6."""
    return dumper.dump(inet_diag.TCPDIAG_GETSOCK, inet_diag.tcp_request(states))


def dump_udp(dumper: Dumper, states: int) -> list[bytes]:
    """Return raw UDP messages, IPv4 and IPv6."""
    payloads = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = inet_diag.request(family, socket.IPPROTO_UDP, states)
        payloads += dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, request)
    return payloads


def raw_tcp_listening() -> list[bytes]:
    """Return the messages of TCP sockets in LISTEN, unparsed: parsing costs more than the dump."""
    return _answer(lambda dumper: dump_tcp(dumper, _LISTEN))


def raw_udp_unconnected() -> list[bytes]:
    """Return the messages of unconnected UDP sockets, unparsed."""
    return _answer(lambda dumper: dump_udp(dumper, _UNCONNECTED))


def _answer(ask: Callable[[Dumper], T]) -> T:
    if not AVAILABLE:
        raise SockDiagMissing("no netlink")
    try:
        with Dumper() as dumper:
            return ask(dumper)
    except (OSError, DumpFailed) as error:
        raise SockDiagMissing(str(error)) from error


def listening_on(port: int, protocol: PortProtocol) -> list[SocketEntry]:
    """Return the listeners of one port. It parses only their messages, since a wait calls it a hundred times a second."""
    payloads = raw_tcp_listening() if protocol == "tcp" else raw_udp_unconnected()
    return parse((payload for payload in payloads if inet_diag.local_port(payload) == port), protocol)


def connections_on(port: int, protocol: PortProtocol) -> list[SocketEntry]:
    """Return sockets with the port on either side that neither listen nor are in TIME_WAIT."""
    if protocol == "udp":
        found = read(("udp",), udp_states=inet_diag.state_mask(model.ESTABLISHED))
        return [entry for entry in found if entry.remote and port in (entry.local.port, entry.remote.port)]
    wanted = port.to_bytes(2, "big")
    states = inet_diag.ALL_STATES & ~inet_diag.state_mask(model.LISTEN, model.TIME_WAIT, model.CLOSE)
    payloads = _answer(lambda dumper: dump_tcp(dumper, states))
    return parse((payload for payload in payloads if wanted in (payload[4:6], payload[6:8])), protocol)


def tcp_listening() -> list[SocketEntry]:
    """Return TCP sockets in LISTEN, without pid and fd."""
    return read(("tcp",), _LISTEN)


def listening() -> list[SocketEntry]:
    """Return TCP sockets in LISTEN and bound, unconnected UDP sockets, without pid and fd."""
    return parse_listening(raw_tcp_listening(), raw_udp_unconnected())


def unix_listening() -> list[SocketEntry]:
    """Return unix sockets in LISTEN, without pid and fd."""
    request = unix_diag.request(listening_only=True)
    return _answer(
        lambda dumper: list(unix_diag.entries(dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, request)))
    )


def unix_peers() -> dict[int, int]:
    """Return the peer's inode of each connected unix socket, by its own inode. Raises `SockDiagMissing`."""
    return _answer(
        lambda dumper: unix_diag.peers(dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, unix_diag.request()))
    )


def parse_listening(tcp: list[bytes], udp: list[bytes]) -> list[SocketEntry]:
    """Parse the messages of `raw_tcp_listening()` and `raw_udp_unconnected()`."""
    return parse(tcp, "tcp") + [entry for entry in parse(udp, "udp") if entry.is_listening]


def read(
    protocols: Iterable[str], tcp_states: int = inet_diag.ALL_STATES, udp_states: int = 0xFFFFFFFF
) -> list[SocketEntry]:
    """Return all sockets of these protocols in these states, without pid and fd. Raises `SockDiagMissing`."""

    def ask(dumper: Dumper) -> list[SocketEntry]:
        found: list[SocketEntry] = []
        if "tcp" in protocols:
            found += parse(dump_tcp(dumper, tcp_states), "tcp")
        if "udp" in protocols:
            found += parse(dump_udp(dumper, udp_states), "udp")
        if "unix" in protocols:
            found += unix_diag.entries(dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, unix_diag.request()))
        return found

    return _answer(ask)


def everything() -> list[SocketEntry]:
    """Return every socket that the kernel reports, including bound TCP sockets that do not listen."""
    return read(("tcp", "udp", "unix"), inet_diag.ALL_STATES | inet_diag.BOUND_INACTIVE)


def parse(payloads: Iterable[bytes], protocol: PortProtocol) -> list[SocketEntry]:
    """Return each socket once, since a dump of a changing table may contain one twice."""
    found = {}
    for payload in payloads:
        entry = inet_diag.entry(payload, protocol)
        if entry is not None:
            found[entry.inode or payload[:40]] = entry
    return list(found.values())
