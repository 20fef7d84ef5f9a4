"""The one thread per process that serves every server, for sync, asyncio and trio tests alike.

A lock protects the servers: the hub holds it while it works and releases it while it waits in epoll(7). A test
that starts or stops a server takes it for some microseconds and does the work in its own thread: no other thread has to
be woken. Only when the hub is busy is the work queued for it, and then the caller waits 5 seconds at most.

Code under test may close descriptors that are not its own. When the epoll instance or the wake-up sockets are no longer
the hub's, it replaces them, and every server continues.
"""

from __future__ import annotations

import _thread
import collections
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_sockets import originals, own_threads
from pytest_sockets.errors import ServerFault
from pytest_sockets.originals import allocate_lock, get_ident, monotonic
from pytest_sockets.servers.poller import READ, choose_poller
from pytest_sockets.servers.timers import Timer, Timers
from pytest_sockets.servers.wake_up import WakeUp, identity_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.servers.hosted import Handler, HostedServer

    T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that a call into a busy hub waits before it gives up."""
EVENTS_PER_ROUND: Final = 128
"""After so many, jobs and timers get their turn."""
_native_id: Final[Callable[[], int]] = getattr(_thread, "get_native_id", lambda: -1)
READ_SIZE: Final = 256 * 1024
CHECK_SECONDS: Final = 1.0
"""How often a hub with servers looks, while nothing happens, whether its descriptors are still its own."""
FORK_PATIENCE: Final = 0.2
"""Seconds that a fork waits for the hub's thread to end."""
_lost_pollers: Final[list[object]] = []
"""Their descriptors may be other code's by now. Freeing the objects would close those."""


class HubStuck(ServerFault):
    """The hub's thread did not come back in time."""


class Hub:
    """The thread, its poller, its timers. Everything but `run` is to be used under the lock: inside `run` or by handlers."""

    def __init__(self) -> None:
        self.now = monotonic()
        self.buffer = memoryview(
            bytearray(READ_SIZE)
        )  # one for all: what is read is sent or copied before the next read
        self.hosted: set[HostedServer] = set()
        self._poller = choose_poller()
        self._handlers: dict[int, Handler] = {}
        self._masks: dict[int, int] = {}
        self._identities: dict[int, object] = {}
        self._lock = allocate_lock()
        self._jobs: collections.deque[Callable[[], None]] = collections.deque()
        self._timers = Timers()
        self._failed_polls = 0
        self._busy_with: Handler | None = None
        self._wake_up = WakeUp()
        self._poller.add(self._wake_up.fileno(), READ)
        self._generation = 0
        self._serves = True
        self._thread = self._native_id = 0
        self._start_thread()

    def _start_thread(self) -> None:
        """Serve in a new thread; one of an earlier generation ends when it next wakes."""
        self._generation += 1
        self._serves = True
        self._native_id = 0
        self._thread = own_threads.start(self._serve, self._generation, self._wake_up)

    @property
    def thread(self) -> int:
        """The identifier of the thread that serves."""
        return self._thread

    def run(self, work: Callable[[], T], on_behalf_of: Callable[[], str]) -> T:
        """Do `work` with the hub at rest; at once if it waits for events, else queued for it.

        Raises `HubStuck` after 5 s; `on_behalf_of()` then says which connections are concerned.
        """
        if get_ident() == self._thread:
            return work()
        self.ensure_sound()
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
        self._wake_up.wake()
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
        """Call `handler` for the events in `mask` on `fd`."""
        self._handlers[fd] = handler
        self._masks[fd] = mask
        self._identities[fd] = identity_of(fd)
        self._poller.add(fd, mask)
        self._noticed()

    def change(self, fd: int, mask: int) -> None:
        """Watch `fd` for other events from now on."""
        self._masks[fd] = mask
        self._poller.change(fd, mask)
        self._noticed()

    def remove(self, fd: int) -> None:
        """No more events on `fd`; call it before the descriptor is closed."""
        if self._handlers.pop(fd, None) is not None:
            del self._masks[fd], self._identities[fd]
            self._poller.remove(fd)

    def later(self, seconds: float, call: Callable[[], None], owner: Handler) -> Timer:
        """Run `call()` in the hub's thread after `seconds`."""
        due = monotonic() + seconds
        timer = Timer(call, owner)
        is_sooner = self._timers.add(due, timer)
        if is_sooner and get_ident() != self._thread:
            self._wake_up.wake()
        return timer

    # The thread

    def _serve(self, generation: int, wake_up: WakeUp) -> None:
        self._thread = get_ident()
        self._native_id = _native_id()
        try:
            while self._serve_some(generation):
                pass
        finally:
            if self._generation == generation:
                self._serves = False  # the next call starts another thread
            if wake_up is not self._wake_up:
                wake_up.close_reader()

    def _serve_some(self, generation: int) -> bool:
        """Serve until poll(2) fails; returns false when another thread serves from now on."""
        # Attributes become locals: with 50,000 rounds a second each look-up is a measurable part of a round trip.
        poll, acquire, release = self._poller.poll, self._lock.acquire, self._lock.release
        find, timers, jobs = self._handlers.get, self._timers.heap, self._jobs
        handler: Handler | None = None
        while True:
            try:
                ready = poll(self._seconds_to_wait(), EVENTS_PER_ROUND)
            except (OSError, ValueError):
                return self._recovered(generation)
            acquire()
            try:
                if generation != self._generation:
                    return False
                self.now = monotonic()
                for fd, events in ready:
                    handler = find(fd)  # none: closed meanwhile, or the wake-up
                    if handler is None:
                        self._wake_up.heard(fd)
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
                if not ready and not self._is_sound():
                    self._rebuild()
                    return False
            finally:
                release()

    def _recovered(self, generation: int) -> bool:
        """After a failed poll: go on with it, or make its descriptors anew.

        Windows's select(2) fails when another thread closes one of its sockets. That socket is not in the set any more.
        """
        with self._lock:
            if generation != self._generation:
                return False
            self._failed_polls += 1
            if self._failed_polls % 2 and self._is_sound():
                return True
            self._rebuild()
            return False

    def ensure_sound(self) -> None:
        """Replace what other code has closed: the poller, the wake-up sockets or a thread that ended."""
        if self._is_sound() or get_ident() == self._thread:
            return
        if self._lock.acquire(True, PATIENCE):
            try:
                if not self._is_sound():
                    self._rebuild()
            finally:
                self._lock.release()

    def _is_sound(self) -> bool:
        if not self._serves:
            return False
        try:
            self._poller.change(self._wake_up.fileno(), READ)  # fails in any epoll instance but the hub's own
        except (OSError, ValueError, KeyError):
            return False
        return self._wake_up.is_sound()

    def _rebuild(self) -> None:
        """Make poller, wake-up sockets and thread anew, and take every server's descriptors along."""
        _lost_pollers.append(self._poller)
        old = self._wake_up
        old.detach_lost()
        self._poller = choose_poller()
        self._wake_up = WakeUp()
        self._poller.add(self._wake_up.fileno(), READ)
        for fd, handler in tuple(self._handlers.items()):
            self._take_along(fd, handler)
        self._start_thread()
        old.close_writer()  # wakes the old thread, which then ends

    def _take_along(self, fd: int, handler: Handler) -> None:
        if identity_of(fd) == self._identities[fd]:
            try:
                self._poller.add(fd, self._masks[fd])
            except OSError:
                pass
            else:
                return
        del self._handlers[fd]
        handler.sock.detach()
        handler.failed(ServerFault(f"other code closed descriptor {fd} of {handler.describe()}"))

    def end_thread(self) -> bool:
        """End the thread if it is at rest; the servers then wait for `resume_thread`. For forks."""
        if get_ident() == self._thread or not self._lock.acquire(True, FORK_PATIENCE):
            return False
        try:
            if not self._is_sound():
                return False
            self._generation += 1
            self._wake_up.wake()
        finally:
            self._lock.release()
        deadline = monotonic() + FORK_PATIENCE
        while _may_run(self._native_id) and monotonic() < deadline:
            originals.pause(0.0001)
        return True

    def resume_thread(self) -> None:
        """Serve again after `end_thread`."""
        with self._lock:
            self._start_thread()

    def _seconds_to_wait(self) -> float | None:
        longest = CHECK_SECONDS if self.hosted else None
        if not self._timers.heap:
            return longest
        seconds = self._timers.seconds_to_next()
        return seconds if longest is None else min(seconds, longest)

    def _do_jobs(self) -> None:
        self._busy_with = None
        for _ in range(len(self._jobs)):
            self._jobs.popleft()()

    def _ring(self) -> None:
        for owner, call in self._timers.take_due(monotonic()):
            self._busy_with = owner
            try:
                call()
            except BaseException as error:  # noqa: BLE001  (as in _serve)
                owner.failed(error)

    def _noticed(self) -> None:
        if self._poller.needs_wake and get_ident() != self._thread:
            self._wake_up.wake()

    def abandon_in_child(self) -> None:
        """In a forked child: close what it inherited, and nothing else.

        The epoll instance is shared with the parent: close it first, so that no later call can take descriptors out of the
        parent's set. A listener that stays open here would keep the parent's port after its server stopped.
        """
        self._poller.close()
        self._wake_up.close()
        for server in self.hosted:
            server.abandon_in_child()


def _may_run(native_id: int) -> bool:
    """Whether the kernel may still count this thread, 0 for one that has not begun; false where it lists none."""
    return not native_id or originals.RealOs.exists(f"/proc/self/task/{native_id}")
