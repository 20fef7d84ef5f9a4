"""A lock for each port number: every process that could bind the port sees it, and it ends with its process."""

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
    """A lock that this process has."""

    def close(self) -> None:
        """Release the lock."""


class Locks(Protocol):
    """The locks of all ports."""

    def take(self, port: int) -> Lock | None:
        """Take the lock of `port`. Returns None if another process, or another pool of this one, has it."""

    def after_fork(self) -> None:
        """In a forked child: forget the locks of the parent."""


class AbstractLocks:
    """Linux: the lock of port N is the abstract unix name `\\0pytest-sockets/port/N`.

    Such a name belongs to the network namespace, exactly as ports do: containers have separate names, unless they share the
    host's network. It works across users, leaves no file, and ends with the process.
    """

    def take(self, port: int) -> Lock | None:
        """As `Locks.take`. Raises OSError if no descriptor is left."""
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
        """The pool closes what the child inherited; the parent still has its own descriptors of the same sockets."""


class FileLocks:
    """Elsewhere: the lock of port N is byte N of one file, locked by fcntl(2) or, on Windows, `msvcrt.locking`.

    These locks belong to the process, not to the descriptor: a second lock by the same process would succeed, so one
    instance serves the whole process (`file_locks`) and keeps the books. A forked child inherits none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._mutex = threading.Lock()
        self._taken: set[int] = set()

    def take(self, port: int) -> Lock | None:
        """Raises PortUnavailable if the file cannot be opened."""
        with self._mutex:
            if self._fd < 0:
                self._fd = _open(self.path)
            if port in self._taken or not _lock_byte(self._fd, port):
                return None
            self._taken.add(port)
        return _FileLock(self, port)

    def give_back(self, port: int) -> None:
        """Unlock; without effect for a lock that is not ours (a forked child's copy of the parent's)."""
        with self._mutex:
            if port in self._taken:
                self._taken.remove(port)
                _unlock_byte(self._fd, port)

    def after_fork(self) -> None:
        """The mutex may have been held by a thread of the parent that does not exist here."""
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
    """The lock file, which any user may use: made with mode 0666, never written to, never removed."""
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        try:
            return os.open(
                path, flags
            )  # O_CREAT on another user's file in a sticky directory is refused by Linux
        except FileNotFoundError:
            fd = os.open(path, flags | os.O_CREAT, 0o666)
    except OSError as error:
        raise PortUnavailable(
            f"the lock file of free ports, {path}, cannot be opened: {error.strerror}. "
            "Every user who runs tests on this host must be able to read and write it."
        ) from error
    try:
        path.chmod(0o666)  # the umask has cut the mode
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
    # macOS gives every user a temporary directory of his own: their locks would not see each other
    return Path(tempfile.gettempdir() if sys.platform == "win32" else "/tmp") / FILE_NAME  # noqa: S108


_file_locks: FileLocks | None = None


def choose_locks() -> Locks:
    """The locks of this system."""
    global _file_locks
    if sys.platform == "linux":
        return AbstractLocks()
    if _file_locks is None:
        _file_locks = FileLocks(_lock_file_path())
    return _file_locks
