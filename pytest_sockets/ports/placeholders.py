"""Placeholders: sockets that are bound and never listen, on reserved ports that the kernel might give to another program.

They are needed only where the ephemeral range leaves too few ports outside. The kernel never gives bind(0) or connect() a
port on which a socket is bound without a reuse option. SO_REUSEADDR, set *after* the bind, then lets a server with the same
option bind beside the placeholder and listen; asyncio, uvicorn, gunicorn and http.server all set it. For a server without
the option, the audit hook below closes the placeholder when this process binds the port. For a child process, call
`release` first.
"""

from __future__ import annotations

import _socket
import socket
import sys
from typing import Any, Final

from pytest_sockets.ports.probing import TCP, UDP, Place, Prober, bind
from pytest_sockets.real_socket import BareSocket, keep

_placed: dict[tuple[int, int], list[BareSocket]] = {}
"""The placeholders of this process, by port and socket type."""
_installed = False
_family: Final = _socket.socket.family.__get__
_type: Final = _socket.socket.type.__get__
_getsockopt: Final = _socket.socket.getsockopt
_INET: Final = (int(socket.AF_INET), int(socket.AF_INET6))
_KIND_MASK: Final = 0xF  # SOCK_NONBLOCK and SOCK_CLOEXEC are flags beside the type


def place(prober: Prober, port: int, kinds: tuple[int, ...]) -> bool:
    """Place a socket on `port` for each socket type. Return False, and place none, if the port is in use."""
    _install()
    # One placeholder keeps the port, but outside Linux only binds to several addresses prove that it is free.
    if len(prober.places) > 1 and not prober.is_free(port, kinds):
        return False
    for kind in kinds:
        sockets = _bind_all(prober, port, kind)
        if sockets is None:
            release(port)
            return False
        for sock in sockets:
            keep(sock)
        _placed[port, kind] = sockets
    return True


def release(port: int, kinds: tuple[int, ...] = (TCP, UDP)) -> None:
    """Close the placeholders of `port`, if there are any."""
    for kind in kinds:
        _close(_placed.pop((port, kind), ()))


def after_fork() -> None:
    """Close the inherited descriptors in a forked child. Those of the parent keep the ports."""
    for sockets in _placed.values():
        _close(sockets)
    _placed.clear()


def _bind_all(prober: Prober, port: int, kind: int) -> list[BareSocket] | None:
    sock = bind(prober.places[0], kind, port)
    if sock is None:
        return None
    sockets = [sock]
    if kind == TCP:
        if sys.platform != "win32":  # On Windows, the option steals ports.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sockets
    if _deafen(sockets, port):
        return sockets
    _close(sockets)
    return None


def _deafen(sockets: list[BareSocket], port: int) -> bool:
    """Connect UDP placeholders to themselves, so that a datagram to the port is refused as on a free port.

    connect(2) narrows a wildcard socket to the loopback address of one family, so the other family gets its own socket.
    """
    if sockets[0].family == socket.AF_INET6:
        try:
            sockets[0].connect(("::1", port))
        except OSError:  # ::1 is disabled: leave the socket unconnected.
            return True
        other = bind(Place(socket.AF_INET, "127.0.0.1"), UDP, port)
        if other is None:
            return False
        sockets.append(other)
    sockets[-1].connect(("127.0.0.1", port))
    return True


def _close(sockets: Any) -> None:
    for sock in sockets:
        sock.close()


def _install() -> None:
    """Install the audit hook with the first placeholder: it is process-global and cannot be removed (PEP 578)."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_on_audit_event)


def _on_audit_event(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.bind" and _placed:
        _before_bind(*args)


def _before_bind(sock: Any, address: Any) -> None:
    """Close the placeholder that conflicts with this bind.

    An exception here would abort the user's bind, so only C code reads the user's socket. No exception is suppressed, since
    a timeout that arrives here belongs to the test.
    """
    if type(address) is not tuple or len(address) < 2 or type(address[1]) is not int:
        return
    if _family(sock) not in _INET:
        return
    kind = _type(sock) & _KIND_MASK
    placed = _placed.get((address[1], kind))
    # A TCP server that reuses addresses binds beside the placeholder, which keeps the port after that server ends.
    if placed is None or (kind == TCP and _reuses_address(sock)):
        return
    _close(_placed.pop((address[1], kind), ()))


def _reuses_address(sock: Any) -> bool:
    try:
        return bool(_getsockopt(sock, socket.SOL_SOCKET, socket.SO_REUSEADDR))
    except OSError:
        return False
