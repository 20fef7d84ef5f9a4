"""Netlink dumps: send the request, parse every datagram, and detect an incomplete answer.

`split` is pure (one datagram in, payloads out); `Dumper` does the I/O. The kernel prepares a dump during send(2) and
each recv(2). A non-blocking socket therefore never waits, and never blocks an event loop.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_HEADER: Final = struct.Struct("=IHHII")
_ERRNO: Final = struct.Struct("=i")
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_REQUEST_DUMP: Final = 0x1 | 0x300
_NLM_F_DUMP_INTR: Final = 0x10
_NETLINK_SOCK_DIAG: Final = 4
_DATAGRAM: Final = 64 * 1024
"""More than the 32 KiB that netlink(7) puts into one datagram, so that recv(2) never cuts one. A larger buffer is slower."""
_ATTEMPTS: Final = 3

AVAILABLE: Final = hasattr(socket, "AF_NETLINK")


class DumpFailed(Exception):
    """The kernel refused the dump, or the answer was incomplete."""


class Part(NamedTuple):
    """The content of one datagram: its payloads, whether it ends the dump, and whether the dump is inconsistent."""

    payloads: list[bytes]
    done: bool
    interrupted: bool


def split(datagram: bytes) -> Part:
    """Parse a datagram. Raises `DumpFailed` if it is cut or reports an error."""
    payloads: list[bytes] = []
    add, unpack, size = payloads.append, _HEADER.unpack_from, _HEADER.size
    interrupted = 0
    offset, end = 0, len(datagram)
    while offset < end:
        if end - offset < size:
            raise DumpFailed(f"{end - offset} bytes are left where a netlink header should be")
        length, message_type, flags, _, _ = unpack(datagram, offset)
        following = offset + length
        if length < size or following > end:
            raise DumpFailed(f"a netlink message of {length} bytes in {end - offset}")
        interrupted |= flags & _NLM_F_DUMP_INTR
        if message_type > _NLMSG_DONE:
            add(datagram[offset + size : following])
        elif message_type == _NLMSG_DONE:
            _check_end(datagram[offset + size : following])
            return Part(payloads, True, bool(interrupted))
        elif message_type == _NLMSG_ERROR:
            _refuse(datagram[offset + size : following])
        offset = (following + 3) & ~3
    return Part(payloads, False, bool(interrupted))


def _refuse(body: bytes) -> None:
    raise DumpFailed(f"the kernel refused the dump: {_reason(_code(body))}")


def _check_end(body: bytes) -> None:
    """Check the last message: a dump that failed half-way differs from a whole one only by a negative errno there."""
    code = _code(body)
    if code < 0:
        raise DumpFailed(f"the kernel broke the dump off: {_reason(code)}")


def _code(body: bytes) -> int:
    return int(_ERRNO.unpack_from(body)[0]) if len(body) >= _ERRNO.size else 0


def _reason(code: int) -> str:
    # strerror() raises OverflowError for the one 32-bit number without an opposite.
    return os.strerror(-code) if -code in errno.errorcode or not code else f"error {-code}"


class Dumper:
    """A netlink socket for several dumps, as a context manager. Raises OSError on systems without netlink."""

    __slots__ = ("_sock",)

    def __init__(self) -> None:
        # SOCK_NONBLOCK at creation saves an fcntl(2), and socket.setdefaulttimeout() has no effect.
        self._sock = RealSocket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            _NETLINK_SOCK_DIAG,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def dump(self, message_type: int, request: bytes) -> list[bytes]:
        """Return the payload of each message that answers `request`, of type `message_type`. Raises `DumpFailed` or OSError.

        If the table changes during the dump (NLM_F_DUMP_INTR), the dump is repeated up to three times. A table that
        changes faster has no single right answer.
        """
        for _ in range(_ATTEMPTS):
            payloads, interrupted = self._ask(message_type, request)
            if not interrupted:
                break
        return payloads

    def _ask(self, message_type: int, request: bytes) -> tuple[list[bytes], bool]:
        header = _HEADER.pack(_HEADER.size + len(request), message_type, _NLM_F_REQUEST_DUMP, 1, 0)
        self._sock.send(header + request)
        payloads: list[bytes] = []
        interrupted = False
        while True:
            part = split(self._sock.recv(_DATAGRAM))
            payloads += part.payloads
            interrupted = interrupted or part.interrupted
            if part.done:
                return payloads, interrupted
