"""The host's sockets by netlink sock_diag: tens of microseconds for the listeners, whatever else is open.

No privilege is needed. The kernel tells the inode and uid of each socket, not the process: `holders` finds that.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.table import inet_diag, unix_diag
from pytest_sockets.table.netlink import AVAILABLE, Dumper, DumpFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import SocketEntry

_LISTEN: Final = inet_diag.state_mask(model.LISTEN)
_UNCONNECTED: Final = inet_diag.state_mask(model.CLOSE)
"""An unconnected UDP socket has TCP_CLOSE as its state, a connected one TCP_ESTABLISHED."""


class SockDiagMissing(Exception):  # noqa: N818
    """This system has no sock_diag (gVisor, some containers, not Linux)."""


def available() -> bool:
    """Whether the kernel answers; asked by a dump of the listeners."""
    try:
        tcp_listening()
    except SockDiagMissing:
        return False
    return True


def dump_tcp(dumper: Dumper, states: int) -> list[bytes]:
    """Raw TCP messages, IPv4 and IPv6."""
    return dumper.dump(inet_diag.TCPDIAG_GETSOCK, inet_diag.tcp_request(states))


def dump_udp(dumper: Dumper, states: int) -> list[bytes]:
    """Raw UDP messages, IPv4 and IPv6."""
    payloads = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = inet_diag.request(family, socket.IPPROTO_UDP, states)
        payloads += dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, request)
    return payloads


def raw_listening() -> tuple[list[bytes], list[bytes]]:
    """The messages of listening TCP and of unconnected UDP sockets, not yet parsed: parsing costs more than asking."""
    if not AVAILABLE:
        raise SockDiagMissing("no netlink")
    try:
        with Dumper() as dumper:
            return dump_tcp(dumper, _LISTEN), dump_udp(dumper, _UNCONNECTED)
    except (OSError, DumpFailed) as error:
        raise SockDiagMissing(str(error)) from error


def tcp_listening() -> list[SocketEntry]:
    """TCP sockets in LISTEN, without pid and fd."""
    return read(("tcp",), _LISTEN)


def listening() -> list[SocketEntry]:
    """TCP sockets in LISTEN and bound, unconnected UDP sockets, without pid and fd."""
    tcp, udp = raw_listening()
    return parse(tcp, "tcp") + [entry for entry in parse(udp, "udp") if entry.is_listening]


def read(protocols: Iterable[str], tcp_states: int = inet_diag.ALL_STATES) -> list[SocketEntry]:
    """All sockets of these protocols in these TCP states, without pid and fd. Raises `SockDiagMissing`."""
    if not AVAILABLE:
        raise SockDiagMissing("no netlink")
    found: list[SocketEntry] = []
    try:
        with Dumper() as dumper:
            if "tcp" in protocols:
                found += parse(dump_tcp(dumper, tcp_states), "tcp")
            if "udp" in protocols:
                found += parse(dump_udp(dumper, 0xFFFFFFFF), "udp")
            if "unix" in protocols:
                found += unix_diag.entries(dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, unix_diag.request()))
    except (OSError, DumpFailed) as error:
        raise SockDiagMissing(str(error)) from error
    return found


def bound_inactive() -> list[SocketEntry]:
    """TCP sockets that are bound and neither listen nor are connected; empty on kernels before 6.8."""
    return [entry for entry in read(("tcp",), inet_diag.BOUND_INACTIVE) if entry.status == model.CLOSE]


def parse(payloads: Iterable[bytes], protocol: str) -> list[SocketEntry]:
    """Each socket once: a dump of a changing table may tell one twice."""
    found = {}
    for payload in payloads:
        entry = inet_diag.entry(payload, protocol)
        if entry is not None:
            found[entry.inode or payload[:40]] = entry
    return list(found.values())
