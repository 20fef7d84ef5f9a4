"""Parse TCP and UDP entries from inet_diag messages (linux/inet_diag.h). No I/O: bytes in, entries out."""

from __future__ import annotations

import functools
import socket
import struct
from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.model import Endpoint, SocketEntry

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol

SOCK_DIAG_BY_FAMILY: Final = 20
TCPDIAG_GETSOCK: Final = 18
"""The older request. It covers TCP only, but both families in one dump, which halves the cost."""

_MESSAGE: Final = struct.Struct("=BBBB2s2s16s16sI8sIIIII")
_PORT: Final = struct.Struct("!4xH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TIMER_TIME_WAIT: Final = 3
_SKV6ONLY: Final = 11
_FAMILIES: Final = {int(socket.AF_INET): "AF_INET", int(socket.AF_INET6): "AF_INET6"}

_NUMBERS: Final = {
    model.ESTABLISHED: 1, model.SYN_SENT: 2, model.SYN_RECV: 3, model.FIN_WAIT1: 4, model.FIN_WAIT2: 5,
    model.TIME_WAIT: 6, model.CLOSE: 7, model.CLOSE_WAIT: 8, model.LAST_ACK: 9, model.LISTEN: 10, model.CLOSING: 11,
}  # fmt: skip
BOUND_INACTIVE: Final = 1 << 13
"""Bound but not listening. Kernels from 6.8 on dump these for their own request bit; older ones ignore it."""
ALL_STATES: Final = sum(1 << number for number in _NUMBERS.values()) | 1 << 12


def state_mask(*statuses: str) -> int:
    """Return the request's bit mask for these statuses; SYN_RECV includes the kernel's TCP_NEW_SYN_RECV."""
    mask = sum(1 << _NUMBERS[status] for status in statuses)
    return mask | 1 << 12 if model.SYN_RECV in statuses else mask


def request(family: int, protocol: int, states: int) -> bytes:
    """Return a struct inet_diag_req_v2, for SOCK_DIAG_BY_FAMILY."""
    return struct.pack("=BBBBI48x", family, protocol, 0, 0, states)


def tcp_request(states: int) -> bytes:
    """Return a struct inet_diag_req, for TCPDIAG_GETSOCK."""
    return struct.pack("=4x48xII", states, 0)


def local_port(payload: bytes) -> int:
    """Return only the local port of a message, enough for `port in sockets.listening`; 0 if it is cut short."""
    return int(_PORT.unpack_from(payload)[0]) if len(payload) >= _PORT.size else 0


def entry(payload: bytes, protocol: PortProtocol) -> SocketEntry | None:
    """Parse a message; None if it is cut short or of another address family."""
    if len(payload) < _MESSAGE.size:
        return None
    number, state, timer, _, sport, dport, src, dst, index, _, expires, _, _, uid, inode = (
        _MESSAGE.unpack_from(payload)
    )
    family = _FAMILIES.get(number)
    if family is None:
        return None
    status = model.TCP_STATES.get(state, model.NONE) if protocol == "tcp" else model.NONE
    return SocketEntry(
        protocol=protocol,
        family=family,
        local=_endpoint(number, src, sport, index),
        remote=_endpoint(number, dst, dport, index) if any(dport) else None,
        status=status,
        inode=inode or None,
        uid=uid,
        time_wait_left=expires / 1000 if status == model.TIME_WAIT and timer == _TIMER_TIME_WAIT else None,
        dual_stack=_dual_stack(payload) if number == socket.AF_INET6 else None,
    )


def _dual_stack(payload: bytes) -> bool | None:
    """Read INET_DIAG_SKV6ONLY, which the kernel reports for listening and unconnected sockets."""
    offset = _MESSAGE.size
    while offset + _ATTRIBUTE.size <= len(payload):
        length, attribute = _ATTRIBUTE.unpack_from(payload, offset)
        if attribute == _SKV6ONLY and offset + _ATTRIBUTE.size < len(payload):
            return not payload[offset + _ATTRIBUTE.size]
        if length < _ATTRIBUTE.size:
            return None
        offset += (length + 3) & ~3
    return None


def _endpoint(family: int, address: bytes, port: bytes, index: int) -> Endpoint:
    if family == socket.AF_INET:
        host = socket.inet_ntop(socket.AF_INET, address[:4])
    else:
        host = socket.inet_ntop(socket.AF_INET6, address)
        # Like getsockname(2): only a link-local address has a zone.
        if index and address[0] == 0xFE and address[1] & 0xC0 == 0x80:
            host = f"{host}%{_interface(index)}"
    return Endpoint(host, int.from_bytes(port, "big"))


@functools.lru_cache(64)
def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # the interface is gone
        return str(index)
