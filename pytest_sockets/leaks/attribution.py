"""Attribute each socket, thread and child to an owner when it is opened or started: by scope, thread and listener."""

from __future__ import annotations

import _socket
import socket
import threading
import weakref
from stat import ST_INO
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import identity, watcher
from pytest_sockets.leaks.call_site import capture, walk_up
from pytest_sockets.leaks.owner import Scope
from pytest_sockets.leaks.records import Record, fileno
from pytest_sockets.originals import RealOs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pytest_sockets.leaks.registry import Registry

_ACCEPT: Final = socket.socket.accept.__code__
_GIVE_NEW: Final = ("accept", "socketpair", "dup", "fromfd")
"""The functions of `socket` that make an object for a descriptor that has no other object."""


def watch(registry: Registry) -> Attribution:
    """Fill this registry from now on, until `watcher.stop_listening`. Return the listener that fills it."""
    attribution = Attribution(registry)
    watcher.listen(attribution)
    return attribution


class Attribution(watcher.Listener):
    """Adds a record of each event to the registry. Methods may be called in any thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._threads = registry.threads
        self._current = registry.current
        self._home = threading.get_ident()
        self._fstat = RealOs.fstat  # a class attribute costs more at each read
        self.on_error: Callable[[str, BaseException], None] = lambda _what, _error: None
        """A callback for internal errors of this plugin. It may be called in any thread."""

    def socket_opened(self, sock: Any, frame: FrameType, given: bool) -> None:
        """Record a socket that Python code has opened."""
        fd = fileno(sock)
        if fd < 0:
            return
        registry = self._registry
        reference = weakref.ref(sock)
        on_test_thread = threading.get_ident() == self._home
        scope = self._current.get() if on_test_thread else self._scope_of_thread()
        caller = frame.f_back
        if identity.BY_INODE:
            number = self._fstat(fd)[ST_INO]
        else:
            shared = given and (caller is None or caller.f_code.co_name not in _GIVE_NEW)
            number = identity.SERIALS.claim(fd, reference, shared=shared)
        giver = caller if given else None
        first = self._first_end(giver) if giver is not None else None
        # Every event loop makes a socket pair. Walking the stack once for both ends halves the cost.
        walked = walk_up(caller, registry.places) if first is None else first.walked
        record = Record(scope, walked, (fd, number), reference)
        if not on_test_thread:
            record.on_test_thread = False
            self._note_thread(record)
        if giver is not None:
            self._note_given_descriptor(record, giver, first)
        registry.opened += 1
        registry.touched = True
        registry.add(record)
        if registry.timeline is not None:
            registry.timeline.created(record, sock)

    def socket_detached(self, sock: Any, fd: int) -> None:
        """Note that the descriptor outlives its object."""
        self._registry.detach(sock, fd)

    def child_starting(self, starter: Any, frame: FrameType, command: Any) -> None:
        """Record the owner that starts a child process."""
        registry = self._registry
        registry.touched = True
        if registry.children is not None:
            call_site = capture(frame, registry.places)
            registry.children.starting(self._scope_of_thread(), call_site, command, starter)

    def thread_starting(self, thread: threading.Thread, frame: FrameType) -> None:
        """Attribute the new thread to the owner that the starting thread works for."""
        self._registry.touched = True
        call_site = capture(frame, self._registry.places)
        self._threads.starting(thread, self._scope_of_thread().owner, call_site)

    def failed(self, event: str, error: BaseException) -> None:
        """Report that the record of this event failed."""
        self.on_error(f"noting: {event}", error)

    def _scope_of_thread(self) -> Scope:
        starter = None if self._threads.on_test_thread else self._threads.starter()
        scope = self._current.get()
        return scope if starter is None or starter is scope.owner else Scope(starter, "call")

    def _note_thread(self, record: Record) -> None:
        thread = self._threads.calling
        if thread is not None:
            record.opener_thread, record.thread = weakref.ref(thread), self._threads.start_of(thread)
            if record.call_site is not None:
                record.call_site.thread = record.thread
        running = self._current.get().owner
        record.concurrent_owner = running if running is not record.owner else None

    def _first_end(self, caller: FrameType) -> Record | None:
        """Return the first end of a pair while socketpair() makes the second (the standard library's or gevent's)."""
        if caller.f_code.co_name != "socketpair":
            return None
        sock = caller.f_locals.get("a")
        if not issubclass(type(sock), _socket.socket):
            sock = getattr(sock, "_sock", None)
        return self._registry.newest(fileno(sock)) if sock is not None else None

    def _note_given_descriptor(self, record: Record, caller: FrameType, first: Record | None) -> None:
        """Attribute a socket made from a descriptor, as accept(), dup(), fromfd(), socketpair() and TLS wrapping do."""
        if caller.f_code is _ACCEPT:
            record.accepted = True
            if self._is_a_servers(record):
                self._give_to_listener(record, caller.f_locals["self"])
        elif caller.f_code.co_name == "socketpair":
            assert record.key is not None
            record.pair = (record.key, 0) if first is None or first.key is None else (first.key, 1)
        elif self._is_a_servers(record):
            from pytest_sockets.leaks import untracked

            untracked.give_to_listener(
                record, self._registry
            )  # accepted by gevent's hub, or another loop of its own

    def _is_a_servers(self, record: Record) -> bool:
        """Whether a server opened it, not the user's code. A server older than the suite accepts in the session's thread."""
        call_site = record.call_site
        if call_site is None or not call_site.called_by_user or call_site.in_a_loop:
            return True
        return record.owner is self._registry.session and not record.on_test_thread

    def _give_to_listener(self, record: Record, sock: Any) -> None:
        """Attribute a connection that a library's loop accepts to the listener's owner, whichever test runs the loop."""
        fd = fileno(sock)
        listener = self._registry.newest(fd)
        if listener is None or listener.ref() is not sock:
            number = identity.socket_at(fd)
            if number is None:
                return
            record.no_owner = self._registry.is_foreign((fd, number))
            listener = self._registry.at((fd, number))
            if listener is None:
                return
        if listener.no_owner:
            record.no_owner = True
            return
        record.call_site, record.listener = listener.call_site, listener
        if not listener.owner.over:
            record.owner = record.opener = listener.owner
