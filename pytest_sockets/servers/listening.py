"""How does a server get its address? Everything here runs in the caller's thread: when it returns, clients can connect.

Linux lets a server stop listening and keep its port: shutdown(2) on a listening socket refuses from then on, listen(2) opens
again. It keeps the port only if it was bound by number, so a free port is first found with one socket and then bound by
number with a second. The first one binds exclusively (without SO_REUSEADDR), which makes the kernel check every later bind
of that port in full: while the server refuses, no other socket can take it.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.addresses import host_to_bind, parsed
from pytest_sockets.errors import FamilyUnavailable, PortUnavailable, SettingError
from pytest_sockets.model import Endpoint
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from pathlib import Path

CAN_STOP_LISTENING: Final = sys.platform == "linux"
UNIX_PATH_LIMIT: Final = 107 if sys.platform == "linux" else 103
"""Bytes in sun_path, without its final NUL."""
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_TRIES: Final = 20
_SET_REUSE: Final = sys.platform != "win32"  # on Windows it would let others steal the port


@dataclasses.dataclass(slots=True)
class Bound:
    """A bound socket and its address. `directory` is the private one that was made for a unix path."""

    sock: RealSocket
    endpoint: Endpoint
    address: Any
    """What connect(2) takes."""
    directory: Path | None = None
    file: tuple[int, int] | None = None
    """Device and inode of a unix socket's file."""


def bind_all(kind: int, host: str, port: int, backlog: int) -> list[Bound]:
    """Sockets of type `kind` on `host`; stream sockets listen. "localhost" is both loopback addresses, where there are both.

    Raises `FamilyUnavailable`, `PortUnavailable`, or `SettingError` for a host or port that cannot be.
    """
    _check_port(port)
    host_to_bind(host)
    if host != "localhost":
        return [_bind(kind, host, port, backlog)]
    for _ in range(_TRIES):
        first = _bind(kind, "127.0.0.1", port, backlog)
        try:
            return [first, _bind(kind, "::1", first.endpoint.port or 0, backlog)]
        except FamilyUnavailable:
            return [first]
        except PortUnavailable:  # free on IPv4 only
            first.sock.close()
            if port:
                raise
    raise PortUnavailable(f"no port was free on both 127.0.0.1 and ::1 in {_TRIES} tries")


def _check_port(port: int) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise SettingError(
            f"port={port!r} is not a valid port number; use a number up to 65535, or 0 for any free port"
        )


def _bind(kind: int, host: str, port: int, backlog: int) -> Bound:
    family, address = _resolve(host, port)
    try:
        sock = RealSocket(family, kind)
    except OSError as error:
        raise _no_family(host, error) from error
    try:
        sock = (
            _bind_datagram(sock, address)
            if kind == socket.SOCK_DGRAM
            else _bind_stream(sock, address, backlog)
        )
    except OSError as error:
        sock.close()
        if error.errno in _NO_SUCH_FAMILY or (error.errno == errno.EADDRNOTAVAIL and _is_local(host)):
            raise _no_family(host, error) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise _not_ours(host, error.strerror) from error
        raise _unavailable(kind, host, port, error) from error
    sock.setblocking(False)
    name = sock.getsockname()
    return Bound(sock, Endpoint(name[0], name[1]), _reachable(name))


def _resolve(host: str, port: int) -> tuple[int, tuple[str | int, ...]]:
    if host == "127.0.0.1":
        return socket.AF_INET, (host, port)
    if host in ("::", "::1"):
        return socket.AF_INET6, (host, port)
    try:
        found = originals.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:  # ValueError: a label that is too long (UnicodeError), a NUL
        raise _not_ours(host, error) from error
    return found[0][0], found[0][4]


def _bind_datagram(sock: RealSocket, address: tuple[str | int, ...]) -> RealSocket:
    _dual_stack(sock, address)
    sock.bind(address)
    return sock


def _bind_stream(sock: RealSocket, address: tuple[str | int, ...], backlog: int) -> RealSocket:
    _dual_stack(sock, address)
    if address[1] or not CAN_STOP_LISTENING:
        if _SET_REUSE:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(backlog)
        return sock
    sock.bind(address)
    try:
        return _bind_by_number(sock, backlog)
    finally:
        sock.close()


def _bind_by_number(finder: RealSocket, backlog: int) -> RealSocket:
    finder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # lets the second one in, and only that
    address = finder.getsockname()
    sock = RealSocket(finder.family, finder.type)
    try:
        _dual_stack(sock, address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _dual_stack(sock: RealSocket, address: tuple[str | int, ...]) -> None:
    """ "::" serves IPv4 too, whatever the system's default is; any other IPv6 address only itself."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address[0] == "::" else 1)


def _reachable(name: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A wildcard address is nothing to connect to: the loopback address of its family is."""
    if name[0] == "0.0.0.0":  # noqa: S104  (a comparison, nothing is bound)
        return "127.0.0.1", name[1]
    if name[0] == "::":
        return "::1", name[1]
    return name[0], name[1]


def _is_local(host: str) -> bool:
    """Loopback and wildcard addresses: only a machine without the family lacks them."""
    address = parsed(host)
    return address is not None and (address[0].is_loopback or address[0].is_unspecified)


def _not_ours(host: str, reason: object) -> SettingError:
    return SettingError(
        f"host={host!r} is not an address of this machine ({reason}); use 127.0.0.1, ::1 or localhost"
    )


def _no_family(host: str, error: OSError) -> FamilyUnavailable:
    family = "IPv6" if ":" in host else "IPv4"
    return FamilyUnavailable(f"this host cannot serve {host} ({family}): {error.strerror}")


def _unavailable(kind: int, host: str, port: int, error: OSError) -> PortUnavailable:
    protocol = "udp" if kind == socket.SOCK_DGRAM else "tcp"
    text = f"cannot serve {protocol} {Endpoint(host, port)}: {error.strerror}"
    return PortUnavailable(f"{text}\n{_advice(host, error)}")


def _advice(host: str, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "a port below 1024 needs privilege"
    if error.errno == errno.EINVAL and _is_link_local(host):
        return f"a link-local address needs its interface as scope, such as {host}%eth0"
    return "port=0 takes any free port"


def _is_link_local(host: str) -> bool:
    address = parsed(host)
    return address is not None and address[0].is_link_local and not address[1]


def bind_unix(path: str, backlog: int) -> Bound:
    """A listening unix socket. An empty `path` makes one in a new directory that only this user can enter (0700)."""
    if not hasattr(socket, "AF_UNIX"):
        raise FamilyUnavailable("this host has no unix sockets")
    if not isinstance(path, str) or "\0" in path:
        raise SettingError(f'host={path!r} ({type(path).__name__}): use a path as str, or "@name"')
    directory = None if path else _private_directory()
    name = str(directory / "echo.sock") if directory else path
    try:
        sock = _listen_on_path(name, backlog)
    except BaseException:
        if directory:
            directory.rmdir()
        raise
    if name.startswith("@"):
        return Bound(sock, Endpoint(name), f"\0{name[1:]}")
    return Bound(sock, Endpoint(name), name, directory, _file_at(name))


def _listen_on_path(name: str, backlog: int) -> RealSocket:
    size = len(os.fsencode(name))
    if size > UNIX_PATH_LIMIT:
        raise SettingError(
            f"unix socket path of {size} bytes, the limit here is {UNIX_PATH_LIMIT}: {name}\n"
            "likely cause: a long temporary directory\nname a shorter path by host=..., or set TMPDIR to a shorter directory"
        )
    assert hasattr(socket, "AF_UNIX")  # bind_unix has checked
    sock = RealSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise PortUnavailable(
            f"cannot serve unix socket {name}: {error.strerror}\n"
            "the path must be new, and its directory there and writable"
        ) from error
    sock.setblocking(False)
    return sock


def _private_directory() -> Path:
    """A new directory with mode 0700: the socket file's own mode is not honoured by every system, its directory's is."""
    import pathlib
    import tempfile

    directory = pathlib.Path(tempfile.mkdtemp(prefix="pytest-sockets-"))
    if len(os.fsencode(directory / "echo.sock")) > UNIX_PATH_LIMIT and pathlib.Path("/tmp").is_dir():  # noqa: S108
        directory.rmdir()
        directory = pathlib.Path(tempfile.mkdtemp(prefix="pytest-sockets-", dir="/tmp"))
    return directory


def remove_socket_file(bound: Bound) -> None:
    """Remove the unix path if it still is this server's socket; an abstract name went with its socket."""
    import pathlib

    if bound.file is not None and _file_at(bound.endpoint.host) == bound.file:
        pathlib.Path(bound.endpoint.host).unlink(missing_ok=True)


def _file_at(path: str) -> tuple[int, int] | None:
    import pathlib

    try:
        status = pathlib.Path(path).lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def remove_path(bound: Bound) -> None:
    """Take away the unix path and its private directory; what is gone already is gone."""
    try:
        remove_socket_file(bound)
        if bound.directory:
            bound.directory.rmdir()
    except OSError:  # a test put something of its own beside it
        pass
