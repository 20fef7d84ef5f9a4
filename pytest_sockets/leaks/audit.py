"""The process-global audit hook: one, never removable (PEP 578), gated by its listeners.

The interpreter calls it for every audited event of the process, in whatever thread, so a hook that nobody listens to
costs one dictionary look-up (0.15 us). An exception in it aborts the user's call: an error of this plugin is recorded
instead, and only what came from outside (a timeout, Ctrl-C) passes.
While tests are collected a doorbell stands in for it, where the interpreter has one.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Protocol

    class Listener(Protocol):
        """Called in the thread that opens the socket, while the socket has no descriptor yet.

        A listener with a method `failed(event, error)` receives its own errors.
        """

        def socket_created(self, sock: Any, family: int, kind: int, frame: FrameType) -> None:
            """`socket.socket(...)` of any kind, accept() and socketpair() too; `frame` is its caller."""

        def socket_used(self, sock: Any, address: Any) -> None:
            """bind() or connect() with this address is about to run: by now the socket has its descriptor."""

        def child_started(self, frame: FrameType, words: Any) -> None:
            """A child process is about to be started with this command line, if there is one; no event carries its pid."""

    class ThreadListener(Protocol):
        """A `Listener` that wants to know of threads, too."""

        def thread_started(self, thread: threading.Thread, frame: FrameType) -> None:
            """The calling thread is about to start `thread`; `frame` is that of `Thread.start()`."""


_listeners: tuple[Listener, ...] = ()
_thread_listeners: tuple[ThreadListener, ...] = ()
_installed = False
_installing: Final = threading.Lock()
_monitoring: Final[Any] = getattr(sys, "monitoring", None)
"""Of Python 3.12."""
_CREATED: Final = 1
_USED: Final = 2
_CHILD: Final = 3
_OPEN: Final = 4
_THREAD: Final = 5
_EVENTS: Final = {
    "socket.__new__": _CREATED,
    "socket.bind": _USED,
    "socket.connect": _USED,
    "subprocess.Popen": _CHILD,
    "os.fork": _CHILD,
    "os.forkpty": _CHILD,
    "os.posix_spawn": _CHILD,
    "open": _OPEN,
    "_thread.start_new_thread": _THREAD,  # from 3.12 on
    "_thread.start_joinable_thread": _THREAD,  # what Thread.start() fires from 3.13 on
}
_UNTOLD: Final = sys.version_info < (3, 12)
"""No event tells of a thread's start."""


_WITH_COMMAND: Final = ("subprocess.Popen", "os.posix_spawn")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _listeners:
        return
    __tracebackhide__ = True
    what = _EVENTS[event]
    listener: Any = None
    try:
        if what == _CREATED:
            frame = sys._getframe(1)
            for listener in _listeners:
                listener.socket_created(args[0], args[1], args[2], frame)
        elif what == _USED:
            for listener in _listeners:
                listener.socket_used(args[0], args[1])
        elif what == _THREAD:
            _tell_of_thread(args[0], sys._getframe(1))
        elif what == _CHILD or (type(args[0]) is int and _is_spawning(sys._getframe(1))):
            for listener in _listeners:
                listener.child_started(sys._getframe(1), args[1] if event in _WITH_COMMAND else ())
    except BaseException as error:  # noqa: BLE001
        _record(event, error, listener)


def _record(event: str, error: BaseException, listener: Any = None) -> None:
    """Report an error of this plugin to its listener, not to the user's call; raise what came from outside."""
    __tracebackhide__ = True
    if comes_from_outside(error):
        raise without_own_frames(error)
    failed = getattr(listener, "failed", None)
    if failed is not None:
        failed(event, error)


def _is_spawning(frame: FrameType) -> bool:
    """multiprocessing's "spawn" and "forkserver" fire no event, but they open the pipe to the new child by number."""
    return frame.f_code.co_name == "_launch" and "multiprocessing" in frame.f_code.co_filename


def _tell_of_thread(function: Any, frame: FrameType) -> None:
    """`function` is what the new thread calls first; that of a `threading.Thread` is a method of it."""
    thread = getattr(function, "__self__", None)
    if isinstance(thread, threading.Thread):
        for listener in _thread_listeners:
            try:
                listener.thread_started(thread, frame)
            except BaseException as error:  # noqa: BLE001
                _record("a thread's start", error, listener)


class _ThreadStart:
    """Before 3.12: stands in for the function that `Thread.start()` calls, and only while somebody listens.

    `Thread.start` itself stays as it is: suites replace it, and debuggers do.
    """

    def __init__(self) -> None:
        self._real: Any = None

    def __call__(self, function: Any, *args: Any) -> Any:
        _tell_of_thread(function, sys._getframe(1))
        return self._real(function, *args)

    def put(self) -> None:
        """Stand in, once. A second time, code that has wrapped the stand-in would be called by what it calls."""
        if self._real is None:
            self._real = threading._start_new_thread  # type: ignore[attr-defined]
            threading._start_new_thread = self  # type: ignore[attr-defined]

    def take_away(self) -> None:
        """Put back what was there, unless somebody (gevent) has replaced or wrapped the stand-in."""
        if threading._start_new_thread is self:  # type: ignore[attr-defined]
            threading._start_new_thread, self._real = self._real, None  # type: ignore[attr-defined]


_thread_start: Final = _ThreadStart()


class _Doorbell:
    """Installs the hook when the first socket, thread or child is about to be made, from Python 3.12 on.

    pytest looks into every function that it collects, which fires six events for a test, and more if it has fixtures: 16 k
    of the 63 k instructions that we cost an empty test. sys.monitoring tells of three functions alone and costs nothing
    elsewhere; the audit event that each of them fires comes later in the same call, and the hook is there by then. What no
    Python function makes (C code's sockets, os.posix_spawn) has no line if an import is the first to do it.
    """

    _TOOL: Final = 5
    """CPython sets it aside for optimizers, and none exists. Suites and other tools take 0 to 4."""

    def __init__(self) -> None:
        self._tool: int | None = None
        self._codes: tuple[CodeType, ...] = ()

    def put(self) -> bool:
        """False if it cannot be: an older interpreter, no number is free, gevent or C code is in the place of one."""
        if self._tool is not None:
            return True
        if _monitoring is None or "gevent" in sys.modules:
            return False
        makers = (RealSocket.__base__.__init__, threading.Thread.start, subprocess.Popen.__init__)  # type: ignore[misc]
        if _monitoring.get_tool(self._TOOL) is not None or not all(
            hasattr(maker, "__code__") for maker in makers
        ):
            return False
        self._tool = self._TOOL
        _monitoring.use_tool_id(self._tool, "pytest-sockets")
        _monitoring.register_callback(self._tool, _monitoring.events.PY_START, self._ring)
        self._codes = tuple(maker.__code__ for maker in makers)
        for code in self._codes:
            _monitoring.set_local_events(self._tool, code, _monitoring.events.PY_START)
        watch_forks()
        return True

    def take_away(self) -> None:
        """The hook is there, or nobody listens any more."""
        if self._tool is None:
            return
        for code in self._codes:
            _monitoring.set_local_events(self._tool, code, 0)
        _monitoring.register_callback(self._tool, _monitoring.events.PY_START, None)
        _monitoring.free_tool_id(self._tool)
        self._tool = None

    @staticmethod
    def _ring(code: CodeType, offset: int) -> object:  # noqa: ARG004  (sys.monitoring's)
        try:
            _install()
        except BaseException as error:  # noqa: BLE001
            _record("installing the audit hook", error)
        return _monitoring.DISABLE


_doorbell: Final = _Doorbell()


forks = 0
"""How often this process has forked, also by C code, since `watch_forks`."""


@functools.cache
def watch_forks() -> None:
    """Count forks from now on. A hook for them can never be removed either, so there is one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_about_to_fork)


def _about_to_fork() -> None:
    global forks
    forks += 1
    if _installed or not _listeners:
        return
    listener: Any = None
    try:  # os.fork() is no Python function, which could ring, and its event came before this
        _install()
        for listener in _listeners:
            listener.child_started(sys._getframe(1), ())
    except BaseException as error:  # noqa: BLE001
        _record("noting a fork", error, listener)


def _install() -> None:
    global _installed
    with _installing:
        if not _installed:
            _installed = True
            sys.addaudithook(_hook)


def listen(listener: Listener, *, from_the_first: bool = False) -> None:
    """Tell `listener` from now on. Nested runs (pytester) listen beside the outer one.

    `from_the_first`: the hook may wait until the first socket, thread or child is made, or until `hear_all`.
    """
    _tell((*_listeners, listener))
    if not (from_the_first and not _installed and _doorbell.put()):
        hear_all()


def hear_all() -> None:
    """Tests run now: C code, too, may open what no doorbell rings for."""
    _install()
    _doorbell.take_away()


def stop_listening(listener: Listener) -> None:
    """Tell `listener` no more; the hook stays in the interpreter and does nothing."""
    _tell(tuple(other for other in _listeners if other is not listener))
    if not _listeners:
        _doorbell.take_away()


def _tell(listeners: tuple[Any, ...]) -> None:
    global _listeners, _thread_listeners
    _listeners = listeners
    _thread_listeners = tuple(listener for listener in listeners if hasattr(listener, "thread_started"))
    if _UNTOLD:
        _thread_start.put() if _thread_listeners else _thread_start.take_away()
