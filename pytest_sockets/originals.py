"""The interpreter's own clocks, threads, locks, polling, sleep and system calls, whatever a test puts in their place.

gevent replaces `threading`, `select`, `selectors`, `socket` and `time` in place, and a suite may do so long before its first
server starts. The hub is a real thread that waits in a real epoll(7): a greenlet in its place would stop with the test
that waits for it. freezegun and time-machine replace the clocks, pyfakefs the modules `os` and `io` in every module that
names them: there is no /proc then, and no descriptor is known. So the names below are taken when the plugin is loaded, and
from gevent's store of originals if it was first. This module is light on purpose: it is imported in every run.
"""

from __future__ import annotations

import errno
import functools
import importlib
import io
import os
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    import _thread
    import selectors
    from collections.abc import Callable

# Objects of our own: freezegun replaces what is a function of `time` in every module, under any name. A system clock by its
# number: time-machine replaces what is inside time.monotonic itself. Windows and macOS have others.
monotonic: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    if sys.platform == "linux"
    else functools.partial(time.monotonic)
)
"""What `time.monotonic()` gives when nobody has replaced it."""
boot_time: Callable[[], float] | None = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else None
)
"""Seconds since the machine was started, those in suspension among them: the clock of /proc; None elsewhere."""
wall_clock: Callable[[], float] = functools.partial(time.time)
"""What `time.time()` gives when nobody has replaced it."""


def _refuse(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


class RealOs:
    """Functions of `os` and `io` under their names, and constants; never an instance. pyfakefs lets a class be."""

    close = staticmethod(os.close)
    dup = staticmethod(os.dup)
    dup2 = staticmethod(os.dup2)
    fstat = staticmethod(os.fstat)
    ftruncate = staticmethod(os.ftruncate)
    listdir = staticmethod(os.listdir)
    memfd_create: Final[Any] = staticmethod(getattr(os, "memfd_create", _refuse))
    open = staticmethod(os.open)
    stat = staticmethod(os.stat)
    read = staticmethod(os.read)
    readlink = staticmethod(os.readlink)
    exists = staticmethod(os.path.exists)
    isdir = staticmethod(os.path.isdir)
    O_RDONLY: Final = os.O_RDONLY
    O_PATH: Final = getattr(os, "O_PATH", os.O_RDONLY)
    """Where there is none: `O_RDONLY`."""
    _open: Final[Any] = staticmethod(io.open)

    @classmethod
    def content(cls, path: str) -> bytes:
        """What is in this file; raises OSError as `open` does."""
        with cls._open(path, "rb") as file:
            return bytes(file.read())


def original(module: str, name: str) -> Any:
    """`module.name` as the interpreter came with it; None if this system has no such name."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and hasattr(monkey, "get_original"):
        try:
            return monkey.get_original(module, name)
        except AttributeError:
            return None
    return getattr(importlib.import_module(module), name, None)


start_new_thread: Callable[..., int] = original("_thread", "start_new_thread")
allocate_lock: Callable[[], _thread.LockType] = original("_thread", "allocate_lock")
get_ident: Callable[[], int] = original("_thread", "get_ident")
epoll: Any = original("select", "epoll")
default_selector: type[selectors.BaseSelector] = original("selectors", "DefaultSelector")
getaddrinfo: Callable[..., Any] = original("socket", "getaddrinfo")
_sleep: Callable[[float], None] = original("time", "sleep")

LINGER_OFF_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""struct linger {1, 0}: close(2) sends RST and leaves no TIME_WAIT."""

SOL_SOCKET, SO_LINGER = socket.SOL_SOCKET, socket.SO_LINGER


def load_ssl() -> None:
    """Import `ssl` with the real socket class in place.

    `ssl.SSLSocket` derives from whatever `socket.socket` is at its import: if that came first while a test has sockets
    blocked, TLS would stay broken for the rest of the run, for the suite's own clients too.
    """
    if "ssl" in sys.modules:
        return
    replaced = socket.socket
    socket.socket = RealSocket.__mro__[1]  # type: ignore[misc, assignment]
    try:
        importlib.import_module("ssl")
    finally:
        socket.socket = replaced  # type: ignore[misc]


def pause(seconds: float) -> None:
    """Sleep in a test's thread. Under gevent the other greenlets go on meanwhile: one of them may be the client."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("time"):
        sys.modules["gevent"].sleep(seconds)
    else:
        _sleep(seconds)
