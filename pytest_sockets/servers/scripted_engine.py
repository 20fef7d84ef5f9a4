"""A server whose connections are served by handlers: which handler serves, how it ends, what its failure says."""

from __future__ import annotations

import os
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.errors import ServerFault, quoted
from pytest_sockets.originals import get_ident, monotonic
from pytest_sockets.servers.failures import NEVER
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.handler_threads import HandlerStopped, Job, handler_threads
from pytest_sockets.servers.scripted_connection import (
    ClientEnded,
    ClientGone,
    ScriptedConnection,
    StillWaiting,
)
from pytest_sockets.servers.scripted_stream import ScriptedStream
from pytest_sockets.servers.short_list import short_list
from pytest_sockets.servers.stream_engine import StreamEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Handler = Callable[[ScriptedConnection], object]

STOP_SECONDS: Final = 1.0
"""How long `stop()` waits for handlers that are not waiting for their client."""
INTERRUPT_SECONDS: Final = 0.5
"""How long it then waits for handlers that it has interrupted."""
_PACKAGE: Final = __file__.removesuffix("servers" + os.sep + os.path.basename(__file__))  # noqa: PTH119


class ScriptedEngine(StreamEngine):
    """Begins a handler for each connection and ends all of them with the server."""

    def __init__(
        self, *args: Any, script: Handler | Sequence[Handler], timeout: float | None, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._script = script
        self._timeout = timeout
        self._running: dict[Job, tuple[ScriptedStream, Handler]] = {}
        self._retained = False

    def started(self) -> None:
        handler_threads.retain()
        self._retained = True
        super().started()

    # A handler's life

    def begin(self, stream: ScriptedStream) -> None:
        """Let the handler of this connection's number begin. In the hub."""
        stream.begun = True
        handler = self._handler_of(stream.record.number)
        if handler is None:
            assert not callable(self._script)
            count = len(self._script)
            has = f"the script has {count} handler{'s' if count > 1 else ''}"
            stream.record.detail = has
            stream.end_by(Ending("reset", "server"))  # not while the client is still in connect()
            problem = f"{self.name}: {count + 1} connections came, but {has}"
            fault = ServerFault(f"{problem}\n  {stream.record}")
            self.failures.add(fault, self.name, accepted_at=stream.record.accepted_at)
            return
        if self.stopping:
            stream.inbox.stop()
        job = Job(lambda: self._serve(job, stream, handler))
        self._running[job] = stream, handler
        try:
            handler_threads.run(job)
        except BaseException:
            del self._running[job]
            raise

    def _handler_of(self, number: int) -> Handler | None:
        if callable(self._script):
            return self._script
        return self._script[number] if number < len(self._script) else None

    def _serve(self, job: Job, stream: ScriptedStream, handler: Handler) -> None:
        """Run the handler, in its thread; then close its connection, or reset it if the handler failed."""
        conn = ScriptedConnection(stream, self._timeout)
        try:
            handler(conn)
        except (HandlerStopped, ClientGone) as error:
            if isinstance(error, StillWaiting):
                reason = error.reason.with_traceback(error.__traceback__)
                self._failed(stream, handler, reason, is_consequence=True)
            self._end(stream, conn.reset)
        except BaseException as error:  # noqa: BLE001  (pytest.fail() raises one; it must fail the test)
            self._failed(stream, handler, error, is_consequence=isinstance(error, ClientEnded))
            self._end(stream, lambda: self.run(stream.break_off))
        else:
            self._end(stream, conn.close)
        finally:
            self._running.pop(job, None)

    def _end(self, stream: ScriptedStream, end: Callable[[], None]) -> None:
        try:
            if stream.record.is_open:
                end()
        except ServerFault:  # the server is stopped
            pass

    def _failed(
        self, stream: ScriptedStream, handler: Handler, error: BaseException, *, is_consequence: bool
    ) -> None:
        error.__traceback__ = users_frames(error.__traceback__)
        first = str(error).partition("\n")[0]
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
        stream.record.detail = "the handler failed"
        problem = ServerFault(
            f"{self.name}: the handler {_name(handler)} of connection {stream.record.number} failed"
            f"{_place(error)}: {reason}\n  {stream.record}"
        )
        problem.__cause__ = error
        accepted_at = stream.record.accepted_at
        self.failures.add(problem, self.name, accepted_at=accepted_at, is_consequence=is_consequence)

    # Stopping

    def stop(self) -> None:
        """Let the handlers use what their clients have sent, end them, then stop as any server does."""
        if self.stopped or self._pid != os.getpid():
            return
        try:
            self.run(self._finish_handlers)
            self._wait_for_handlers()
            self._report_unused()
        finally:
            try:
                super().stop()
            finally:
                if self._retained:
                    self._retained = False
                    handler_threads.release()

    def _report_unused(self) -> None:
        """A script says how many connections come: fewer are a failure, unless another one explains them."""
        if callable(self._script) or self.failures:
            return
        count, came = len(self._script), len(self.records)
        unused = [f"{number}: {_name(one)}" for number, one in enumerate(self._script)][came:]
        if not unused:
            return
        had = "this handler had no connection" if len(unused) == 1 else "these handlers had no connection"
        problem = (
            f"{self.name}: {came} of {count} connections came; {had}:\n"
            + "\n".join(short_list(unused))
            + "\nlikely cause: the client gives up earlier, reuses a connection, or connects elsewhere"
        )
        self.failures.add(ServerFault(problem), self.name, accepted_at=NEVER, is_consequence=True)

    def _finish_handlers(self) -> None:
        self.accept_waiting()
        streams = [one for one in tuple(self.connections.values()) if isinstance(one, ScriptedStream)]
        for stream in streams:
            stream.read_rest()
        self.stopping = True
        for stream in streams:
            stream.inbox.stop()

    def _wait_for_handlers(self) -> None:
        if get_ident() == self.hub.thread:
            return  # a handler needs the hub to end
        if self._all_ended(STOP_SECONDS):
            return
        stuck = self._others()
        places = [(stream, handler, _stack_of(job.thread)) for job, (stream, handler) in stuck]
        for job, _ in stuck:
            job.interrupt()
        self._all_ended(INTERRUPT_SECONDS)
        still = {id(stream) for _, (stream, _) in self._others()}
        for stream, handler, stack in places:
            how = "it still runs" if id(stream) in still else "it was interrupted"
            problem = (
                f"{self.name}: the handler {_name(handler)} of connection {stream.record.number} was stuck when the "
                f"server stopped; {how}\n{stack}\nlikely cause: a wait that has no timeout; use the methods of "
                "the connection, which end with the server"
            )
            self.failures.add(ServerFault(problem), self.name, accepted_at=stream.record.accepted_at)

    def _others(self) -> list[tuple[Job, tuple[ScriptedStream, Handler]]]:
        """The handlers that run, without one that calls `stop()` itself."""
        return [(job, what) for job, what in tuple(self._running.items()) if job.thread != get_ident()]

    def _all_ended(self, seconds: float) -> bool:
        deadline = monotonic() + seconds
        pause = 0.00005
        while self._others():
            if monotonic() > deadline:
                return False
            originals.pause(pause)
            pause = min(pause * 2, 0.005)
        return True


def _name(handler: object) -> str:
    return quoted(getattr(handler, "__name__", None) or handler).strip("'")


def users_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The same traceback without the frames of this package."""
    entries = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            entries.append(trace)
        trace = trace.tb_next
    kept: types.TracebackType | None = None
    for entry in reversed(entries):
        kept = types.TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _stack_of(thread: int) -> str:
    """The innermost lines of a thread outside of this package, innermost first."""
    frame = sys._current_frames().get(thread)
    lines: list[str] = []
    while frame is not None and len(lines) < 4:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE) and not code.co_filename.endswith("threading.py"):
            lines.append(f"  {code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return "\n".join(lines) or "  it has ended meanwhile"
