"""`probe(address)`: the only check that connects, as a client would."""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import matching
from pytest_sockets.addresses import Wanted, resolved
from pytest_sockets.errors import QueryError, QueryTypeError
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.waiting import checked_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.literals import ProbeResult

OPEN: Final = "open"
CLOSED: Final = "closed"
FILTERED: Final = "filtered"

_PENDING: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))
_REFUSALS: Final = (
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOENT, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENOTSOCK,
    10061, 10049, 10054,
)  # fmt: skip
_REFUSAL_TAKES: Final = {"win32": 3.0}
"""Seconds within which a refusal arrives. Windows repeats a refused SYN for 2 s before connect() fails."""
_LOOPBACK: Final = ("127.0.0.1", "::1")  # what "localhost" resolves to differs between hosts
_ABORT: Final = struct.pack("ii", 1, 0)


def probe(address: Any, timeout: float = 1.0) -> ProbeResult:
    """Connect once and return "open", "closed" (refused) or "filtered" (no answer within `timeout` seconds).

    `address` is (host, port), a port of this host, or the path of a unix socket. For a name with several addresses, the
    first open one counts. The connection is closed with RST and leaves no TIME_WAIT, but the server does accept it. To
    wait for a server, use `wait_listening`.

    A connection to itself is closed. On Windows, the timeout is at least 3 seconds, because a refusal takes 2 there.
    """
    seconds = max(checked_timeout(timeout), _REFUSAL_TAKES.get(sys.platform, 0.0))
    answers = [_connect(family, target, seconds) for family, target in _targets(address)]
    if OPEN in answers:
        return OPEN
    return CLOSED if CLOSED in answers else FILTERED


def _targets(address: Any) -> Iterator[tuple[int, Any]]:
    asked = matching.understood(address)
    if isinstance(asked, str):
        if not hasattr(socket, "AF_UNIX"):
            raise QueryTypeError(f"{asked!r}: this system has no unix sockets")
        yield socket.AF_UNIX, f"\0{asked[1:]}" if asked.startswith("@") else asked
        return
    if not isinstance(asked, Wanted) or asked.port is None:
        raise QueryTypeError(f"{address!r} is not an address; use (host, port), a port or a unix path")
    for host in _LOOPBACK if asked.host is None else resolved(asked.host):
        try:
            found = socket.getaddrinfo(host, asked.port, type=socket.SOCK_STREAM)
        except OSError as error:  # an address with a zone that this host does not have
            raise QueryError(f"{host!r} cannot be connected to from here: {error}") from None
        for family, _, _, _, target in found:
            yield family, target


def _connect(family: int, target: Any, timeout: float) -> ProbeResult:
    try:
        sock = RealSocket(family, socket.SOCK_STREAM)
    except OSError:  # this host lacks the family, so nothing can listen there
        return CLOSED
    with sock:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        code = sock.connect_ex(target)
        if code == errno.EAGAIN and family == getattr(socket, "AF_UNIX", None):
            return FILTERED  # the backlog is full; a unix socket then does not start to connect
        if code in _PENDING:
            code = _outcome(sock, timeout)
        return _verdict(sock, code)


def _outcome(sock: RealSocket, timeout: float) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if _settled(sock, timeout) else errno.ETIMEDOUT


def _settled(sock: RealSocket, timeout: float) -> bool:
    if sys.platform != "win32":  # select(2) fails for descriptors from 1024 on
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(timeout * 1000))
    _, writable, failed = select.select([], [sock], [sock], timeout)
    return bool(writable or failed)


def _verdict(sock: RealSocket, code: int) -> ProbeResult:
    if code == errno.EPROTOTYPE:
        return OPEN  # a unix socket of another type is bound there
    if code:
        return CLOSED if code in _REFUSALS else FILTERED
    try:
        own = sock.getsockname()
        return CLOSED if own and own == sock.getpeername() else OPEN
    except OSError:
        return CLOSED
