"""Whether the process that is to open a port still runs, and what it left behind if not."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.errors import QueryError, QueryTypeError
from pytest_sockets.table import proc

if TYPE_CHECKING:
    from collections.abc import Callable

_LINES: Final = 8
_BYTES: Final = 64 * 1024
_LARGEST_PID: Final = 2**31 - 1 if sys.platform != "win32" else 2**32 - 1


class Watched:
    """A Popen, an asyncio or psutil process, a multiprocessing one, or a pid. Raises `QueryTypeError` for anything else."""

    def __init__(self, process: Any) -> None:
        pid = (
            process
            if isinstance(process, int) and not isinstance(process, bool)
            else getattr(process, "pid", None)
        )
        if not isinstance(pid, int):
            raise QueryTypeError(f"{process!r} is no process; use a Popen, a psutil.Process or a pid")
        if not 0 < pid <= _LARGEST_PID:
            raise QueryError(f"{pid} is no process id; use a Popen, a psutil.Process or a pid")
        self.pid = pid
        self._process = process
        self._birth = proc.birth(pid) if proc.AVAILABLE else None
        self._stderr_file = _redirected_to(pid)

    def ended(self) -> str | None:
        """None while it runs; else how it ended: "exited with status 1", "was killed by SIGKILL"."""
        poll: Callable[[], int | None] | None = getattr(self._process, "poll", None)
        status = (
            poll() if poll else getattr(self._process, "returncode", getattr(self._process, "exitcode", None))
        )
        if isinstance(status, int):
            return _ending(status)
        return None if self._runs() else _ending(_status_of_zombie(self.pid))

    def _runs(self) -> bool:
        if not proc.AVAILABLE:
            from pytest_sockets.table import processes

            return processes.is_running(self.pid)
        now = proc.birth(self.pid)
        # Z: it ended and nobody asked for its status yet. Another start time: the pid was reused.
        return now is not None and now[0] != "Z" and (self._birth is None or now[1] == self._birth[1])

    def last_stderr(self) -> list[str]:
        """The last lines of stderr, as far as they can be had: from a pipe nobody reads, or a file it was redirected to."""
        raw = _left_in_pipe(getattr(self._process, "stderr", None)) or _end_of_file(self._stderr_file)
        return [line.rstrip() for line in raw.decode(errors="replace").splitlines() if line.strip()][-_LINES:]


def _ending(status: int | None) -> str:
    if status is None:
        return "has ended"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _status_of_zombie(pid: int) -> int | None:
    """The exit status of a child of ours, without taking it away from whoever will ask (WNOWAIT)."""
    if not hasattr(os, "waitid"):
        return None
    try:
        told = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except OSError:
        return None
    if told is None:
        return None
    return told.si_status if told.si_code == os.CLD_EXITED else -told.si_status


def _redirected_to(pid: int) -> str | None:
    if not proc.AVAILABLE:
        return None
    path = f"/proc/{pid}/fd/2"
    try:
        target = os.readlink(path)  # noqa: PTH115
        # Our own stderr is a file too, while pytest captures: what it holds is not the server's.
        mine = os.readlink("/proc/self/fd/2")  # noqa: PTH115
    except OSError:
        return None
    return target if target.startswith("/") and target != mine and os.path.isfile(target) else None  # noqa: PTH113


def _left_in_pipe(stream: Any) -> bytes:
    """What the pipe holds now; a grandchild may keep it open, so never wait for its end."""
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
