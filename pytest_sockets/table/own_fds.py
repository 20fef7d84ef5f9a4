"""Count this process's descriptors, and find the sockets among them."""

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
"""Descriptors are small numbers: this many times their count are tried before the directory is read."""
_RESERVE: Final = 3
"""An import needs one descriptor, and reading a child's socket table needs two."""


class FdCount:
    """Counts the open descriptors of this process, the cheapest way first.

    From Linux 6.2 on, the size of /proc/self/fd is the count: fstat(2) on a descriptor of that directory takes 1.4 us,
    stat(2) by name 3 us. Older kernels report 0 and other systems report nothing; there, the descriptors are listed.
    """

    def __init__(self) -> None:
        self.quick: Callable[[], int] = self.count
        """`count()` in one C call where possible. Raises OSError if a test has closed the descriptor."""
        self._map: mmap.mmap | None = None
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._reserve: list[int] = []
        """Duplicates for `spare`, since imports, listings and files need a descriptor."""
        self._by_size = False
        self.available = False
        """Whether this system can count descriptors."""
        _counts.add(self)

    def open(self) -> None:
        """Open the descriptor, if one is available."""
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
        """Map memory whose descriptor belongs to this plugin: its `size()` is an fstat(2) that returns one number.

        os.fstat() builds an object of twenty numbers, which was 4 of the 14 us of an empty test with cold caches.
        """
        import mmap

        with _memory() as memory:
            RealOs.close(number := RealOs.dup(memory))
            map_ = mmap.mmap(memory, 1)  # keeps a duplicate, which gets the same number
            if _identity(RealOs.fstat(number)) != _identity(RealOs.fstat(memory)):
                return  # another thread was first
            RealOs.dup2(self._fd, number, inheritable=False)
        RealOs.close(self._fd)
        self._fd, self._map, self.quick = number, map_, map_.size

    def close(self) -> None:
        """Close the descriptor, unless a test has closed it: the number may belong to another file now."""
        self._release_reserve()
        fd, self._fd = self._fd, -1
        map_, self._map, self.quick = self._map, None, self.count
        with contextlib.suppress(OSError):
            if fd >= 0 and _identity(RealOs.fstat(fd)) == self._identity:
                map_.close() if map_ is not None else RealOs.close(fd)
                return
        if map_ is not None:
            _abandoned.append(map_)  # its destructor would close the number

    def count(self) -> int:
        """Return the number of open descriptors; -1 if it is not available now."""
        if self._by_size:
            try:
                return RealOs.fstat(self._fd).st_size
            except OSError as error:  # closed by a test
                raise_unless_system(error)
        return _listed()

    def recount(self) -> int:
        """Return `count()` after checking that the descriptor still belongs to this plugin."""
        try:
            ours = self._fd >= 0 and _identity(RealOs.fstat(self._fd)) == self._identity
        except OSError as error:
            raise_unless_system(error)
            ours = False
        if not ours:
            self.close()
            self.open()
        return self.count()

    @contextlib.contextmanager
    def spare(self) -> Iterator[None]:
        """Free some descriptors inside this block, even if a test has used up all others (EMFILE)."""
        try:
            RealOs.close(RealOs.dup(self._fd))
        except OSError as error:
            raise_unless_system(error)
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
    """Yield a descriptor of one byte of memory."""
    memory = RealOs.memfd_create("pytest-sockets")
    try:
        RealOs.ftruncate(memory, 1)
        yield memory
    finally:
        RealOs.close(memory)


def _after_fork_in_child() -> None:
    for count in tuple(_counts):
        if count.available:  # its descriptor refers to the parent
            count.close()
            count.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _listed() -> int:
    try:
        return len(RealOs.listdir(FD_DIRECTORY)) - 1  # without the descriptor that reads the directory
    except OSError as error:
        raise_unless_system(error)
        return -1


def raise_unless_system(error: OSError) -> None:
    """Raise an error that no system call has made: a signal handler of the suite may raise TimeoutError anywhere."""
    if error.errno is None:
        try:
            raise error
        finally:
            del error  # its traceback has this frame: the cycle would keep the user's objects alive


def socket_inode(fd: int) -> int | None:
    """Return the inode of the socket behind `fd`; None if it is closed or not a socket."""
    try:
        status = RealOs.fstat(fd)
    except OSError as error:
        raise_unless_system(error)
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


def socket_inodes() -> dict[int, int]:
    """Return each open socket descriptor with its inode. Raises OSError where descriptors cannot be listed."""
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
    """Return each open descriptor with its type in the plural: "sockets", "files", "pipes" ...

    Empty where descriptors cannot be listed. Works even when no descriptor is free.
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
    """Free at least one descriptor inside this block, if this process keeps one in reserve."""
    reserve = next((count for count in tuple(_counts) if count.available), None)
    if reserve is None:
        yield
    else:
        with reserve.spare():
            yield


def _fds() -> Iterable[int]:
    """Yield the open descriptors, and perhaps some closed ones.

    Where the kernel reports their count, that many are tried from 0 on. No file is opened, so an audit hook of the
    suite sees no event.
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
        if sys.platform == "win32":  # which has no limit to read
            raise
    # Listing needs a descriptor, and none is left: every number below the limit is in use.
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return range(min(soft, _MOST_PROBED))
