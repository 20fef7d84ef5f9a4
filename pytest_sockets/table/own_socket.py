"""Describe one socket of this process from its descriptor, without reading a table.

Linux needs only getsockname(2), getpeername(2), SO_DOMAIN / SO_TYPE / SO_PROTOCOL and the first byte of TCP_INFO. That
costs some microseconds, however many sockets the host has.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Final, cast

from pytest_sockets import model
from pytest_sockets.model import Endpoint, SocketEntry
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.table.own_fds import socket_inode

if TYPE_CHECKING:
    from pytest_sockets.literals import SocketProtocol, Status

_PROTOCOLS: Final[dict[tuple[int, int], str]] = {
    (socket.SOCK_STREAM, socket.IPPROTO_TCP): "tcp",
    (
        socket.SOCK_STREAM,
        getattr(socket, "IPPROTO_MPTCP", 262),
    ): "tcp",  # multipath TCP, with which Go listens
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP): "udp",
}
_BY_TYPE: Final[dict[int, str]] = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
_NONBLOCK: Final = getattr(socket, "SOCK_NONBLOCK", 0)
_SO_PROTOCOL: Final = getattr(socket, "SO_PROTOCOL", 38 if sys.platform == "linux" else None)


def describe(fd: int) -> SocketEntry | None:
    """Return the socket behind `fd` as an entry; None if it is closed or neither a TCP, UDP nor unix socket."""
    inode = socket_inode(fd)
    if inode is None and sys.platform != "win32":
        return None
    try:
        # SOCK_NONBLOCK keeps the constructor from changing O_NONBLOCK under socket.setdefaulttimeout(). The descriptor
        # is borrowed, not duplicated: none may be left (EMFILE).
        borrowed = _borrow(fd)
    except OSError:
        return None
    try:
        return _describe(borrowed, fd, inode or None)  # macOS gives TCP and UDP sockets the inode 0
    except OSError:
        return None
    finally:
        borrowed.detach()


def _borrow(fd: int) -> RealSocket:
    """Return a socket object for a descriptor, which stays blocking or non-blocking as its owner set it."""
    timeout = None if _NONBLOCK else socket.getdefaulttimeout()
    if timeout is None:
        return RealSocket(-1, socket.SOCK_STREAM | _NONBLOCK, 0, fd)
    socket.setdefaulttimeout(None)  # macOS and Windows have no SOCK_NONBLOCK
    try:
        return RealSocket(-1, socket.SOCK_STREAM, 0, fd)
    finally:
        socket.setdefaulttimeout(timeout)


def _describe(sock: socket.socket, fd: int, inode: int | None) -> SocketEntry | None:
    family = socket.AddressFamily(sock.family)
    socket_type = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    unix = family == getattr(socket, "AF_UNIX", None)
    protocol = "unix" if unix else _protocol(sock, family, socket_type)
    if protocol is None:
        return None
    return SocketEntry(
        protocol=cast("SocketProtocol", protocol),
        family=family.name,
        local=endpoint(sock.getsockname()),
        remote=_remote(sock, unix=unix),
        status=_status(sock, protocol),
        fd=fd,
        inode=inode,
        pid=os.getpid(),
        uid=os.getuid() if hasattr(os, "getuid") else None,
        dual_stack=_dual_stack(sock) if family == socket.AF_INET6 else None,
    )


def _dual_stack(sock: socket.socket) -> bool:
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _protocol(sock: socket.socket, family: int, socket_type: int) -> str | None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if _SO_PROTOCOL is None:
        return _BY_TYPE.get(socket_type)
    return _PROTOCOLS.get((socket_type, sock.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL)))


def endpoint(address: object) -> Endpoint:
    """Return an address of getsockname(2) as an `Endpoint`; the host keeps a link-local scope ("fe80::1%eth0")."""
    if isinstance(address, bytes):
        return Endpoint("@" + os.fsdecode(address[1:]))
    if isinstance(address, str):
        return Endpoint(address)
    assert isinstance(address, tuple)
    return Endpoint(address[0], address[1])


def _remote(sock: socket.socket, *, unix: bool) -> Endpoint | None:
    try:
        remote = endpoint(sock.getpeername())
    except OSError:  # not connected
        return None
    if unix:
        return remote if remote.host else None
    return remote if remote.port else None


def _status(sock: socket.socket, protocol: str) -> Status:
    if protocol == "tcp":
        if hasattr(socket, "TCP_INFO"):
            try:
                state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            except OSError:  # EOPNOTSUPP: MPTCP before Linux 5.16
                return _status_without_tcp_info(sock)
            return model.TCP_STATES.get(state, model.NONE)
        return _status_without_tcp_info(sock)
    if protocol == "unix" and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return model.LISTEN
    return model.NONE


def _status_without_tcp_info(sock: socket.socket) -> Status:
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return model.LISTEN
    return model.ESTABLISHED if _remote(sock, unix=False) else model.CLOSE
