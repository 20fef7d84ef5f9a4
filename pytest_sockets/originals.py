"""The interpreter's own clocks, threads, locks, polling, sleep and system calls, even if a test replaces them.

gevent replaces `threading`, `select`, `selectors`, `socket` and `time` in place, perhaps long before the first server
starts. The hub needs a real thread that waits in a real epoll(7); a greenlet would stop with the test that waits for
it. freezegun and time-machine replace the clocks. pyfakefs replaces the modules `os` and `io` in every module that
names them, and hides /proc.

The names below are therefore taken when the plugin is loaded, or from gevent's store of originals. This module stays
small, because every run imports it.
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

# These are objects, since freezegun replaces functions of `time` in every module. Linux reads the clock by its number,
# since time-machine replaces the inside of time.monotonic.
monotonic: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    if sys.platform == "linux"
    else functools.partial(time.monotonic)
)
"""The value of `time.monotonic()` when it is not replaced."""
boot_time: Callable[[], float] | None = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else None
)
"""Seconds since boot, including suspended time: the clock of /proc. None on other systems."""
wall_clock: Callable[[], float] = functools.partial(time.time)
"""The value of `time.time()` when it is not replaced."""


def _refuse(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


class RealOs:
    """Functions and constants of `os` and `io`. Never instantiated: pyfakefs leaves a class alone."""

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
    """`O_RDONLY` on systems without it."""
    _open: Final[Any] = staticmethod(io.open)

    @classmethod
    def content(cls, path: str) -> bytes:
        """Return the content of this file. Raises OSError like `open`."""
        with cls._open(path, "rb") as file:
            return bytes(file.read())


def original(module: str, name: str) -> Any:
    """Return the original `module.name`; None if this system lacks the name."""
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

    `ssl.SSLSocket` derives from `socket.socket` at the time of its import. If that happened while a test blocks
    sockets, TLS would stay broken for the rest of the run, also for the suite's own clients.
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
    """Sleep in a test's thread. Under gevent, other greenlets keep running: one of them may be the client."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("time"):
        sys.modules["gevent"].sleep(seconds)
    else:
        _sleep(seconds)
