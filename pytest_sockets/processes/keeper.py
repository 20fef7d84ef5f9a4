"""The keeper: a small process that starts one server, is the parent of its whole process tree, and ends that tree.

This file runs as a script, without site-packages, so it imports only the standard library. One *launcher* runs for each
process that starts servers. It forks a keeper for each server. A fork takes a millisecond, a new interpreter takes 30.

A keeper is a child subreaper (prctl(2)): a daemon that leaves its parent becomes a child of the keeper, not of init. The
keeper's descendants are therefore exactly the processes that the server started. The keeper ends them on request, and when
the process that owns the server has ended. It watches that process by a pidfd and by their connection.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, Final

ORPHAN_GRACE: Final = 0.3
"""Seconds for a server to shut down after its owner has ended: enough to remove its files, within one second in all."""
_KILLING: Final = 3.0
_LOOK_EVERY: Final = 0.02
_NO_PIDFD_EVERY: Final = 0.2
_PR_SET_CHILD_SUBREAPER: Final = 36
_LENGTH: Final = struct.Struct("!I")
_TO_DEFAULT: Final = (
    "SIGINT",
    "SIGQUIT",
    "SIGTERM",
    "SIGHUP",
    "SIGPIPE",
    "SIGXFSZ",
    "SIGUSR1",
    "SIGUSR2",
    "SIGCHLD",
)


def packed(message: Any) -> bytes:
    """Return a message between owner and keeper: its length and JSON, in which tuples become lists."""
    body = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def unpacked(buffer: bytearray) -> list[Any]:
    """Remove the complete messages from the front of the buffer, and return them."""
    found = []
    while len(buffer) >= _LENGTH.size:
        (size,) = _LENGTH.unpack_from(buffer)
        end = _LENGTH.size + size
        if len(buffer) < end:
            break
        found.append(json.loads(buffer[_LENGTH.size : end]))
        del buffer[:end]
    return found


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, from /proc; empty on systems without it."""
    found: dict[int, None] = {}
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    except FileNotFoundError:
        return _children_by_parent(pid) if os.path.exists(f"/proc/{pid}/stat") else found  # noqa: PTH110
    except OSError:
        pass
    return found


def _children_by_parent(pid: int) -> list[int]:
    """Return the children on a kernel without CONFIG_PROC_CHILDREN, or if a thread ended while its list was read."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            fields = _stat(int(name))
            if fields and int(fields[1]) == pid:
                found.append(int(name))
    return found


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat after the name: state, parent ..."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (
        ProcessLookupError,
        PermissionError,
    ):  # It has ended or belongs to another user: `ended` names what is left.
        pass


def _signal_group(group: int, number: int) -> None:
    """Signal the server's process group, on systems where descendants cannot be found (macOS)."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _watch(pid: int) -> int | None:
    """Return a descriptor that is readable once the process has ended; None on systems without pidfds."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Keeper:
    """Runs in the forked process until its server's whole tree has ended."""

    def __init__(self, owner: int, fds: list[int]) -> None:
        self.control = socket.socket(fileno=fds[0])
        self.output = fds[1]
        self.listener = socket.socket(fileno=fds[2]) if len(fds) > 2 else None
        self.connections = {self.control.fileno(): (self.control, bytearray())}
        self.owners = [owner]
        self.main: int | None = None
        self.group: int | None = None
        self.asked: set[int] = set()
        self.stop_signal: int = signal.SIGTERM
        self.deadline: float | None = None
        self.forced = False
        self.shared = self.is_orphan = False
        self.stop_timeout = 0.0
        self.directory: str | None = None
        """The run's directory if the server is shared. Removed once its owner has ended."""
        self.exit_file: str | None = None

    def run(self) -> None:
        """Start the server, then serve commands until its whole tree has ended."""
        _become_subreaper()
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.orphaned())
        request = self._request()
        if request is None or not self._start(request):
            return
        self._serve(wake)

    def _request(self) -> dict[str, Any] | None:
        buffer = bytearray()
        while True:
            piece = self.control.recv(65536)
            if not piece:
                return None
            buffer += piece
            for message in unpacked(buffer):
                return dict(message)

    def _start(self, request: dict[str, Any]) -> bool:
        self.stop_signal = request["stop_signal"]
        self.owners += request["watch"]
        self.exit_file = request["exit_file"]
        self.stop_timeout = request["stop_timeout"]
        self.directory = request["directory"]
        try:
            os.chdir(request["cwd"])
            self.main = self.group = _spawn(request, self.output)
        except OSError as error:
            self.tell(("failed", error.errno or errno.EIO))
            return False
        os.chdir("/")
        os.close(self.output)
        self.tell(("started", self.main, os.getpid()))
        return True

    def _serve(self, wake: int) -> None:
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        if self.listener is not None:
            poll.register(self.listener, select.POLLIN)
        watched = {fd: pid for pid in self.owners if (fd := _watch(pid)) is not None}
        for fd in watched:
            poll.register(fd, select.POLLIN)
        unwatched = [pid for pid in self.owners if pid not in watched.values()]
        while True:
            left = self._reap()
            if not left and (self.deadline is not None or self._is_unobserved()):
                self._finish([])
                return
            if self.deadline is not None and self._end_tree():
                return
            timeout = _LOOK_EVERY if self.deadline is not None else _NO_PIDFD_EVERY if unwatched else None
            for fd, _ in poll.poll(None if timeout is None else timeout * 1000):
                if fd == wake:
                    _drain(wake)
                elif fd in watched:
                    poll.unregister(fd)
                    self._owner_gone(watched[fd])
                elif self.listener is not None and fd == self.listener.fileno():
                    connection, _ = self.listener.accept()
                    self.connections[connection.fileno()] = (connection, bytearray())
                    poll.register(connection, select.POLLIN)
                elif not self._hear(fd):
                    poll.unregister(fd)
                    self.connections.pop(fd)[0].close()
            for pid in tuple(unwatched):
                if _is_gone(pid):
                    unwatched.remove(pid)
                    self._owner_gone(pid)

    def _is_unobserved(self) -> bool:
        """Whether the tree has ended, and no connection is open on which that could be reported."""
        return not self.connections and not self.shared

    def _owner_gone(self, pid: int) -> None:
        # A shared server outlives the worker that started it, but not the run.
        if not (self.shared and pid == self.owners[0]):
            self.orphaned()

    def _hear(self, fd: int) -> bool:
        connection, buffer = self.connections[fd]
        try:
            piece = connection.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            if connection is self.control and not self.shared:
                self.orphaned()
            return False
        buffer += piece
        for command, *arguments in unpacked(buffer):
            getattr(self, f"do_{command}")(*arguments)
        return True

    # Commands of an owner

    def do_signal(self, number: int) -> None:
        """Send a signal to the process that was started."""
        if self.main is not None:
            _send_signal(self.main, number)
        self.tell(("done",))

    def do_signal_tree(self, number: int) -> None:
        """Send a signal to every process of the tree, including those that start meanwhile."""
        sent: set[int] = set()
        while new := set(self.tree()) - sent:
            for pid in new:
                _send_signal(pid, number)
            sent |= new
        self.tell(("done",))

    def do_share(self) -> None:
        """Transfer the server from the worker that started it to the run."""
        self.shared = True
        self.tell(("done",))

    def do_stop(self, number: int, timeout: float) -> None:
        """End the tree: send the signal, then kill what is left after `timeout` seconds. 0 kills at once."""
        self.stop_signal = number
        self.deadline = time.monotonic() + timeout
        self.asked.clear()

    def do_finish(self) -> None:
        """End the tree with the server's own stop settings, at the end of the run."""
        self.do_stop(self.stop_signal, self.stop_timeout)

    def orphaned(self) -> None:
        """End the tree because its owner has ended."""
        self.is_orphan = self.shared
        if self.deadline is None or self.deadline > time.monotonic() + ORPHAN_GRACE:
            self.deadline = time.monotonic() + ORPHAN_GRACE

    # The tree

    def tree(self) -> list[int]:
        """Return every process below this one; without /proc, only the started one."""
        if sys.platform == "linux":
            return descendants(os.getpid())
        return [self.main] if self.main is not None else []

    def _reap(self) -> bool:
        """Reap the children that have ended. Return whether a child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.main = None
                code = os.waitstatus_to_exitcode(status)
                if self.exit_file is not None:
                    with open(self.exit_file, "w") as file:  # noqa: PTH123
                        file.write(str(code))
                self.tell(("exited", code))

    def _end_tree(self) -> bool:
        """Signal or kill, whichever is due. Return whether the keeper gave up."""
        assert self.deadline is not None
        past = time.monotonic() - self.deadline
        if past < 0:
            self._ask()
            return False
        if past > _KILLING:
            self._finish(self.tree())
            return True
        self.forced = True
        self._signal_everything(signal.SIGKILL)
        return False

    def _ask(self) -> None:
        """Signal the started process. Once it has ended, signal each process that it left, only once.

        A server ends its children itself. PostgreSQL and nginx treat a signal from elsewhere to a child as a crash.
        """
        roots = [self.main] if self.main is not None else _children(os.getpid())
        new = [pid for pid in roots if pid not in self.asked]
        for pid in new:
            self.asked.add(pid)
            _send_signal(pid, self.stop_signal)
        if new:
            self._signal_everything(signal.SIGCONT)  # a stopped process handles a signal only after SIGCONT

    def _signal_everything(self, number: int) -> None:
        for pid in self.tree():
            _send_signal(pid, number)
        if sys.platform != "linux" and self.group is not None:
            _signal_group(self.group, number)

    def _finish(self, left: list[int]) -> None:
        if sys.platform != "linux" and self.group is not None:
            _signal_group(self.group, signal.SIGKILL)
        self.tell(("ended", left, self.forced))
        if self.directory is not None and self.is_orphan:
            import shutil

            shutil.rmtree(self.directory, ignore_errors=True)

    def tell(self, event: tuple[Any, ...]) -> None:
        """Send an event on every connection."""
        for connection, _ in tuple(self.connections.values()):
            try:
                connection.sendall(packed(event))
            except OSError:
                pass


def _spawn(request: dict[str, Any], output: int) -> int:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    # Ignored signals are inherited: under nohup, the server could otherwise not be stopped by a signal.
    settings: dict[str, Any] = {
        "file_actions": actions,
        "setsigmask": [],
        "setsigdef": [getattr(signal, name) for name in _TO_DEFAULT],
    }
    words = request["program"], request["argv"], request["env"]
    try:
        return os.posix_spawn(*words, setsid=True, **settings)
    except NotImplementedError:
        return os.posix_spawn(*words, setpgroup=0, **settings)


def _become_subreaper() -> None:
    if sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def launch(fd: int, owner: int) -> None:
    """Fork a keeper for each request, until the owner closes the connection."""
    if sys.platform == "linux":
        try:
            import ctypes  # noqa: F401  (once, before the forks)
        except ImportError:
            pass
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers leave no zombie
    requests = socket.socket(fileno=fd)
    while True:
        message, fds, _, _ = socket.recv_fds(requests, 1, 3)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            for received in fds:
                os.set_inheritable(received, False)
            Keeper(owner, fds).run()
            os._exit(0)
        for received in fds:
            os.close(received)


if __name__ == "__main__":
    launch(int(sys.argv[1]), int(sys.argv[2]))
