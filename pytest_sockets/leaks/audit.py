"""The process-global audit hook: one, installed on first use, never removable (PEP 578), gated by its listeners.

The interpreter calls it for every audited event of the process, in whatever thread, so a hook that nobody listens to
costs one dictionary look-up (0.15 us), and an exception in it would abort the user's call: everything is swallowed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from types import FrameType


class Listener(Protocol):
    """Who is told. Called in the thread that opens the socket, while the socket has no descriptor yet."""

    def socket_created(self, sock: Any, family: int, kind: int, frame: FrameType) -> None:
        """`socket.socket(...)` of any kind, accept() and socketpair() too; `frame` is its caller."""

    def socket_used(self, sock: Any, address: Any) -> None:
        """bind() or connect() with this address is about to run: by now the socket has its descriptor."""

    def child_started(self, frame: FrameType, words: Any) -> None:
        """A child process is about to be started with this command line, if there is one; no event carries its pid."""


_listeners: tuple[Listener, ...] = ()
_installed = False
_CREATED: Final = 1
_USED: Final = 2
_CHILD: Final = 3
_OPEN: Final = 4
_EVENTS: Final = {
    "socket.__new__": _CREATED,
    "socket.bind": _USED,
    "socket.connect": _USED,
    "subprocess.Popen": _CHILD,
    "os.fork": _CHILD,
    "os.forkpty": _CHILD,
    "os.posix_spawn": _CHILD,
    "open": _OPEN,
}


_WITH_COMMAND: Final = ("subprocess.Popen", "os.posix_spawn")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    what = _EVENTS.get(event)
    if what is None or not _listeners:
        return
    try:
        if what == _CREATED:
            frame = sys._getframe(1)
            for listener in _listeners:
                listener.socket_created(args[0], args[1], args[2], frame)
        elif what == _USED:
            for listener in _listeners:
                listener.socket_used(args[0], args[1])
        elif what == _CHILD or (type(args[0]) is int and _is_spawning(sys._getframe(1))):
            for listener in _listeners:
                listener.child_started(sys._getframe(1), args[1] if event in _WITH_COMMAND else ())
    except BaseException:  # noqa: BLE001, S110  (also a KeyboardInterrupt that lands here must not abort the socket's creation)
        pass


def _is_spawning(frame: FrameType) -> bool:
    """multiprocessing's "spawn" and "forkserver" fire no event, but they open the pipe to the new child by number."""
    return frame.f_code.co_name == "_launch" and "multiprocessing" in frame.f_code.co_filename


def listen(listener: Listener) -> None:
    """Tell `listener` from now on. Nested runs (pytester) listen beside the outer one."""
    global _listeners, _installed
    _listeners = (*_listeners, listener)
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True


def stop_listening(listener: Listener) -> None:
    """Tell `listener` no more; the hook stays in the interpreter and does nothing."""
    global _listeners
    _listeners = tuple(other for other in _listeners if other is not listener)
