"""Parse unix socket entries from unix_diag messages (linux/unix_diag.h). No I/O: bytes in, entries out."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets import model
from pytest_sockets.model import Endpoint, SocketEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MESSAGE: Final = struct.Struct("=BBBBI8s")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NUMBER: Final = struct.Struct("=I")
_NAME: Final = 0
_PEER: Final = 2
_UID: Final = 7
_SHOW: Final = 0x01 | 0x04 | 0x40  # name, peer, uid
_LISTEN: Final = 10


class _Row(NamedTuple):
    inode: int
    listening: bool
    name: str
    peer: int
    uid: int | None


def request(*, listening_only: bool = False) -> bytes:
    """Return a struct unix_diag_req, for SOCK_DIAG_BY_FAMILY."""
    states = 1 << _LISTEN if listening_only else 0xFFFFFFFF
    return struct.pack("=BBHIII8x", 1, 0, 0, states, 0, _SHOW)


def entries(payloads: Iterable[bytes]) -> Iterator[SocketEntry]:
    """Yield the entries of a whole dump. A row has its peer's inode; another row of the dump has the peer's name."""
    rows = [row for row in map(_row, payloads) if row]
    names = {row.inode: row.name for row in rows}
    for row in rows:
        remote = names.get(row.peer, "") if row.peer else ""
        yield SocketEntry(
            protocol="unix",
            family="AF_UNIX",
            local=Endpoint(row.name),
            remote=Endpoint(remote) if remote else None,
            status=model.LISTEN if row.listening else model.NONE,
            inode=row.inode,
            uid=row.uid,
        )


def peers(payloads: Iterable[bytes]) -> dict[int, int]:
    """Return the inode of each connected socket's peer, by the socket's inode."""
    return {row.inode: row.peer for row in map(_row, payloads) if row is not None and row.peer}


def _row(payload: bytes) -> _Row | None:
    if len(payload) < _MESSAGE.size:
        return None
    _, _, state, _, inode, _ = _MESSAGE.unpack_from(payload)
    name, peer, uid = "", 0, None
    for attribute, value in _attributes(payload):
        if attribute == _NAME:
            # An abstract name starts with a zero byte; a path may end with one.
            name = "@" + os.fsdecode(value[1:]) if value[:1] == b"\0" else os.fsdecode(value.rstrip(b"\0"))
        elif attribute == _PEER and len(value) >= _NUMBER.size:
            peer = _NUMBER.unpack_from(value)[0]
        elif attribute == _UID and len(value) >= _NUMBER.size:
            uid = _NUMBER.unpack_from(value)[0]
    return _Row(inode, state == _LISTEN, name, peer, uid)


def _attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    offset = _MESSAGE.size
    while offset + _ATTRIBUTE.size <= len(payload):
        length, attribute = _ATTRIBUTE.unpack_from(payload, offset)
        if length < _ATTRIBUTE.size or offset + length > len(payload):
            return
        yield attribute, payload[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
