"""What a server saw, and waiting until it has seen more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.errors import BlamesTheCall, SettingError, WaitTimeout, blames_the_call, quoted
from pytest_sockets.servers.failures import combined, first_line
from pytest_sockets.servers.short_list import SHOWN, short_list
from pytest_sockets.servers.sizes import check_sizes
from pytest_sockets.servers.stream_engine import StreamEngine
from pytest_sockets.servers.transcript import copied, shown
from pytest_sockets.waiting import async_wait_until, checked_timeout, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sockets.literals import Transport
    from pytest_sockets.servers.datagram import DatagramEngine
    from pytest_sockets.servers.failures import Failure, Failures
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.records import ConnectionRecord, DatagramRecord
    from pytest_sockets.servers.transcript import TranscriptEvent

    Wanted = bytes | re.Pattern[bytes] | Callable[[bytes], object]

TIMEOUT: Final = 5.0
"""Seconds that a wait lasts at most, if the call names no other number."""
_LOOK_EVERY: Final = 0.01


class ObservedServer(metaclass=BlamesTheCall):
    """The observing half of a server: it reads the engine's records and changes nothing."""

    def __init__(self, engine: StreamEngine | DatagramEngine, transport: Transport) -> None:
        self.transport = transport
        self._engine = engine

    def __str__(self) -> str:
        return self._engine.name

    # What it saw

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """One record per accepted connection, in the order of accept. UDP has none."""
        return tuple(getattr(self._engine, "records", ()))

    @property
    def datagrams(self) -> tuple[DatagramRecord, ...]:
        """One record per datagram that arrived; only UDP has them."""
        return tuple(getattr(self._engine, "datagrams", ()))

    @property
    def received(self) -> bytes:
        """The bytes of all connections (or datagrams), in order: at most `record` bytes of each."""
        return b"".join(
            [*(seen.received for seen in self.connections), *(seen.data for seen in self.datagrams)]
        )

    @property
    def transcript(self) -> tuple[TranscriptEvent, ...]:
        """What happened on all connections, in the order of events; UDP has none. The last 10,000 events are kept."""
        return copied(self._engine.events) if isinstance(self._engine, StreamEngine) else ()

    @property
    def faults_in_force(self) -> tuple[Fault, ...]:
        """The faults now set, in their order."""
        return tuple(force.fault for force in self._engine.active_faults)

    def summary(self, since: float = 0.0) -> str:
        """At most five of its connections (those accepted after `since`, monotonic) or datagrams, one line each.

        Then the last few events of the transcript.
        """
        came: list[Any] = [record for record in self.connections if record.accepted_at >= since]
        came += [record for record in self.datagrams if record.received_at >= since]
        lines = short_list(came) or ["  nothing came"]
        lines += [f"  failed: {first_line(one.error)}" for one in tuple(self.failures)[:SHOWN]]
        lines += [f"  {line}" for line in shown(self.transcript, since)]
        if self.faults_in_force:
            lines.append(f"  {self._faults_text()}")
        return "\n".join(lines)

    def check(self) -> None:
        """Raise `ServerFault` for what went wrong inside: a handler or a `reply` that raised, no descriptor left.

        What it has raised is reported, so neither a second call nor the fixture's teardown raises it again.
        """
        __tracebackhide__ = True
        failures = self._engine.failures.unreported()
        for failure in failures:
            failure.reported = True
        _raise(failures)

    @property
    def failures(self) -> Failures:
        """What went wrong inside, also what has been reported. For the plugin."""
        return self._engine.failures

    # Waiting

    def wait_connections(self, n: int = 1, timeout: float = TIMEOUT) -> tuple[ConnectionRecord, ...]:
        """Until `n` connections (datagrams for UDP) have come since the start; gives them. Raises `WaitTimeout`."""
        __tracebackhide__ = True
        check_sizes(n=n)
        self._wait(lambda: self._seen() >= n, timeout)
        return self._came(n, timeout)

    async def async_wait_connections(
        self, n: int = 1, timeout: float = TIMEOUT
    ) -> tuple[ConnectionRecord, ...]:
        """`wait_connections` in asyncio or trio."""
        __tracebackhide__ = True
        check_sizes(n=n)
        await self._async_wait(lambda: self._seen() >= n, timeout)
        return self._came(n, timeout)

    def wait_closed(self, timeout: float = TIMEOUT) -> tuple[ConnectionRecord, ...]:
        """Until every connection so far is closed; gives their records. Raises `WaitTimeout`."""
        __tracebackhide__ = True
        self._accept_now()
        self._wait(lambda: not self._open(), timeout)
        return self._all_closed(timeout)

    async def async_wait_closed(self, timeout: float = TIMEOUT) -> tuple[ConnectionRecord, ...]:
        """`wait_closed` in asyncio or trio."""
        __tracebackhide__ = True
        self._accept_now()
        await self._async_wait(lambda: not self._open(), timeout)
        return self._all_closed(timeout)

    @blames_the_call
    def wait_received(self, wanted: Wanted, timeout: float = TIMEOUT) -> ConnectionRecord | DatagramRecord:
        """Wait until a connection or datagram has brought `wanted`; returns its record. Raises `WaitTimeout`.

        `wanted` is bytes to be found, a pattern to be searched for, or a function that gets what one connection or datagram
        has brought so far and returns true. Only recorded bytes count: the first 64 KiB, or what the server's `record` says.
        """
        matches = _matcher(wanted)
        self._wait(lambda: self._matching(matches) is not None, timeout)
        return self._matched(matches, wanted, timeout)

    async def async_wait_received(
        self, wanted: Wanted, timeout: float = TIMEOUT
    ) -> ConnectionRecord | DatagramRecord:
        """`wait_received` in asyncio or trio."""
        __tracebackhide__ = True
        matches = _matcher(wanted)
        await self._async_wait(lambda: self._matching(matches) is not None, timeout)
        return self._matched(matches, wanted, timeout)

    def _matching(self, matches: Callable[[bytes], object]) -> ConnectionRecord | DatagramRecord | None:
        for record in self.connections:
            if matches(record.received):
                return record
        for datagram in self.datagrams:
            if matches(datagram.data):
                return datagram
        return None

    def _matched(
        self, matches: Callable[[bytes], object], wanted: Wanted, timeout: float
    ) -> ConnectionRecord | DatagramRecord:
        __tracebackhide__ = True
        found = self._matching(matches)
        if found is None:
            _raise(tuple(self._engine.failures))
            what = wanted if isinstance(wanted, bytes) else getattr(wanted, "pattern", wanted)
            raise WaitTimeout(
                f"{self}: {quoted(what)} did not come within {timeout:g} s\n{self.summary()}\n"
                "likely cause: the client sends something else, or sends it later"
            )
        return found

    def _wait(self, look: Callable[[], bool], timeout: float) -> None:
        __tracebackhide__ = True
        seconds = checked_timeout(timeout)
        wait_until(self._look(look), seconds, sleep=originals.pause, longest=_LOOK_EVERY)

    async def _async_wait(self, look: Callable[[], bool], timeout: float) -> None:
        __tracebackhide__ = True
        seconds = checked_timeout(timeout)
        await async_wait_until(self._look(look), seconds, longest=_LOOK_EVERY)

    def _look(self, look: Callable[[], bool]) -> Callable[[], bool]:
        def looked() -> bool:
            self._engine.hub.ensure_sound()
            return look() or bool(self._engine.failures)

        return looked

    def _accept_now(self) -> None:
        """A client that has returned from connect() counts, also if the hub has not seen it yet."""
        if isinstance(self._engine, StreamEngine):
            self._engine.accept_now()

    def _seen(self) -> int:
        return len(self.datagrams if self.transport == "udp" else self.connections)

    def _open(self) -> list[ConnectionRecord]:
        return [record for record in self.connections if record.is_open]

    def _came(self, n: int, timeout: float) -> tuple[ConnectionRecord, ...]:
        __tracebackhide__ = True
        _raise(tuple(self._engine.failures))
        seen, noun = self._seen(), "datagrams" if self.transport == "udp" else "connections"
        if seen < n:
            raise WaitTimeout(
                f"{self}: {seen} of {n} {noun} came within {timeout:g} s\n{self.summary()}\n"
                f"likely cause: the client connects elsewhere (this is {self._engine.bound[0].address}), or later"
            )
        return self.connections

    def _all_closed(self, timeout: float) -> tuple[ConnectionRecord, ...]:
        __tracebackhide__ = True
        _raise(tuple(self._engine.failures))
        still = self._open()
        if still:
            lines = "\n".join(short_list(still))
            faults = f"; {self._faults_text()}" if self.faults_in_force else ""
            raise WaitTimeout(
                f"{self}: {len(still)} of {len(self.connections)} connections are still open after {timeout:g} s\n"
                f"{lines}\nlikely cause: the client was not closed{faults}"
            )
        return self.connections

    def _faults_text(self) -> str:
        return f"faults in force: {', '.join(map(repr, self.faults_in_force))}"


def _matcher(wanted: Wanted) -> Callable[[bytes], object]:
    if isinstance(wanted, (bytes, bytearray, memoryview)):
        needle = bytes(wanted)
        return lambda data: needle in data
    if isinstance(wanted, re.Pattern) and isinstance(wanted.pattern, bytes):
        return wanted.search
    if callable(wanted):
        return wanted
    raise SettingError(
        f"{wanted!r}: wait for bytes, a pattern of bytes (re.compile(b'...')), or a function of bytes"
    )


def _raise(failures: Sequence[Failure]) -> None:
    __tracebackhide__ = True
    error = combined(failures)
    if error is not None:
        try:
            raise error.with_traceback(None)
        finally:
            del error  # its traceback has this frame: the cycle would keep the user's sockets open
