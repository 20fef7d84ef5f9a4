"""What every server offers: its address, clients, records, waits, faults, and how it is stopped."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from pytest_sockets import originals
from pytest_sockets.addresses import LARGEST_BACKLOG
from pytest_sockets.errors import (
    BlamesTheCall,
    ServerFault,
    SettingError,
    WaitTimeout,
    blames_the_call,
    quoted,
)
from pytest_sockets.servers import listening
from pytest_sockets.servers.failures import combined, first_line
from pytest_sockets.servers.faults.base import ActiveFault, check_faults
from pytest_sockets.servers.stream_engine import SHOWN, StreamEngine
from pytest_sockets.servers.transcript import copied, shown
from pytest_sockets.waiting import async_wait_until, checked_timeout, wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from pytest_sockets.literals import Transport
    from pytest_sockets.model import Endpoint
    from pytest_sockets.servers.connection import Connection
    from pytest_sockets.servers.datagram import DatagramEngine
    from pytest_sockets.servers.failures import Failure, Failures
    from pytest_sockets.servers.faults.base import Fault
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.listening import Bound
    from pytest_sockets.servers.records import ConnectionRecord, DatagramRecord
    from pytest_sockets.servers.tls_settings import ServerTls
    from pytest_sockets.servers.transcript import TranscriptEvent

    Wanted = bytes | re.Pattern[bytes] | Callable[[bytes], object]

S = TypeVar("S", bound="Server")
TIMEOUT: Final = 5.0
_LOOK_EVERY: Final = 0.01


class Undo:
    """A change that is already made; leaving the `with` block reverts it."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._undo()


class Server(metaclass=BlamesTheCall):
    """A running server. It is a context manager; leaving it stops the server and raises what went wrong inside."""

    _tls: ServerTls | None = None

    def __init__(
        self, engine: StreamEngine | DatagramEngine, transport: Transport, faults: Iterable[Fault]
    ) -> None:
        self.transport = transport
        self._engine = engine
        self._clients: list[socket.socket] = []
        try:
            checked = check_faults(faults, transport)
            engine.active_faults = [ActiveFault(fault) for fault in checked]
            if checked and transport == "udp":
                engine.faults_changed()
            engine.start()
        except BaseException:
            engine.close_sockets()
            for bound in engine.bound:
                if bound.endpoint.port is None:
                    listening.remove_path(bound)
            raise

    # Where it is

    @property
    def address(self) -> Any:
        """What connect(2) takes: (host, port), or a unix path. A wildcard host gives the loopback address."""
        return self._engine.bound[0].address

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """Every address that it is bound to; two for host="localhost"."""
        return tuple(bound.endpoint for bound in self._engine.bound)

    @property
    def host(self) -> str:
        """The host to connect to; the path of a unix socket."""
        address = self.address
        return str(address[0]) if isinstance(address, tuple) else self._engine.bound[0].endpoint.host

    @property
    def port(self) -> int:
        """The port; a unix socket has none: `ServerFault`."""
        port = self._engine.bound[0].endpoint.port
        if port is None:
            raise ServerFault(f"{self} is a unix socket and has no port; use .address")
        return port

    def url(self, scheme: str = "http") -> str:
        """`scheme://host:port`, an IPv6 host in brackets; `scheme://path` for a unix socket."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("@") else self.host
        return f"{scheme}://{host}" if self.transport == "unix" else f"{scheme}://{host}:{self.port}"

    @blames_the_call
    def connect(self, *, timeout: float | None = TIMEOUT) -> socket.socket:
        """A connected blocking client, closed when the server stops. Each of its calls waits `timeout` seconds at most.

        Raises `ServerFault` if the server is stopped, else what connect(2) gives.
        """
        from pytest_sockets.servers.clients import connect

        if self._engine.stopped:
            raise ServerFault(f"connect(): {self} is stopped; start a new server, or connect before stop()")
        self._engine.hub.ensure_sound()
        seconds = None if timeout is None else checked_timeout(timeout)
        client = connect(
            self.transport, self._engine.bound[0], seconds, self._engine.connecting, self._tls, self
        )
        self._clients.append(client)
        return client

    @property
    def client_context(self) -> ssl.SSLContext:
        """For a client of this TLS server: trusts its certificate, and has one of its own if the server asks for one.

        Raises `ServerFault` if the server does not speak TLS.
        """
        if self._tls is None:
            raise ServerFault(f"{self} has no client_context: transport={self.transport!r} has no TLS")
        return self._tls.client_context

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
                f"likely cause: the client connects elsewhere (this is {self.address}), or later"
            )
        return self.connections

    def _all_closed(self, timeout: float) -> tuple[ConnectionRecord, ...]:
        __tracebackhide__ = True
        _raise(tuple(self._engine.failures))
        still = self._open()
        if still:
            raise WaitTimeout(
                f"{self}: {len(still)} of {len(self.connections)} connections are still open after {timeout:g} s\n"
                f"{_lines(still)}\nlikely cause: the client was not closed{self._hang_hint()}"
            )
        return self.connections

    def _hang_hint(self) -> str:
        faults = ", ".join(map(repr, self.faults_in_force))
        return f"; faults in force: {faults}" if faults else ""

    def summary(self, since: float = 0.0) -> str:
        """At most five of its connections (those accepted after `since`, monotonic) or datagrams, one line each.

        Then the last few events of the transcript.
        """
        came: list[Any] = [record for record in self.connections if record.accepted_at >= since]
        came += [record for record in self.datagrams if record.received_at >= since]
        faults = (
            f"\n  faults in force: {', '.join(map(repr, self.faults_in_force))}"
            if self.faults_in_force
            else ""
        )
        events = (
            [f"  {line}" for line in shown(copied(self._engine.events), since)]
            if isinstance(self._engine, StreamEngine)
            else []
        )
        failed = [f"  failed: {first_line(one.error)}" for one in tuple(self._engine.failures)[:SHOWN]]
        return "\n".join([_lines(came) or "  nothing came", *failed, *events]) + faults

    # Breaking it

    @blames_the_call
    def faults(self, *faults: Fault) -> Undo:
        """Apply these faults now, to open and new connections, after those that are already in force.

        In a `with` block they are removed at its end.
        """
        added = self._engine.add_faults(check_faults(faults, self.transport))
        return Undo(lambda: self._engine.remove_faults(added))

    def refuse(self) -> Undo:
        """Refuse new connections and keep the port; open ones go on. `resume()`, or the end of a `with` block, undoes it."""
        self._engine.refuse()
        return Undo(self._resume_if_running)

    def pause(self) -> Undo:
        """Do nothing: clients connect (up to the backlog) and wait. `resume()`, or the end of a `with` block, undoes it."""
        self._engine.pause()
        return Undo(self._resume_if_running)

    def resume(self) -> None:
        """Undo `refuse()` and `pause()`."""
        self._engine.resume()

    def _resume_if_running(self) -> None:
        if not self._engine.stopped:
            self._engine.resume()

    def reset_all(self) -> None:
        """RST to every open connection: its client gets `ConnectionResetError`."""
        self._streams().reset_all()

    def close_all(self) -> None:
        """Close every open connection in order, after what is still to be sent: its client gets that and then b""."""
        self._streams().close_all()

    def _streams(self) -> StreamEngine:
        if not isinstance(self._engine, StreamEngine):
            raise ServerFault(f"{self}: UDP has no connections to end")
        return self._engine

    def stop(self) -> None:
        """Reset what is open, free the address, close the clients of `connect()`. Records stay readable."""
        __tracebackhide__ = True
        try:
            self._engine.stop()
        finally:
            for client in self._clients:
                client.close()
            self._clients.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self.stop()
        if kind is None:
            self.check()

    def __str__(self) -> str:
        return self._engine.name

    def __repr__(self) -> str:
        state = "stopped" if self._engine.stopped else f"{self._seen()} seen"
        return f"<{type(self).__name__} {self}, {state}>"


class StreamServer(Server):
    """Servers of connections; `make_connection` says what one does."""

    def __init__(
        self,
        transport: Transport,
        make_connection: Callable[[Hub, Any, StreamEngine, ConnectionRecord], Connection],
        *,
        kind: str,
        host: str,
        port: int,
        faults: Iterable[Fault],
        max_buffer: int,
        record: int,
        backlog: int,
        greeting: bytes = b"",
        make_engine: Callable[..., StreamEngine] = StreamEngine,
    ) -> None:
        check_sizes(max_buffer=max_buffer, record=record, backlog=backlog)
        bound = _bind_streams(transport, host, port, backlog)
        engine = make_engine(
            bound,
            f"{kind} {bound[0].endpoint}",
            make_connection=make_connection,
            greeting=greeting,
            max_buffer=max_buffer,
            record_size=record,
            backlog=backlog,
        )
        super().__init__(engine, transport, faults)


def _bind_streams(transport: str, host: str, port: int, backlog: int) -> list[Bound]:
    if transport != "unix":
        return listening.bind_all(socket.SOCK_STREAM, host, port, backlog)
    if port != 0 or isinstance(port, bool):
        raise SettingError(f"port={port!r}: a unix socket has no port; its path is named by host=")
    return [listening.bind_unix("" if host == "127.0.0.1" else host, backlog)]


def check_sizes(**sizes: int) -> None:
    """Whole numbers of bytes or connections; else `SettingError`."""
    __tracebackhide__ = True
    for name, value in sizes.items():
        low = 1 if name == "max_buffer" else 0
        high = LARGEST_BACKLOG if name == "backlog" else sys.maxsize
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise SettingError(f"{name}={value!r}: use a whole number, {low} or more")
        if value > high:
            raise SettingError(f"{name}={value!r}: use a whole number, {high} at most")


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


def _lines(records: list[Any]) -> str:
    lines = [f"  {record}" for record in records[:SHOWN]]
    if len(records) > SHOWN:
        lines.append(f"  and {len(records) - SHOWN} more")
    return "\n".join(lines)
