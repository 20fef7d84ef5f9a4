"""Look up the test or fixture that opened a socket, in this process or in another xdist worker of the run.

The leak detection keeps these records. It is an engine beside this one, so the plugin provides the look-up. Each xdist
worker answers for its own sockets on an abstract unix name. No file is written, so a dead worker leaves none.

Any user of the host can send to that name, or bind it. Both sides therefore accept a datagram only if the kernel
reports a sender of the same user. The asker also checks the process id.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from typing import Any, Final, NamedTuple

from pytest_sockets import lookups, own_threads
from pytest_sockets.printable import printable, shortened
from pytest_sockets.real_socket import RealSocket

_TIMEOUT: Final = 0.5
_LONGEST: Final = 4096
_LONGEST_NAME: Final = 300
_WORKER: Final = re.compile(r"[\w-]{1,20}")
_CREDENTIALS: Final = struct.Struct("=iII")
"""struct ucred: process id, uid, gid."""
_ROOM: Final = socket.CMSG_SPACE(_CREDENTIALS.size) if hasattr(socket, "CMSG_SPACE") else 0
_listener: RealSocket | None = None


class Opener(NamedTuple):
    """The test or fixture that opened a socket, and the xdist worker that answered ("" if this process did)."""

    name: str
    worker: str = ""

    def __str__(self) -> str:
        return f"{self.name} (xdist worker {self.worker})" if self.worker else self.name


def opener_of(pid: int | None, inode: int | None) -> Opener | None:
    """Return the opener of a socket of this process or of another worker of the run; None if not known."""
    if pid is None or inode is None:
        return None
    if pid == os.getpid():
        known = opened_here(inode)
        return Opener(known) if known else None
    worker, _, name = (_ask(pid, inode) or "").partition("\n")
    worker = worker if _WORKER.fullmatch(worker) else ""
    return Opener(_clean(name), worker) if name else None


def are_known() -> bool:
    """Whether this process keeps records of what opened its sockets."""
    return lookups.socket_opener is not None


def opened_here(inode: int) -> str | None:
    """Return "test test_a.py::test_x, at test_a.py:3" for a socket of this process; None if it is not known."""
    look_up = lookups.socket_opener
    try:
        found = look_up(inode) if look_up else None
    except Exception:  # noqa: BLE001  (a failed look-up must not hide the explained error)
        return None
    return _clean(found) if found else None


def _clean(name: str) -> str:
    return shortened(printable(name), _LONGEST_NAME)


def _name(pid: int) -> str:
    return f"\0pytest-sockets/openers/{pid}"


def _new_socket() -> RealSocket:
    """Make a socket whose datagrams arrive with the sender's credentials, filled in by the kernel."""
    sock = RealSocket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return sock


def _receive(sock: RealSocket) -> tuple[bytes, Any, int | None]:
    """Return a datagram, its sender's address, and the sender's process id; None for another user's process."""
    data, ancillary, _, address = sock.recvmsg(_LONGEST, _ROOM)
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(value) == _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack(value)
            return data, address, pid if uid == os.getuid() else None
    return data, address, None


def _ask(pid: int, inode: int) -> str | None:
    if sys.platform != "linux":
        return None
    with _new_socket() as client:
        client.settimeout(_TIMEOUT)
        try:
            client.bind("")  # the kernel chooses a name, to which the answer goes
            client.sendto(b"%d" % inode, _name(pid))
            data, _, sender = _receive(client)
        except OSError:
            return None
        return data.decode(errors="replace") if sender == pid else None


def start_answering() -> None:
    """Answer other workers from now on, on Linux. Call it only in xdist workers, since no other process is asked."""
    global _listener
    if _listener is not None or sys.platform != "linux":
        return
    listener = _new_socket()
    try:
        listener.bind(_name(os.getpid()))
    except OSError:  # another user took the name first: this worker then does not answer
        listener.close()
        return
    _listener = listener
    own_threads.start(_answer, listener)


def stop_answering() -> None:
    """End the thread and release the name."""
    global _listener
    listener, _listener = _listener, None
    if listener is None:
        return
    try:
        listener.shutdown(socket.SHUT_RDWR)  # wakes recvmsg(2), which close(2) does not
    except OSError:
        pass
    listener.close()


def _answer(listener: RealSocket) -> None:
    while _listener is listener:
        try:
            data, address, sender = _receive(listener)
            if sender is None or not data[:20].isdigit():
                continue
            worker = os.environ.get("PYTEST_XDIST_WORKER", "")
            text = f"{worker}\n{opened_here(int(data[:20])) or ''}"
            listener.sendto(text.encode()[:_LONGEST], socket.MSG_DONTWAIT, address)
        except (BlockingIOError, ConnectionError, FileNotFoundError):
            continue  # the asker has ended, or does not read
        except OSError:
            return
