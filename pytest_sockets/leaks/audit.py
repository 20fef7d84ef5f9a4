"""The process-global audit hook: one, installed on first use, never removable (PEP 578), gated by its listeners.

The interpreter calls it for every audited event of the process, in whatever thread, so a hook that nobody listens to
costs one dictionary look-up (0.15 us), and an exception in it would abort the user's call: everything is swallowed.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import FrameType
    from typing import Protocol

    class Listener(Protocol):
        """Who is told. Called in the thread that opens the socket, while the socket has no descriptor yet."""

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
    what = _EVENTS[event]
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
    except BaseException:  # noqa: BLE001, S110  (also a KeyboardInterrupt that lands here must not abort the socket's creation)
        pass


def _is_spawning(frame: FrameType) -> bool:
    """multiprocessing's "spawn" and "forkserver" fire no event, but they open the pipe to the new child by number."""
    return frame.f_code.co_name == "_launch" and "multiprocessing" in frame.f_code.co_filename


def _tell_of_thread(function: Any, frame: FrameType) -> None:
    """`function` is what the new thread calls first; that of a `threading.Thread` is a method of it."""
    thread = getattr(function, "__self__", None)
    if isinstance(thread, threading.Thread):
        for listener in _thread_listeners:
            listener.thread_started(thread, frame)


class _ThreadStart:
    """Before 3.12: stands in for the function that `Thread.start()` calls, and only while somebody listens.

    `Thread.start` itself stays as it is: suites replace it, and debuggers do.
    """

    def __init__(self) -> None:
        self._real: Any = None

    def __call__(self, function: Any, *args: Any) -> Any:
        try:
            _tell_of_thread(function, sys._getframe(1))
        except BaseException:  # noqa: BLE001, S110  (our own trouble must not abort the thread's start)
            pass
        return self._real(function, *args)

    def put(self) -> None:
        """Stand in, once: whoever has wrapped the stand-in would else be called by what it calls."""
        if self._real is None:
            self._real = threading._start_new_thread  # type: ignore[attr-defined]
            threading._start_new_thread = self  # type: ignore[attr-defined]

    def take_away(self) -> None:
        """Put back what was there, unless somebody (gevent) has replaced or wrapped the stand-in."""
        if threading._start_new_thread is self:  # type: ignore[attr-defined]
            threading._start_new_thread, self._real = self._real, None  # type: ignore[attr-defined]


_thread_start: Final = _ThreadStart()


def listen(listener: Listener) -> None:
    """Tell `listener` from now on. Nested runs (pytester) listen beside the outer one."""
    global _installed
    _tell((*_listeners, listener))
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True


def stop_listening(listener: Listener) -> None:
    """Tell `listener` no more; the hook stays in the interpreter and does nothing."""
    _tell(tuple(other for other in _listeners if other is not listener))


def _tell(listeners: tuple[Any, ...]) -> None:
    global _listeners, _thread_listeners
    _listeners = listeners
    _thread_listeners = tuple(listener for listener in listeners if hasattr(listener, "thread_started"))
    if _UNTOLD:
        _thread_start.put() if _thread_listeners else _thread_start.take_away()
