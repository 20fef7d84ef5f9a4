"""Whose is a socket, thread or child? Decided when it is opened or started, by the scope, the thread and the listener."""

from __future__ import annotations

import _socket
import socket
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import identity, watcher
from pytest_sockets.leaks.call_site import capture
from pytest_sockets.leaks.owner import Scope
from pytest_sockets.leaks.records import Record, fileno

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import FrameType

    from pytest_sockets.leaks.records import Key
    from pytest_sockets.leaks.registry import Registry

_ACCEPT: Final = socket.socket.accept.__code__
_GIVE_NEW: Final = ("accept", "socketpair", "dup", "fromfd")
"""The functions of `socket` that make an object for a descriptor which no other object has."""
_family_of: Final[Any] = _socket.socket.family.__get__
_type_of: Final[Any] = _socket.socket.type.__get__


def watch(registry: Registry) -> Attribution:
    """Fill this registry from now on; `watcher.stop_listening` ends it."""
    attribution = Attribution(registry)
    watcher.listen(attribution)
    return attribution


class Attribution(watcher.Listener):
    """Makes a record of each event and hands it to the registry. Called in any thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._threads = registry.threads
        self._current = registry.current
        self.on_error: Callable[[str, BaseException], None] = lambda _what, _error: None
        """Called, in any thread, with an error of this plugin's own."""

    def socket_opened(self, sock: Any, frame: FrameType, *, given: bool) -> None:
        """Note a socket that Python code has opened."""
        fd = fileno(sock)
        if fd < 0:
            return
        registry, threads = self._registry, self._threads
        at_home = threads.at_home
        scope = self._current.get() if at_home else self._scope_of_thread()
        record = Record(scope, capture(frame, registry.places), _family_of(sock), _type_of(sock))
        reference = record.ref = weakref.ref(sock)
        if not at_home:
            record.at_home = False
            self._note_thread(record)
        caller = frame.f_back
        shared = given and (caller is None or caller.f_code.co_name not in _GIVE_NEW)
        record.key = fd, identity.claim(fd, reference, shared=shared)
        if given and caller is not None:
            self._note_given_descriptor(record, caller)
        registry.opened += 1
        registry.touched = True
        registry.add(record)
        if registry.timeline is not None:
            registry.timeline.created(record, sock)

    def socket_detached(self, sock: Any, fd: int) -> None:
        """The descriptor outlives its object."""
        self._registry.detach(sock, fd)

    def child_starting(self, starter: Any, frame: FrameType, command: Any) -> None:
        """Note who starts a child process."""
        registry = self._registry
        registry.touched = True
        if registry.children is not None:
            origin = capture(frame, registry.places)
            registry.children.starting(self._scope_of_thread(), origin, command, starter)

    def thread_starting(self, thread: threading.Thread, frame: FrameType) -> None:
        """The thread will work for the owner that its starter works for."""
        self._registry.touched = True
        origin = capture(frame, self._registry.places)
        self._threads.starting(thread, self._scope_of_thread().owner, origin)

    def failed(self, event: str, error: BaseException) -> None:
        """Noting this event failed."""
        self.on_error(f"noting: {event}", error)

    def _scope_of_thread(self) -> Scope:
        starter = None if self._threads.at_home else self._threads.starter()
        scope = self._current.get()
        return scope if starter is None or starter is scope.owner else Scope(starter, "call")

    def _note_thread(self, record: Record) -> None:
        thread = self._threads.calling
        if thread is not None:
            record.maker, record.thread = weakref.ref(thread), self._threads.origin_of(thread)
            if record.origin is not None:
                record.origin.thread = record.thread
        running = self._current.get().owner
        record.during = running if running is not record.owner else None

    def _note_given_descriptor(self, record: Record, caller: FrameType) -> None:
        """accept(), dup(), fromfd(), socketpair() and TLS wrapping pass a descriptor to the constructor."""
        # A thread of the session's that accepts is a server's that ran before the suite.
        by_a_server = not _by_user(record) or (record.owner is self._registry.session and not record.at_home)
        if caller.f_code is _ACCEPT:
            record.accepted = True
            if by_a_server:
                self._give_to_listener(record, fileno(caller.f_locals["self"]))
        elif caller.f_code.co_name == "socketpair":
            # Of the standard library's and of gevent's. The first end has lost its descriptor to the object that is made.
            assert record.key is not None
            first = self._key_of(caller.f_locals.get("a"))
            record.pair = (record.key, 0) if first is None else (first, 1)
        elif by_a_server:
            from pytest_sockets.leaks import untracked

            untracked.give_to_listener(
                record, self._registry
            )  # accepted by gevent's hub, or another loop of its own

    def _key_of(self, sock: Any) -> Key | None:
        sock = sock if issubclass(type(sock), _socket.socket) else getattr(sock, "_sock", None)
        record = self._registry.newest(fileno(sock)) if sock is not None else None
        return record.key if record is not None else None

    def _give_to_listener(self, record: Record, fd: int) -> None:
        """What a library's loop accepts on a wider fixture's listener is that fixture's, whichever test runs the loop."""
        number = identity.socket_at(fd)
        if number is not None and self._registry.is_foreign((fd, number)):
            record.no_owner = True
            return
        listener = self._registry.at((fd, number)) if number is not None else None
        if listener is None:
            return
        record.origin, record.listener = listener.origin, listener
        if not listener.owner.over:
            record.owner = record.opener = listener.owner


def _by_user(record: Record) -> bool:
    origin = record.origin
    return origin is not None and origin.called_by_user and not origin.in_a_loop
