"""Which test or fixture opened a socket: asked of whoever keeps a ledger, here or in another worker of this run.

The ledger is a storey beside this one, so the plugin hands its look-up in (`pytest_sockets._opener_lookup`). Under xdist
each worker answers for its own sockets on an abstract unix name, from one sleeping thread: nothing is written while tests
run, and a dead worker leaves no file.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Final, NamedTuple

import pytest_sockets
from pytest_sockets.originals import start_own_thread
from pytest_sockets.real_socket import RealSocket

_TIMEOUT: Final = 0.5
_MOST: Final = 4096
_listener: RealSocket | None = None


class Opener(NamedTuple):
    """Who opened a socket, and the xdist worker that answered ("" if this process did)."""

    name: str
    worker: str = ""

    def __str__(self) -> str:
        return f"{self.name} (xdist worker {self.worker})" if self.worker else self.name


def opener_of(pid: int | None, inode: int | None) -> Opener | None:
    """What opened the socket, if that process is this one or another worker of the run; None if nobody knows."""
    if pid is None or inode is None:
        return None
    if pid == os.getpid():
        known = _known_here(inode)
        return Opener(known) if known else None
    worker, _, name = (_ask(pid, inode) or "").partition("\n")
    return Opener(name, worker) if name else None


def _known_here(inode: int) -> str | None:
    look_up = pytest_sockets._opener_lookup
    try:
        return look_up(inode) if look_up else None
    except Exception:  # noqa: BLE001  (a look-up that fails must not hide the error that is explained)
        return None


def _name(pid: int) -> str:
    return f"\0pytest-sockets/openers/{pid}"


def _ask(pid: int, inode: int) -> str | None:
    if sys.platform != "linux":
        return None
    with RealSocket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT)
        try:
            client.connect(_name(pid))
            client.sendall(b"%d\n" % inode)
            return client.recv(_MOST).decode() or None
        except (OSError, UnicodeError):
            return None


def start_answering() -> None:
    """Answer other workers from now on; once a process, Linux only. For xdist workers: alone, there is nobody to ask."""
    global _listener
    if _listener is not None or sys.platform != "linux":
        return
    listener = RealSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_name(os.getpid()))
        listener.listen(16)
    except OSError:
        listener.close()
        return
    _listener = listener
    # _thread: threading.enumerate() is what suites check for leaked threads.
    start_own_thread(_answer, (listener,))


def stop_answering() -> None:
    """End the thread and free the name."""
    global _listener
    listener, _listener = _listener, None
    if listener is None:
        return
    try:
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2), which close(2) does not
    except OSError:
        pass
    listener.close()


def _answer(listener: RealSocket) -> None:
    while _listener is listener:
        try:
            client, _ = listener.accepted()
        except OSError:
            return
        with client:
            try:
                client.settimeout(_TIMEOUT)
                text = (
                    f"{os.environ.get('PYTEST_XDIST_WORKER', '')}\n{_known_here(int(client.recv(64))) or ''}"
                )
                client.sendall(text.encode()[:_MOST])
            except (OSError, ValueError):
                continue
