"""When is a socket opened, a thread or a child process started? Every listener hears of it in the thread that does it.

The watched functions are few: the constructor of the standard library's socket class, and those of gevent and eventlet,
`detach()`, `Thread.start()`, `Popen.__init__()` and multiprocessing's `start()`. `code_events` reports their calls and costs
nothing elsewhere. Forks are reported by `os.register_at_fork`. What only C code opens has no event: `untracked` finds it.
"""

from __future__ import annotations

import _socket
import functools
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.code_events import CodeEvents
from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Listener:
    """Receives events until `stop_listening`. Each method may be called in any thread."""

    __slots__ = ()

    def socket_opened(self, sock: Any, frame: FrameType, given: bool) -> None:
        """`sock` has its descriptor; `frame` is that of its constructor, which is about to return.

        `given`: the descriptor was an argument of the constructor.
        """

    def socket_detached(self, sock: Any, fd: int) -> None:
        """`sock.detach()` is about to return `fd`, which stays open."""

    def thread_starting(self, thread: threading.Thread, frame: FrameType) -> None:
        """The calling thread starts `thread`; `frame` is that of `Thread.start()`."""

    def child_starting(self, starter: Any, frame: FrameType, command: Any) -> None:
        """A child process is about to be started.

        `starter` is the Popen object, which will know its pid, and `command` its command line. They are None and () for
        a fork and for multiprocessing.
        """

    def failed(self, event: str, error: BaseException) -> None:
        """Another method of this listener has raised `error`."""


_listeners: tuple[Listener, ...] = ()
_SOCKET: Final[Any] = RealSocket.__base__
"""The interpreter's own class, even if a test has replaced `socket.socket`."""


def _tells(event: str) -> Callable[[Callable[..., tuple[Any, ...]]], Callable[..., None]]:
    """Call this method of each listener with the arguments that the decorated function returns."""

    def decorate(arguments: Callable[..., tuple[Any, ...]]) -> Callable[..., None]:
        def tell(*happened: Any) -> None:
            __tracebackhide__ = True
            try:
                told = arguments(*happened)
            except BaseException as error:  # noqa: BLE001
                _pass_on(error, event, *_listeners)
                return
            for listener in _listeners:
                try:
                    getattr(listener, event)(*told)
                except BaseException as error:  # noqa: BLE001
                    _pass_on(error, event, listener)

        return tell

    return decorate


def _pass_on(error: BaseException, event: str, *listeners: Listener) -> None:
    """Raise what came from outside, for the user. Pass an error of this plugin to the listener that raised it."""
    __tracebackhide__ = True
    try:
        if comes_from_outside(error):
            raise without_own_frames(error)
        for listener in listeners:
            listener.failed(event.replace("_", " "), error)
    finally:
        del error  # its traceback has this frame: the cycle would keep the user's sockets open


def _socket_opened(frame: FrameType, _: Any) -> None:
    # Written out: what `_tells` adds is a tenth of the cost of a socket.
    __tracebackhide__ = True
    try:
        known = frame.f_locals
        sock, given = known["self"], known.get("fileno") is not None
        if type(sock) is not _SOCKET:
            if not issubclass(type(sock), _socket.socket):
                sock = sock._sock  # gevent's object has one
            if issubclass(type(sock), RealSocket):
                return
    except BaseException as error:  # noqa: BLE001
        _pass_on(error, "socket_opened", *_listeners)
        return
    for listener in _listeners:
        try:
            listener.socket_opened(sock, frame, given)
        except BaseException as error:  # noqa: BLE001
            _pass_on(error, "socket_opened", listener)


@_tells("socket_detached")
def _socket_detached(frame: FrameType, fd: Any) -> tuple[Any, ...]:
    return frame.f_locals["self"], fd


@_tells("thread_starting")
def _thread_starting(frame: FrameType) -> tuple[Any, ...]:
    return frame.f_locals["self"], frame


@_tells("child_starting")
def _popen_starting(frame: FrameType) -> tuple[Any, ...]:
    known = frame.f_locals
    return known["self"], frame, known["args"]


@_tells("child_starting")
def _process_starting(frame: FrameType) -> tuple[Any, ...]:
    return None, frame, ()


_LATER: Final[Any] = (
    ("gevent._socket3", "socket", "__init__", "returned", _socket_opened),
    ("multiprocessing.process", "BaseProcess", "start", "started", _process_starting),
)
"""Functions of modules that a suite often imports after the run has begun."""


class _Watcher:
    """Watches the functions as long as there is a listener."""

    def __init__(self) -> None:
        self._events = CodeEvents()
        self._modules = 0

    def start(self) -> None:
        """Watch the functions of the modules that are imported so far. A second call does nothing."""
        if self._events.active:
            return
        _watch_forks()
        self._events.start()
        self._events.watch(_SOCKET.__init__, returned=_socket_opened)
        self._events.watch(_SOCKET.detach, returned=_socket_detached)
        self._events.watch(threading.Thread.start, started=_thread_starting)
        self._events.watch(subprocess.Popen.__init__, started=_popen_starting)
        self.look_again()

    def look_again(self) -> None:
        """Watch modules that were imported since the last call. Costs next to nothing if there are none."""
        if not self._events.active or len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for module, owner, name, when, handle in _LATER:
            if module in sys.modules:
                function = getattr(getattr(sys.modules[module], owner, None), name, None)
                self._events.watch(function, **{when: handle})
        for copy in _socket.socket.__subclasses__():  # eventlet imports the module `socket` a second time
            self._events.watch(vars(copy).get("__init__"), returned=_socket_opened)

    def stop(self) -> None:
        """Restore every function."""
        self._events.stop()
        self._modules = 0


_watcher: Final = _Watcher()
look_again: Final = _watcher.look_again


@functools.cache
def _watch_forks() -> None:
    """Report forks from now on. A fork hook cannot be removed, so all runs of this process share one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_about_to_fork)


def _about_to_fork() -> None:
    _process_starting(sys._getframe(1))


def listen(listener: Listener) -> None:
    """Report all events to `listener` from now on. Nested runs (pytester) listen beside the outer run."""
    global _listeners
    _listeners = (*_listeners, listener)
    _watcher.start()


def stop_listening(listener: Listener) -> None:
    """Report nothing more to `listener`. Without any listener, the watched functions are restored."""
    global _listeners
    _listeners = tuple(other for other in _listeners if other is not listener)
    if not _listeners:
        _watcher.stop()
