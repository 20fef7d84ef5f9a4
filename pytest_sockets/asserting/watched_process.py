"""Watch the process or thread that should open a port: whether it runs, and what it left after its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final, Protocol

from pytest_sockets.errors import QueryError, QueryTypeError
from pytest_sockets.table import holders, proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINES: Final = 8
_BYTES: Final = 64 * 1024
_LARGEST_PID: Final = 2**31 - 1 if sys.platform != "win32" else 2**32 - 1
_USE: Final = "use a Popen, a psutil.Process, a pid, a ServerProcess or a threading.Thread"


class Watched(Protocol):
    """The interface between a wait and the process that should listen."""

    title: str
    """`process 4711`, `thread 'server'`."""

    def ended(self) -> str | None:
        """Return None while it runs, else how it ended: "exited with status 1", "was killed by SIGKILL"."""

    def pids(self) -> list[int]:
        """Return the processes that may hold the listener."""

    def last_output(self) -> dict[str, list[str]]:
        """Return the last lines of each stream by its name, where they can be read."""

    def may_have_left(self, pid: int | None) -> bool:
        """Whether a process may be a daemon that the ended process started."""

    def error(self) -> BaseException | None:
        """Return the exception that ended it, if known."""

    def close(self) -> None:
        """End the watch."""


def watched(process: Any) -> Watched:
    """Return the watcher for a process or thread. Raises `QueryTypeError` for anything else."""
    if isinstance(process, threading.Thread):
        return WatchedThread(process)
    if hasattr(process, "last_output") and hasattr(process, "tree"):
        return WatchedServer(process)
    return WatchedProcess(process)


class WatchedProcess:
    """A Popen, an asyncio or psutil process, a multiprocessing one, or a pid."""

    def __init__(self, process: Any) -> None:
        pid = (
            process
            if isinstance(process, int) and not isinstance(process, bool)
            else getattr(process, "pid", None)
        )
        if not isinstance(pid, int):
            raise QueryTypeError(f"{process!r} is not a process: {_USE}")
        if not 0 < pid <= _LARGEST_PID:
            raise QueryError(f"{pid} is not a process id: {_USE}")
        self.pid = pid
        self.title = f"process {pid}"
        self._process = process
        self._birth = proc.birth(pid) if proc.AVAILABLE else None
        self._files = {name: _redirected_to(pid, fd) for name, fd in (("stdout", 1), ("stderr", 2))}

    def ended(self) -> str | None:
        """Return how the process ended, according to the object that started it, or else to the process table."""
        poll: Callable[[], int | None] | None = getattr(self._process, "poll", None)
        status = (
            poll() if poll else getattr(self._process, "returncode", getattr(self._process, "exitcode", None))
        )
        if isinstance(status, int):
            return ending(status)
        return None if self._runs() else ending(_status_of_zombie(self.pid))

    def _runs(self) -> bool:
        if not proc.AVAILABLE:
            from pytest_sockets.table import processes

            return processes.is_running(self.pid)
        now = proc.birth(self.pid)
        # A zombie has ended, and its parent has not read its status yet. Another start time means a reused pid.
        return now is not None and now[0] != "Z" and (self._birth is None or now[1] == self._birth[1])

    def pids(self) -> list[int]:
        """Return its id and those of its descendants."""
        return [self.pid, *holders.descendants(self.pid)]

    def last_output(self) -> dict[str, list[str]]:
        """Return the end of each stream: from a pipe without another reader, or from the file of a redirection."""
        found: dict[str, list[str]] = {}
        for name, path in self._files.items():
            raw = _left_in_pipe(getattr(self._process, name, None))
            if not raw and not (name == "stderr" and path == self._files["stdout"]):
                raw = _end_of_file(path)
            lines = [line.rstrip() for line in raw.decode(errors="replace").splitlines() if line.strip()]
            if lines:
                found[name] = lines[-_LINES:]
        return found

    def may_have_left(self, pid: int | None) -> bool:
        """Whether it ended with status 0 and the other process started after it. No table reports more about a daemon."""
        if pid is None or self.ended() not in ("exited with status 0", "has ended"):
            return False
        birth = proc.birth(pid)
        begin = self._birth or proc.birth(os.getpid())
        return birth is not None and begin is not None and birth[1] >= begin[1]

    def error(self) -> BaseException | None:
        """Return None: a process has a status instead."""
        return None

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class WatchedServer:
    """A `ServerProcess`."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.title = f"server {server}"

    def ended(self) -> str | None:
        """Return how the server ended; a daemon that it started counts as running."""
        return None if self._server.is_running else str(self._server.ending)

    def pids(self) -> list[int]:
        """Return the processes of its whole tree."""
        return list(self._server.tree())

    def last_output(self) -> dict[str, list[str]]:
        """Return both streams as one."""
        lines = self._server.last_output()
        return {"output": lines[-_LINES:]} if lines else {}

    def may_have_left(self, pid: int | None) -> bool:  # noqa: ARG002
        """Return False: its tree includes its daemons."""
        return False

    def error(self) -> BaseException | None:
        """Return None: a process has a status instead."""
        return None

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class WatchedThread:
    """A thread of this process. While watched, its exceptions also arrive here, through `threading.excepthook`."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread
        self.title = f"thread {thread.name!r}"
        self._error: BaseException | None = None
        self._before = threading.excepthook
        threading.excepthook = self._hook

    def _hook(self, args: threading.ExceptHookArgs, /) -> None:
        if args.thread is self._thread:
            self._error = args.exc_value
        self._before(args)

    def ended(self) -> str | None:
        """Return how the thread ended; a thread that has not started counts as running."""
        if self._thread.is_alive() or self._thread.ident is None:
            return None
        if self._error is None:
            return "ended"
        return f"ended with {traceback.format_exception_only(self._error)[-1].strip()}"

    def pids(self) -> list[int]:
        """Return this process: a thread has no descriptors of its own."""
        return [os.getpid()]

    def last_output(self) -> dict[str, list[str]]:
        """Return nothing: the thread's output is this process's."""
        return {}

    def may_have_left(self, pid: int | None) -> bool:  # noqa: ARG002
        """Return False: the thread's sockets belong to this process."""
        return False

    def error(self) -> BaseException | None:
        """Return the exception that ended the thread, SystemExit included."""
        return self._error

    def close(self) -> None:
        """Restore the hook, unless other code has replaced it meanwhile."""
        if threading.excepthook == self._hook:
            threading.excepthook = self._before


def output_lines(found: dict[str, list[str]]) -> Iterator[str]:
    """Yield the lines for a message."""
    for name, lines in found.items():
        yield f"the end of its {name}:"
        yield from (f"  {line}" for line in lines)


def ending(status: int | None) -> str:
    """Return `exited with status 1` or `was killed by SIGKILL`."""
    if status is None:
        return "has ended"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _status_of_zombie(pid: int) -> int | None:
    """Return the exit status of a child, and leave it for its parent's own wait (WNOWAIT)."""
    if sys.platform == "win32" or not hasattr(os, "waitid"):  # not on macOS before 3.13
        return None
    try:
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except OSError:
        return None
    if info is None:
        return None
    status: int = info.si_status
    return status if info.si_code == os.CLD_EXITED else -status


def _redirected_to(pid: int, fd: int) -> str | None:
    if not proc.AVAILABLE:
        return None
    try:
        target = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115
        # While pytest captures, this process's own streams are files too. They hold no output of the server.
        mine = [os.readlink(f"/proc/self/fd/{own}") for own in (1, 2)]  # noqa: PTH115
    except OSError:
        return None
    return target if target.startswith("/") and target not in mine and os.path.isfile(target) else None  # noqa: PTH113


def _left_in_pipe(stream: Any) -> bytes:
    """Return the content of the pipe now. A grandchild may keep it open, so never wait for its end."""
    if sys.platform == "win32":
        return b""
    try:
        fd = stream.fileno()
        blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)
    except (AttributeError, OSError, ValueError):
        return b""
    found = b""
    try:
        while len(found) < 16 * _BYTES and (piece := os.read(fd, _BYTES)):
            found += piece
    except OSError:
        pass
    finally:
        os.set_blocking(fd, blocking)
    return found[-_BYTES:]


def _end_of_file(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES))
            return file.read()
    except OSError:
        return b""
