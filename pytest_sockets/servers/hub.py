"""The one thread per process that serves every server, for sync, asyncio and trio tests alike.

A lock says who may touch the servers: the hub holds it while it works and lets go of it while it waits in epoll(7). A test
that starts or stops a server takes it for some microseconds and does the work in its own thread: no other thread has to
be woken. Only when the hub is busy is the work queued for it, and then the caller waits 5 seconds at most.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import os
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from pytest_sockets.errors import ServerFault
from pytest_sockets.originals import allocate_lock, get_ident, monotonic, start_own_thread
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.servers.poller import READ, choose_poller

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that a call into a busy hub waits before it gives up."""
EVENTS_PER_ROUND: Final = 128
"""After so many, jobs and timers get their turn."""
READ_SIZE: Final = 256 * 1024


class Handler(Protocol):
    """Who is told about events on a descriptor."""

    def on_event(self, events: int) -> None: ...
    def failed(self, error: BaseException) -> None: ...
    def describe(self) -> str: ...


class Tenant(Protocol):
    """A server that lives in the hub."""

    def abandon_in_child(self) -> None: ...


class HubStuck(ServerFault):
    """The hub's thread did not come back in time."""


class Timer:
    """A call at a later time; `cancel()` it or let it come."""

    __slots__ = ("call", "owner")

    def __init__(self, call: Callable[[], None], owner: Handler) -> None:
        self.call: Callable[[], None] | None = call
        self.owner = owner

    def cancel(self) -> None:
        """Never call it."""
        self.call = None


class Hub:
    """The thread, its poller, its timers. Everything but `run` is to be used under the lock: inside `run` or by handlers."""

    def __init__(self) -> None:
        self.now = monotonic()
        self.buffer = memoryview(
            bytearray(READ_SIZE)
        )  # one for all: what is read is sent or copied before the next read
        self.tenants: set[Tenant] = set()
        self._poller = choose_poller()
        self._handlers: dict[int, Handler] = {}
        self._lock = allocate_lock()
        self._jobs: collections.deque[Callable[[], None]] = collections.deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sleeps_until: float | None = None
        self._busy_with: Handler | None = None
        self._wake_reader, self._wake_writer = _wake_pair()
        self._poller.add(self._wake_reader.fileno(), READ)
        self._thread = start_own_thread(self._serve, ())

    def run(self, work: Callable[[], T], on_behalf_of: Callable[[], str]) -> T:
        """Do `work` with the hub at rest; at once if it waits for events, else queued for it.

        Raises `HubStuck` after 5 s; `on_behalf_of()` then says which connections are concerned.
        """
        if get_ident() == self._thread:
            return work()
        if not self._lock.acquire(False):
            return self._queued(work, on_behalf_of)
        try:
            self.now = monotonic()
            return work()
        finally:
            self._lock.release()

    def _queued(self, work: Callable[[], T], on_behalf_of: Callable[[], str]) -> T:
        done = allocate_lock()
        done.acquire()
        outcome: list[tuple[T | None, BaseException | None]] = []

        def job() -> None:
            try:
                outcome.append((work(), None))
            except BaseException as error:  # noqa: BLE001  (it is raised again in the thread that asked)
                outcome.append((None, error))
            done.release()

        self._jobs.append(job)
        self._wake()
        if not done.acquire(True, PATIENCE):
            raise HubStuck(self._stuck(on_behalf_of()))
        result, error = outcome[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _stuck(self, concerned: str) -> str:
        busy_with = self._busy_with
        doing = busy_with.describe() if busy_with is not None else "a call from another thread"
        return (
            f"the thread of the echo servers did not answer for {PATIENCE:g} s: it is busy with {doing}\n{concerned}\n"
            "likely cause: a `reply` function that blocks or never ends\n"
            "it runs in the servers' thread and must return at once"
        )

    # What handlers and work may use

    def add(self, fd: int, handler: Handler, mask: int) -> None:
        """Tell `handler` of the events in `mask` on `fd`."""
        self._handlers[fd] = handler
        self._poller.add(fd, mask)
        self._noticed()

    def change(self, fd: int, mask: int) -> None:
        """Other events on `fd` from now on."""
        self._poller.change(fd, mask)
        self._noticed()

    def remove(self, fd: int) -> None:
        """No more events on `fd`; call it before the descriptor is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._poller.remove(fd)

    def later(self, seconds: float, call: Callable[[], None], owner: Handler) -> Timer:
        """Make `call()` in so many seconds, in the hub's thread."""
        due = monotonic() + seconds
        timer = Timer(call, owner)
        heapq.heappush(self._timers, (due, next(self._order), timer))
        if get_ident() != self._thread and (self._sleeps_until is None or due < self._sleeps_until):
            self._wake()
        return timer

    # The thread

    def _serve(self) -> None:
        # Attributes become locals: with 50,000 rounds a second each look-up is a measurable part of a round trip.
        poll, acquire, release = self._poller.poll, self._lock.acquire, self._lock.release
        find, timers, jobs = self._handlers.get, self._timers, self._jobs
        self._thread = get_ident()
        handler: Handler | None = None
        while True:
            ready = poll(self._until_next_timer() if timers else None, EVENTS_PER_ROUND)
            acquire()
            try:
                self.now = monotonic()
                for fd, events in ready:
                    handler = find(fd)  # none: closed meanwhile, or the wake-up
                    if handler is None:
                        self._woken(fd)
                        continue
                    self._busy_with = handler
                    try:
                        handler.on_event(events)
                    except BaseException as error:  # noqa: BLE001  (it fails the test that owns the server)
                        handler.failed(error)
                if jobs:
                    self._do_jobs()
                if timers:
                    self._ring()
                self._busy_with = handler = (
                    None  # a handler that closed must not live on because the hub is idle
                )
            finally:
                release()

    def _until_next_timer(self) -> float:
        # Without the lock: a timer that another thread adds right now finds None and wakes the poll that follows.
        self._sleeps_until = None
        self._sleeps_until = due = self._timers[0][0]
        return max(0.0, due - monotonic())

    def _do_jobs(self) -> None:
        self._busy_with = None
        for _ in range(len(self._jobs)):
            self._jobs.popleft()()

    def _ring(self) -> None:
        now = monotonic()
        self._sleeps_until = None
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is None:
                continue
            self._busy_with = timer.owner
            try:
                timer.call()
            except BaseException as error:  # noqa: BLE001  (as in _serve)
                timer.owner.failed(error)

    def _wake(self) -> None:
        try:
            self._wake_writer.send(b"\0")
        except BlockingIOError:  # the buffer is full of wake-ups
            pass

    def _woken(self, fd: int) -> None:
        if fd == self._wake_reader.fileno():
            try:
                self._wake_reader.recv(4096)
            except BlockingIOError:
                pass

    def _noticed(self) -> None:
        if self._poller.needs_wake and get_ident() != self._thread:
            self._wake()

    def abandon_in_child(self) -> None:
        """In a forked child: close what it inherited, and nothing else.

        The epoll instance is shared with the parent: it goes first, so that no later call can take descriptors out of the
        parent's set. A listener that stays open here would keep the parent's port after its server stopped.
        """
        self._poller.close()
        self._wake_reader.close()
        self._wake_writer.close()
        for tenant in self.tenants:
            tenant.abandon_in_child()


def _wake_pair() -> tuple[RealSocket, RealSocket]:
    """Two connected sockets. `socket.socketpair()` would ask the (perhaps blocked) `socket.socket`."""
    try:
        import _socket

        ends = _socket.socketpair()
    except (ImportError, AttributeError):
        return _loopback_pair()
    pair = tuple(RealSocket(end.family, end.type, end.proto, end.detach()) for end in ends)
    for sock in pair:
        sock.setblocking(False)
    return pair[0], pair[1]


def _loopback_pair() -> tuple[RealSocket, RealSocket]:
    """What Windows has in place of socketpair(2)."""
    listener = RealSocket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    writer = RealSocket()
    writer.connect(listener.getsockname())
    reader, _ = listener.accepted()
    listener.close()
    for sock in (reader, writer):
        sock.setblocking(False)
    return reader, writer


# The one hub of this process: made here, abandoned here.

_creating = allocate_lock()
_current: Hub | None = None
_stuck: list[Hub] = []


def current_hub() -> Hub:
    """This process's hub, started by the first server."""
    global _current
    with _creating:
        if _current is None:
            _current = Hub()
        return _current


def give_up(hub: Hub) -> None:
    """The hub's thread is stuck: the next server gets a new one."""
    global _current
    with _creating:
        if _current is hub:
            _current = None
            _stuck.append(hub)


def _after_fork_in_child() -> None:
    global _creating, _current
    _creating = allocate_lock()
    inherited: list[Any] = [hub for hub in (_current, *_stuck) if hub is not None]
    _current = None
    _stuck.clear()
    for hub in inherited:
        hub.abandon_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
