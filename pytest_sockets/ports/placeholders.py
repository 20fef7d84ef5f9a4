"""Holding a port that the kernel might choose for somebody else: bound, not listening, let go when it is bound here.

Only where the ephemeral range leaves too few ports outside. A socket that is bound without any reuse option keeps bind(0)
and connect() of everybody away. SO_REUSEADDR, set *after* the bind, then lets a server with the same option bind beside
it and listen (asyncio, uvicorn, gunicorn, http.server ... all set it). For a server without it the audit hook below
closes our socket in the moment that code of this process binds the port; for a child process there is `release`.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

from pytest_sockets.ports.probing import TCP, UDP, Place, Prober, bind
from pytest_sockets.real_socket import BareSocket, keep

_placed: dict[tuple[int, int], list[BareSocket]] = {}
"""By (port, socket type): every port that this process holds."""
_installed = False
_INET: Final = (int(socket.AF_INET), int(socket.AF_INET6))
_KIND_MASK: Final = 0xF  # SOCK_NONBLOCK and SOCK_CLOEXEC are flags beside the type


def place(prober: Prober, port: int, kinds: tuple[int, ...]) -> bool:
    """Hold `port` for each socket type; False (and nothing held) if somebody has it. This is the probe as well."""
    _install()
    if len(prober.places) > 1 and not prober.is_free(
        port, kinds
    ):  # one socket holds it, more are needed to be sure
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
    """Hold `port` no longer; without effect if it is not held."""
    for kind in kinds:
        _close(_placed.pop((port, kind), ()))


def is_placed(port: int) -> bool:
    """Whether some socket of ours sits on the port."""
    return (port, TCP) in _placed or (port, UDP) in _placed


def after_fork() -> None:
    """In a forked child: the holds are the parent's; its own descriptors of them keep the ports."""
    for sockets in _placed.values():
        _close(sockets)
    _placed.clear()


def _bind_all(prober: Prober, port: int, kind: int) -> list[BareSocket] | None:
    sock = bind(prober.places[0], kind, port)
    if sock is None:
        return None
    sockets = [sock]
    if kind == TCP:
        if sys.platform != "win32":  # there the option means to steal ports
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sockets
    if _deafen(sockets, port):
        return sockets
    _close(sockets)
    return None


def _deafen(sockets: list[BareSocket], port: int) -> bool:
    """Connect held UDP sockets to themselves: a datagram to the port is then refused, as on a free port, not swallowed.

    connect(2) narrows a wildcard socket to the loopback address of one family, so the other family gets its own socket.
    """
    if sockets[0].family == socket.AF_INET6:
        try:
            sockets[0].connect(("::1", port))
        except OSError:  # ::1 is switched off: the socket stays as it is
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
    """The audit hook: process-global and never removable (PEP 578), so made only where ports are held."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_on_audit_event)


def _on_audit_event(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.bind" or not _placed:
        return
    try:
        _before_bind(*args)
    except BaseException:  # noqa: BLE001, S110  (an exception here would abort the user's bind)
        pass


def _before_bind(sock: Any, address: Any) -> None:
    if type(address) is not tuple or sock.family not in _INET:
        return
    kind = sock.type & _KIND_MASK
    held = _placed.get((address[1], kind))
    # a TCP server that reuses addresses binds beside our socket: then the port is still held when that server ends
    if held is None or (kind == TCP and sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)):
        return
    _close(_placed.pop((address[1], kind), ()))
