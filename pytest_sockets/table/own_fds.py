"""How many descriptors this process has, and which of them are sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import weakref
from typing import TYPE_CHECKING, Final

from pytest_sockets.originals import RealOs

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable, Iterator

FD_DIRECTORY: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_MOST_PROBED: Final = 1 << 20
_DENSE: Final = 4
"""Descriptors are small numbers: so many times their count are tried one by one before the directory is read."""
_RESERVE: Final = 3
"""An import needs one descriptor, and reading the socket table of a child two."""


class FdCount:
    """Counts the open descriptors of this process, cheapest way first.

    Linux >= 6.2 gives the count as the size of /proc/self/fd: fstat(2) on a descriptor of that directory takes 1.4 us, and
    stat(2) by its name 3 us. Older kernels give 0 and other systems nothing of the sort: there they are listed.
    """

    def __init__(self) -> None:
        self.quick: Callable[[], int] = self.count
        """`count()` in one call of C where that can be. Raises OSError when a test has closed the descriptor."""
        self._map: mmap.mmap | None = None
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._reserve: list[int] = []
        """Duplicates for `spare`: nothing can be imported, listed or written without a descriptor."""
        self._by_size = False
        self.available = False
        """Whether descriptors can be counted at all on this system."""
        _counts.add(self)

    def open(self) -> None:
        """Take the descriptor, if there is one left."""
        try:
            self._fd = RealOs.open(FD_DIRECTORY, RealOs.O_PATH)
            status = RealOs.fstat(self._fd)
        except OSError:
            return
        self._identity = _identity(status)
        self._by_size = sys.platform == "linux" and status.st_size > 0
        self.available = self._by_size or _listed() > 0
        if self._by_size:
            with contextlib.suppress(OSError, ImportError):  # some interpreters are built without mmap
                self._map_in()
        self._take_reserve()

    def _map_in(self) -> None:
        """Make a map whose descriptor is ours: its `size()` is an fstat(2), too, of which it makes one number.

        os.fstat() makes an object of twenty, which was 4 of the 14 us of an empty test, where all caches are cold.
        """
        import mmap

        with _memory() as memory:
            RealOs.close(number := RealOs.dup(memory))
            map_ = mmap.mmap(memory, 1)  # keeps a duplicate, which gets the same number
            if _identity(RealOs.fstat(number)) != _identity(RealOs.fstat(memory)):
                return  # another thread was faster
            RealOs.dup2(self._fd, number, inheritable=False)
        RealOs.close(self._fd)
        self._fd, self._map, self.quick = number, map_, map_.size

    def close(self) -> None:
        """Give the descriptor back, unless a test has closed it: the number may be another file's by now."""
        self._release_reserve()
        fd, self._fd = self._fd, -1
        map_, self._map, self.quick = self._map, None, self.count
        with contextlib.suppress(OSError):
            if fd >= 0 and _identity(RealOs.fstat(fd)) == self._identity:
                map_.close() if map_ is not None else RealOs.close(fd)
                return
        if map_ is not None:
            _abandoned.append(map_)  # it would close the number

    def count(self) -> int:
        """How many descriptors are open; -1 where that cannot be told just now."""
        if self._by_size:
            try:
                return RealOs.fstat(self._fd).st_size
            except OSError:  # closed by a test
                pass
        return _listed()

    def recount(self) -> int:
        """`count()`, after a look whether the descriptor still is ours."""
        try:
            ours = self._fd >= 0 and _identity(RealOs.fstat(self._fd)) == self._identity
        except OSError:
            ours = False
        if not ours:
            self.close()
            self.open()
        return self.count()

    @contextlib.contextmanager
    def spare(self) -> Iterator[None]:
        """Make some descriptors available meanwhile, also if a test has used up all others (EMFILE)."""
        try:
            RealOs.close(RealOs.dup(self._fd))
        except OSError:
            self._release_reserve()
            try:
                yield
            finally:
                self._take_reserve()
        else:
            yield

    def _take_reserve(self) -> None:
        with contextlib.suppress(OSError):
            while self._fd >= 0 and len(self._reserve) < _RESERVE:
                self._reserve.append(RealOs.dup(self._fd))

    def _release_reserve(self) -> None:
        while self._reserve:
            fd = self._reserve.pop()
            with contextlib.suppress(OSError):
                if (
                    _identity(RealOs.fstat(fd)) == self._identity
                ):  # else a test closed it, and the number is a file's now
                    RealOs.close(fd)


_counts: weakref.WeakSet[FdCount] = weakref.WeakSet()
_abandoned: list[mmap.mmap] = []


@contextlib.contextmanager
def _memory() -> Iterator[int]:
    """A descriptor of a byte in memory."""
    memory = RealOs.memfd_create("pytest-sockets")
    try:
        RealOs.ftruncate(memory, 1)
        yield memory
    finally:
        RealOs.close(memory)


def _after_fork_in_child() -> None:
    for count in tuple(_counts):
        if count.available:  # its descriptor tells of the parent
            count.close()
            count.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _listed() -> int:
    try:
        return len(RealOs.listdir(FD_DIRECTORY)) - 1  # without the descriptor that reads the directory
    except OSError:
        return -1


def socket_inode(fd: int) -> int | None:
    """The inode of the socket behind `fd`; None if it is closed or no socket."""
    try:
        status = RealOs.fstat(fd)
    except OSError as error:
        if error.errno is None:  # not the kernel's: a signal handler of the suite has raised TimeoutError
            raise
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


SOCKET: Final = "sockets"
FILE: Final = "files"
OTHERS: Final = "others (epoll, eventfd ...)"
_TYPES: Final = (
    (stat.S_ISSOCK, SOCKET),
    (stat.S_ISREG, FILE),
    (stat.S_ISFIFO, "pipes"),
    (stat.S_ISDIR, "directories"),
    (stat.S_ISCHR, "devices"),
)


def types() -> dict[int, str]:
    """Each open descriptor of this process with its type in the plural: "sockets", "files", "pipes" ...

    Empty where descriptors cannot be listed. Needs no descriptor where none is left.
    """
    found = {}
    try:
        numbers = _fds()
    except OSError:
        return {}
    for fd in numbers:
        try:
            mode = RealOs.fstat(fd).st_mode
        except OSError:
            continue
        found[fd] = next((name for test, name in _TYPES if test(mode)), OTHERS)
    return found


@contextlib.contextmanager
def spare() -> Iterator[None]:
    """Let at least one descriptor be free meanwhile, if this process keeps one in reserve."""
    reserve = next((count for count in tuple(_counts) if count.available), None)
    if reserve is None:
        yield
    else:
        with reserve.spare():
            yield


def _fds() -> Iterable[int]:
    """The open descriptors, and perhaps some that are not.

    Where the kernel gives their number, as many are tried from 0 on: no file is opened, so no audit hook of a suite objects.
    """
    try:
        missing = RealOs.stat(FD_DIRECTORY).st_size
    except OSError:
        missing = 0
    if missing > 0:
        found = []
        for fd in range(_DENSE * missing):
            try:
                RealOs.fstat(fd)
            except OSError:
                continue
            found.append(fd)
            missing -= 1
            if missing == 0:
                return found
    try:
        return map(int, RealOs.listdir(FD_DIRECTORY))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
    # Listing needs a descriptor and none is left. Every number below the limit is in use.
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return range(min(soft, _MOST_PROBED))
