"""A lock for each port number. Every process that could bind the port sees it, and it ends with its process."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final, Protocol

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.real_socket import BareSocket, keep

LOCK_NAME: Final = "pytest-sockets/port/"
FILE_NAME: Final = "pytest-sockets-ports.lock"


class Lock(Protocol):
    """A lock that this process holds."""

    def close(self) -> None:
        """Release the lock."""


class Locks(Protocol):
    """The locks of all ports."""

    def take(self, port: int) -> Lock | None:
        """Take the lock of `port`. Return None if another process, or another pool of this process, holds it."""

    def after_fork(self) -> None:
        """Forget the locks of the parent, in a forked child."""


class AbstractLocks:
    """Linux: the lock of port N is the abstract unix name `\\0pytest-sockets/port/N`.

    Such a name belongs to the network namespace, as ports do. Containers have separate names, unless they share the host's
    network. The lock works across users, leaves no file, and ends with the process.
    """

    def take(self, port: int) -> Lock | None:
        """Take the lock as `Locks.take` does. Raises OSError if no descriptor is left."""
        lock: BareSocket = BareSocket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(b"\0pytest-sockets/port/%d" % port)
        except OSError as error:
            lock.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        keep(lock)
        return lock

    def after_fork(self) -> None:
        """Do nothing: the pool closes the inherited descriptors, and the parent keeps its own for the same sockets."""


class FileLocks:
    """Elsewhere: the lock of port N is byte N of one file, locked by fcntl(2) or, on Windows, `msvcrt.locking`.

    These locks belong to the process, not to the descriptor, so a second lock by the same process would succeed. One
    instance (`file_locks`) therefore records all locks of the process. A forked child inherits none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._mutex = threading.Lock()
        self._taken: set[int] = set()

    def take(self, port: int) -> Lock | None:
        """Take the lock as `Locks.take` does. Raises PortUnavailable if the file cannot be opened."""
        with self._mutex:
            if self._fd < 0:
                self._fd = _open(self.path)
            if port in self._taken or not _lock_byte(self._fd, port):
                return None
            self._taken.add(port)
        return _FileLock(self, port)

    def give_back(self, port: int) -> None:
        """Release the lock. Has no effect for a lock that this process does not hold (a forked child's copy)."""
        with self._mutex:
            if port in self._taken:
                self._taken.remove(port)
                _unlock_byte(self._fd, port)

    def after_fork(self) -> None:
        """Replace the mutex: a thread of the parent, which does not exist here, may have held it."""
        self._mutex = threading.Lock()
        self._taken = set()


class _FileLock:
    __slots__ = ("_locks", "_port")

    def __init__(self, locks: FileLocks, port: int) -> None:
        self._locks = locks
        self._port = port

    def close(self) -> None:
        self._locks.give_back(self._port)


def _open(path: Path) -> int:
    """Open the lock file for any user: created with mode 0666, never written to, never removed."""
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        try:
            return os.open(path, flags)  # Linux refuses O_CREAT on another user's file in a sticky directory.
        except FileNotFoundError:
            fd = os.open(path, flags | os.O_CREAT, 0o666)
    except OSError as error:
        raise PortUnavailable(
            f"the lock file of free ports, {path}, cannot be opened: {error.strerror}. "
            "Every user who runs tests on this host must be able to read and write it."
        ) from error
    try:
        path.chmod(0o666)  # the umask reduced the mode
    except OSError:
        pass
    return fd


if sys.platform == "win32":
    import msvcrt

    def _lock_byte(fd: int, port: int) -> bool:
        os.lseek(fd, port, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock_byte(fd: int, port: int) -> None:
        os.lseek(fd, port, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock_byte(fd: int, port: int) -> bool:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        return True

    def _unlock_byte(fd: int, port: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, port)


def _lock_file_path() -> Path:
    # macOS gives each user a separate temporary directory, where locks of other users would be invisible.
    return Path(tempfile.gettempdir() if sys.platform == "win32" else "/tmp") / FILE_NAME  # noqa: S108


_file_locks: FileLocks | None = None


def choose_locks() -> Locks:
    """Return the locks of this system."""
    global _file_locks
    if sys.platform == "linux":
        return AbstractLocks()
    if _file_locks is None:
        _file_locks = FileLocks(_lock_file_path())
    return _file_locks
