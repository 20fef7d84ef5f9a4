"""The owner's side of the keeper: start, inspect, signal and end a server's process tree."""

from __future__ import annotations

import atexit
import errno
import os
import socket
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import own_processes
from pytest_sockets.errors import ServerFault
from pytest_sockets.originals import original
from pytest_sockets.processes.keeper import packed, unpacked
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.table import holders
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from pytest_sockets.processes.command import Launch
    from pytest_sockets.processes.shared import SharedPlace

ANSWER: Final = 10.0
"""Seconds within which a keeper must answer, even on a busy machine."""
_LOOK_EVERY: Final = 0.005
_KILLING: Final = 4.0
AVAILABLE: Final = hasattr(os, "fork") and hasattr(socket, "AF_UNIX") and hasattr(os, "posix_spawn")


class _Launcher:
    """The launcher of this process. It starts with the first server and ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: RealSocket | None = None
        self._process: Any = None

    def fork_keeper(self, *fds: int) -> None:
        """Make the launcher fork a keeper with these descriptors."""
        with self._lock:
            for attempt in (1, 2):
                requests = self._requests or self._start()
                try:
                    socket.send_fds(requests, [b"k"], list(fds))
                except OSError as error:
                    self._forget()  # It was killed. Start another one, once.
                    if attempt == 2 or error.errno not in (errno.EPIPE, errno.ECONNRESET):
                        raise
                else:
                    return

    def _start(self) -> RealSocket:
        ours, theirs = connected_pair()
        script = str(Path(__file__).with_name("keeper.py"))
        words = [sys.executable, "-I", "-S", script, str(theirs.fileno()), str(os.getpid())]
        with own_processes.starting():
            null = os.open(os.devnull, os.O_RDWR)
            try:
                self._process = original("subprocess", "Popen")(
                    words,
                    stdin=null,
                    stdout=null,
                    stderr=null,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at the terminal is for pytest alone
                )
            finally:
                os.close(null)
                theirs.close()
            own_processes.pids.add(self._process.pid)
            atexit.register(self.close)
        self._requests = ours
        return ours

    def _forget(self) -> None:
        atexit.unregister(self.close)
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.poll()
            own_processes.pids.discard(self._process.pid)
        self._requests = self._process = None

    def close(self) -> None:
        """End the launcher. The next server starts another one."""
        with self._lock:
            process = self._process
            if self._requests is not None:
                self._requests.close()
                self._requests = None
            if process is not None:
                process.wait()
            self._forget()

    def after_fork(self) -> None:
        """Forget the launcher in a forked child: it belongs to the parent."""
        self._lock = threading.Lock()
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.returncode = 0  # or Popen would wait for a process that is not its child
        self._requests = self._process = None
        own_processes.pids.clear()


launcher: Final = _Launcher()


def connected_pair() -> tuple[RealSocket, RealSocket]:
    """Return two connected unix sockets that leak detection ignores."""
    import _socket

    first, second = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return (
        RealSocket(first.family, first.type, first.proto, first.detach()),
        RealSocket(second.family, second.type, second.proto, second.detach()),
    )


class KeptTree:
    """A running server and all processes that it starts. Thread-safe."""

    def __init__(
        self,
        launch: Launch,
        output: int,
        *,
        watch: tuple[int, ...] = (),
        shared: tuple[RealSocket, SharedPlace] | None = None,
    ) -> None:
        """Start the server. `output` is the descriptor for stdout and stderr. Raises `OSError` if the system refuses."""
        self._lock = threading.RLock()
        self._buffer = bytearray()
        self._started: tuple[int, int] | None = None
        self._ended: tuple[list[int], bool] | None = None
        self._failed: int | None = None
        self._acknowledged = 0
        self.pid: int
        self.keeper: int
        self._finalizer: Any
        self.returncode: int | None = None
        ours, theirs = connected_pair()
        self._control = ours
        try:
            extra = (shared[0].fileno(),) if shared is not None else ()
            launcher.fork_keeper(theirs.fileno(), output, *extra)
            theirs.close()
            request = {
                "program": launch.program,
                "argv": launch.argv,
                "env": launch.env,
                "cwd": launch.cwd,
                "stop_signal": int(launch.stop_signal),
                "stop_timeout": launch.stop_timeout,
                "watch": list(watch),
                "exit_file": str(shared[1].exit) if shared is not None else None,
                "directory": str(shared[1].record.parent) if shared is not None else None,
            }
            ours.sendall(packed(request))
            ours.setblocking(False)
            if not wait_until(self._has_started, ANSWER, longest=_LOOK_EVERY):
                raise ServerFault(f"the keeper of `{launch.title}` does not answer; start it again")
        except BaseException:
            ours.close()
            theirs.close()
            raise
        if self._failed is not None:
            ours.close()
            raise OSError(self._failed, os.strerror(self._failed))
        assert self._started is not None
        self.pid, self.keeper = self._started
        _alive.add(self)
        self._finalizer = weakref.finalize(self, ours.close)

    def _has_started(self) -> bool:
        self._read()
        return self._started is not None or self._failed is not None

    def _read(self) -> None:
        """Process the messages that the keeper has sent so far."""
        with self._lock:
            while True:
                try:
                    piece = self._control.recv(65536)
                except BlockingIOError:
                    break
                except OSError:
                    piece = b""
                if not piece:
                    if self._started is None:
                        self._failed = self._failed or errno.ECHILD
                    self._ended = self._ended or ([], False)  # the keeper itself has ended
                    break
                self._buffer += piece
            for event, *values in unpacked(self._buffer):
                if event == "started":
                    self._started = (values[0], values[1])
                elif event == "failed":
                    self._failed = values[0]
                elif event == "exited":
                    self.returncode = values[0]
                elif event == "ended":
                    self._ended = (values[0], values[1])
                else:
                    self._acknowledged += 1

    @property
    def is_mine(self) -> bool:
        """Whether this process owns the tree. False in a forked child."""
        return self._control.fileno() >= 0

    def poll(self) -> int | None:
        """Return the exit status of the started process, -N for signal N; None while it runs."""
        if self.returncode is None and self.is_mine and self._ended is None:
            self._read()
        return self.returncode

    def pids(self) -> list[int]:
        """Return the running processes of the tree, the started one first."""
        if self._ended is not None or not self.is_mine:
            return []
        first = [self.pid] if self.poll() is None else []
        found = holders.descendants(self.keeper) if sys.platform == "linux" else holders.descendants(self.pid)
        return [*first, *(pid for pid in found if pid != self.pid)]

    def signal(self, number: int, *, tree: bool = False) -> None:
        """Signal the started process, or every process of the tree."""
        self._ask("signal_tree" if tree else "signal", int(number))

    def share(self) -> None:
        """Transfer the server to the whole run, so that it outlives this process."""
        self._ask("share")

    def _ask(self, command: str, *arguments: object) -> None:
        with self._lock:
            if self._ended is not None or not self.is_mine:
                return
            before = self._acknowledged
            self._send(command, *arguments)
            wait_until(lambda: self._is_done(before), ANSWER, longest=_LOOK_EVERY)

    def _is_done(self, before: int) -> bool:
        self._read()
        return self._acknowledged > before or self._ended is not None

    def _send(self, command: str, *arguments: object) -> None:
        try:
            self._control.sendall(packed((command, *arguments)))
        except OSError:
            self._read()

    def stop(self, number: int, timeout: float) -> tuple[list[int], bool]:
        """End the tree by signal `number`, and kill what is left after `timeout` seconds.

        Return the processes that could not be ended, and whether any had to be killed.
        """
        with self._lock:
            if self.is_mine and self._ended is None:
                self._send("stop", int(number), float(timeout))
                wait_until(self._has_ended, timeout + _KILLING + ANSWER, longest=_LOOK_EVERY)
            ended = self._ended or (self.pids(), False)
            self.release()
            return ended

    def _has_ended(self) -> bool:
        self._read()
        return self._ended is not None

    def release(self) -> None:
        """Close the connection. The keeper ends what is left, unless the server is shared."""
        self._finalizer()


_alive: weakref.WeakSet[KeptTree] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """Close the child's copies of the connections, which would keep servers running after their owner's death."""
    launcher.after_fork()
    for tree in tuple(_alive):
        tree._lock = threading.RLock()  # another thread may have held it
        tree.release()


if AVAILABLE:
    os.register_at_fork(after_in_child=_after_fork_in_child)
