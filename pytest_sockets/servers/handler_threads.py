"""In which threads do the handlers of scripted servers run? Real ones that are reused while any scripted server runs."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.originals import allocate_lock, get_ident, monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

END_SECONDS: Final = 5.0
"""How long the last server waits for idle threads to end."""


class HandlerStopped(BaseException):
    """Ends a handler whose server or connection is gone. As a BaseException, it passes a handler that catches Exception."""


class Job:
    """One handler at work in a thread."""

    __slots__ = ("_call", "_done", "_lock", "thread")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._lock = allocate_lock()
        self._done = False
        self.thread = 0
        """The identifier of its thread, 0 before it begins."""

    def run(self) -> None:
        """Do it, in the calling thread."""
        self.thread = get_ident()
        try:
            self._call()
        except HandlerStopped:  # it arrived after the handler had returned
            pass
        finally:
            with self._lock:
                self._done = True

    def interrupt(self) -> None:
        """Raise `HandlerStopped` in the thread as soon as it runs Python code."""
        try:
            import ctypes
        except ImportError:  # an interpreter without libffi
            return
        with self._lock:
            if self.thread and not self._done:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread), ctypes.py_object(HandlerStopped)
                )


class _Worker:
    """A thread that does one job after the other."""

    __slots__ = ("_job", "_ready", "_thread", "ended")

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job
        self._ready = allocate_lock()
        self._ready.acquire()
        self.ended = False
        self._thread = _start(self._work)

    def give(self, job: Job | None) -> None:
        """The next job; None ends the thread."""
        self._job = job
        self._ready.release()

    def _work(self) -> None:
        try:
            while self._job is not None:
                self._job.run()
                self._job = None
                if not handler_threads.rest(self):
                    break
                self._ready.acquire()
        finally:
            self.ended = True

    def join(self, deadline: float) -> None:
        """Wait until the thread has ended."""
        while not self.ended and monotonic() < deadline:
            originals.pause(0.0001)
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))


def _start(work: Callable[[], None]) -> threading.Thread | None:
    """Start a `threading.Thread`, which debuggers and coverage follow. Under gevent that would be a greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        originals.start_new_thread(work, ())
        return None
    thread = threading.Thread(target=work, name="pytest-sockets handler", daemon=True)
    thread.start()
    return thread


class HandlerThreads:
    """The idle threads of this process. They end with the last scripted server."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._idle: list[_Worker] = []
        self._users = 0

    def run(self, job: Job) -> None:
        """Do it in a thread that is idle, or in a new one."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            _Worker(job)
        else:
            worker.give(job)

    def rest(self, worker: _Worker) -> bool:
        """Keep `worker` for the next job; false if there will be none."""
        with self._lock:
            if self._users:
                self._idle.append(worker)
            return bool(self._users)

    def retain(self) -> None:
        """A scripted server runs."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """A scripted server has stopped; the last one waits until the idle threads have ended."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        self.end_idle()

    def end_idle(self) -> None:
        """End the threads that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.give(None)
        deadline = monotonic() + END_SECONDS
        for worker in idle:
            worker.join(deadline)


handler_threads = HandlerThreads()


def _after_fork_in_child() -> None:
    handler_threads.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    before: dict[str, Any] = {} if sys.version_info < (3, 12) else {"before": handler_threads.end_idle}
    os.register_at_fork(after_in_child=_after_fork_in_child, **before)
