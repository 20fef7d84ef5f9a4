"""The sockets of this process, from its own descriptors: no table is read.

Linux describes one own socket without any table: getsockname(2), getpeername(2), SO_DOMAIN / SO_TYPE / SO_PROTOCOL and the
first byte of TCP_INFO. That costs some microseconds a socket, whatever else is open on the host.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.model import Endpoint, SocketEntry
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FD_DIRECTORY: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_PROTOCOLS: Final[dict[tuple[int, int], str]] = {
    (socket.SOCK_STREAM, socket.IPPROTO_TCP): "tcp",
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP): "udp",
}
_BY_KIND: Final[dict[int, str]] = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
_MOST_PROBED: Final = 1 << 20
_NONBLOCK: Final = getattr(socket, "SOCK_NONBLOCK", 0)
_SO_PROTOCOL: Final = getattr(socket, "SO_PROTOCOL", 38 if sys.platform == "linux" else None)


def _count_by_size() -> int:
    return os.stat(FD_DIRECTORY).st_size  # noqa: PTH116  (a Path costs more than the call)


def _count_by_listing() -> int:
    return len(os.listdir(FD_DIRECTORY)) - 1  # without the descriptor that reads the directory


def choose_fd_count() -> Callable[[], int] | None:
    """How this system counts the open descriptors of the process, cheapest way first; None where it cannot.

    Linux >= 6.2 gives the count as the size of /proc/self/fd (2 us); older kernels give 0 there.
    """
    try:
        if _count_by_size() > 0 and sys.platform == "linux":
            return _count_by_size
        return _count_by_listing if _count_by_listing() > 0 else None
    except OSError:
        return None


def socket_inode(fd: int) -> int | None:
    """The inode of the socket behind `fd`; None if it is closed or no socket."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


def socket_inodes() -> dict[int, int]:
    """Each open socket descriptor of this process with its inode. Raises OSError where descriptors cannot be listed."""
    found = {}
    for fd in _fds():
        inode = socket_inode(fd)
        if inode is not None:
            found[fd] = inode
    return found


def _fds() -> Iterable[int]:
    try:
        return map(int, os.listdir(FD_DIRECTORY))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
    # Listing needs a descriptor and none is left; fstat(2) needs none, and every number below the limit is in use.
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return range(min(soft, _MOST_PROBED))


def describe(fd: int) -> SocketEntry | None:
    """The socket behind `fd` as a table entry; None if it is closed, no socket, or neither TCP, UDP nor unix."""
    inode = socket_inode(fd)
    if inode is None:
        return None
    try:
        # SOCK_NONBLOCK keeps the constructor from touching O_NONBLOCK when socket.setdefaulttimeout() is set. The
        # descriptor is borrowed, not duplicated: this must also work when none is left (EMFILE).
        borrowed = RealSocket(-1, socket.SOCK_STREAM | _NONBLOCK, 0, fd)
    except OSError:
        return None
    try:
        return _describe(borrowed, fd, inode)
    except OSError:
        return None
    finally:
        borrowed.detach()


def _describe(sock: socket.socket, fd: int, inode: int) -> SocketEntry | None:
    family = socket.AddressFamily(sock.family)
    kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    unix = family == getattr(socket, "AF_UNIX", None)
    protocol = "unix" if unix else _protocol(sock, family, kind)
    if protocol is None:
        return None
    return SocketEntry(
        protocol=protocol,
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


def _protocol(sock: socket.socket, family: int, kind: int) -> str | None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if _SO_PROTOCOL is None:
        return _BY_KIND.get(kind)
    return _PROTOCOLS.get((kind, sock.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL)))


def endpoint(address: object) -> Endpoint:
    """What getsockname(2) gave, as an `Endpoint`; the scope of a link-local address stays in the host ("fe80::1%eth0")."""
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


def _status(sock: socket.socket, protocol: str) -> str:
    if protocol == "tcp":
        if hasattr(socket, "TCP_INFO"):
            state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            return model.TCP_STATES.get(state, model.NONE)
        return _status_without_tcp_info(sock)
    if protocol == "unix" and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return model.LISTEN
    return model.NONE


def _status_without_tcp_info(sock: socket.socket) -> str:
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return model.LISTEN
    return model.ESTABLISHED if _remote(sock, unix=False) else model.CLOSE
