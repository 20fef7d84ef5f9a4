"""What a handler does with its connection: blocking calls, each with a timeout, which end with the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_sockets.errors import (
    ServerFault,
    SettingError,
    SocketAssertionError,
    WaitTimeout,
    quoted,
)
from pytest_sockets.servers.byte_diff import byte_diff, excerpt
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.handler_threads import HandlerStopped

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from pytest_sockets.servers.inbox import Outcome
    from pytest_sockets.servers.records import ConnectionRecord
    from pytest_sockets.servers.scripted_stream import ScriptedStream

RECV_SIZE: Final = 65536
_SHOWN: Final = 200


class ClientGone(ServerFault, ConnectionError):
    """The client closed or reset the connection before the handler sent. A handler that lets it pass ends quietly."""


class ClientEnded(ServerFault):
    """The client closed or reset the connection before it sent what the handler must have."""


class StillWaiting(HandlerStopped):
    """The server stops while the handler waits for its client; `reason` says for what."""

    def __init__(self, reason: WaitTimeout) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ScriptedConnection:
    """One connection in the hands of its handler. To be used in the handler's thread only.

    Each call waits `timeout` seconds at most (None: until the server stops) and then raises `WaitTimeout`. What the
    client should have sent and did not send fails the test that owns the server. `recv` and `readline` return b"" when
    the client sends no more, or when the server stops.
    """

    def __init__(self, stream: ScriptedStream, timeout: float | None) -> None:
        self._stream = stream
        self._told_end = False
        self.timeout = timeout
        """Seconds that each call waits at most; None: no limit."""

    @property
    def record(self) -> ConnectionRecord:
        """The record of this connection: the same object as in `server.connections`."""
        return self._stream.record

    # Reading

    def recv(self, n: int = RECV_SIZE) -> bytes:
        """Return at least one byte, at most `n`; b"" when the client sends no more."""
        __tracebackhide__ = True
        _check_size("recv", n, 1)
        outcome, data = self._wait(lambda held: min(n, len(held)) or None)
        return data if data else self._at_end(outcome, "recv()")

    def readline(self) -> bytes:
        """Return one line with its newline; the rest without one, then b"", when the client sends no more."""
        __tracebackhide__ = True
        outcome, line = self._wait(_after(b"\n"))
        if outcome == "found":
            return line
        rest = self._stream.inbox.take_all() if outcome != "timeout" else b""
        return rest or self._at_end(outcome, "readline()")

    def recv_exactly(self, n: int) -> bytes:
        """Return exactly `n` bytes."""
        __tracebackhide__ = True
        _check_size("recv_exactly", n, 0)
        outcome, data = self._wait(lambda held: n if len(held) >= n else None)
        return data if outcome == "found" else self._missing(outcome, f"recv_exactly({n})", f"{n} bytes")

    def recv_until(self, separator: bytes) -> bytes:
        """Return all bytes up to and including `separator`."""
        __tracebackhide__ = True
        wanted = _as_bytes("recv_until", separator)
        if not wanted:
            raise SettingError("recv_until(b''): use at least one byte")
        outcome, data = self._wait(_after(wanted))
        if outcome == "found":
            return data
        return self._missing(outcome, f"recv_until({quoted(separator)})", quoted(separator))

    def expect(self, wanted: bytes | re.Pattern[bytes]) -> bytes:
        """Return the next bytes, which must be `wanted`; raises `SocketAssertionError` at the first other byte.

        A pattern must match what comes next, from its first byte; it takes the match that is there when it first
        matches, so it should end with what ends the message.
        """
        __tracebackhide__ = True
        if isinstance(wanted, re.Pattern):
            return self._expect_pattern(wanted)
        expected = _as_bytes("expect", wanted)
        outcome, data = self._wait(_differs_or_complete(expected))
        if outcome != "found":
            return self._missing(outcome, f"expect({quoted(wanted)})", quoted(wanted))
        if data != expected:
            raise SocketAssertionError(byte_diff(expected, data + self._stream.inbox.peek()))
        return data

    def _expect_pattern(self, wanted: re.Pattern[bytes]) -> bytes:
        __tracebackhide__ = True
        if not isinstance(wanted.pattern, bytes):
            raise SettingError(f"expect({wanted!r}): use a pattern of bytes, such as re.compile(b'...')")

        def find(held: bytearray) -> int | None:
            match = wanted.match(held)
            return match.end() if match else None

        outcome, data = self._wait(find)
        what = f"a match of {quoted(wanted.pattern)}"
        return (
            data if outcome == "found" else self._missing(outcome, f"expect({quoted(wanted.pattern)})", what)
        )

    # Sending and ending

    def send(self, data: bytes) -> None:
        """Send all of `data` through the faults of direction "out".

        Returns at once unless more than the server's `max_buffer` waits for the client. Raises `ClientGone` if the
        connection is closed: a handler that does not catch it ends, which is not a failure.
        """
        __tracebackhide__ = True
        content = _as_bytes("send", data)
        self._act(lambda: self._stream.answer(content))
        most = self._stream.owner.max_buffer
        if self._stream.out_size < most:
            return
        outcome, _ = self._wait(lambda _: 0 if self._stream.out_size < most else None, past_end=True)
        if outcome == "timeout":
            raise WaitTimeout(f"send(): the client took too little within {self.timeout} s\n  {self.record}")
        if outcome != "found":
            self._gone("send()")

    def half_close(self) -> None:
        """End the sending side and go on reading: the client gets b""."""
        self._act(lambda: self._stream.end_by(Ending("half", "server")))

    def close(self) -> None:
        """Close in order, after all that was sent. A handler that returns closes too."""
        self._act(lambda: self._stream.end_by(Ending("close", "server")))

    def reset(self) -> None:
        """Reset after all that was sent: the client gets that, then `ConnectionResetError`."""
        self._act(lambda: self._stream.end_by(Ending("reset", "server")))

    def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        """Speak TLS from now on, as the server; waits for the handshake. By default with a certificate of `sockets_tls`.

        Raises `ServerFault` with the reason if the handshake fails.
        """
        __tracebackhide__ = True
        if self._stream.secure:
            raise ServerFault("start_tls(): this connection speaks TLS already")
        if context is None:
            from pytest_sockets.servers.certificates import process_authority

            context = process_authority().server_context
        chosen = context
        self._act(lambda: self._stream.start_tls(chosen))
        outcome, _ = self._wait(lambda _: 0 if self._stream.is_handshaken else None)
        if outcome in ("timeout", "stopped"):
            self._missing(outcome, "start_tls()", "the client's handshake")
        if outcome != "found":
            raise ServerFault(f"start_tls(): {self.record.detail or 'the client closed'}\n  {self.record}")

    def _act(self, act: Callable[[], None]) -> None:
        __tracebackhide__ = True

        def work() -> bool:
            if self._stream.inbox.gone:
                return False
            act()
            return True

        try:
            done = self._stream.owner.run(work)
        except ServerFault as error:
            raise HandlerStopped from error
        if not done:
            self._gone("send()")

    def _gone(self, call: str) -> NoReturn:
        __tracebackhide__ = True
        by = self.record.closed_by or ""
        if by.startswith("client"):
            raise ClientGone(f"{call}: the connection is closed\n  {self.record}")
        raise HandlerStopped

    # Waiting

    def _wait(
        self, find: Callable[[bytearray], int | None], *, past_end: bool = False
    ) -> tuple[Outcome, bytes]:
        inbox = self._stream.inbox
        inbox.wanted = True
        if len(inbox) >= self._stream.owner.max_buffer // 2:
            self._read_on()
        try:
            return inbox.wait(find, self.timeout, past_end=past_end)
        finally:
            inbox.wanted = False

    def _read_on(self) -> None:
        """The hub may have stopped reading because so much waits here."""
        try:
            self._stream.owner.run(self._stream.balance)
        except ServerFault:  # stopped
            pass

    def _at_end(self, outcome: Outcome, call: str) -> bytes:
        """What `recv` and `readline` return without data: b"", once."""
        __tracebackhide__ = True
        if outcome == "timeout":
            raise WaitTimeout(self._text(f"{call}: nothing came within {self.timeout} s"))
        if self._told_end and outcome != "ended":
            raise HandlerStopped
        self._told_end = True
        return b""

    def _missing(self, outcome: Outcome, call: str, what: str) -> NoReturn:
        """End a call that cannot get what it must have."""
        __tracebackhide__ = True
        if outcome == "timeout":
            raise WaitTimeout(self._text(f"{call}: {what} did not come within {self.timeout} s"))
        if outcome == "stopped":
            raise StillWaiting(WaitTimeout(self._text(f"{call}: {what} never came; the server stopped")))
        by = self.record.closed_by or "client"
        if not by.startswith("client"):
            raise HandlerStopped  # a fault or the test closed it
        how = "reset" if by == "client reset" else "closed"
        raise ClientEnded(self._text(f"{call}: the client {how} the connection before {what} came"))

    def _text(self, headline: str) -> str:
        held = self._stream.inbox.peek()
        came = f"what came instead: {excerpt(held, most=_SHOWN)}" if held else "nothing came"
        return f"{headline}\n{came}\n  {self.record}"


def _check_size(call: str, n: object, low: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < low:
        raise SettingError(f"{call}({n!r}): use a whole number of bytes, {low} or more")


def _as_bytes(call: str, data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        hint = "; encode the text" if isinstance(data, str) else ""
        raise SettingError(f"{call}({quoted(data)}): use bytes{hint}")
    return bytes(data)


def _after(separator: bytes) -> Callable[[bytearray], int | None]:
    """Finds the end of the first `separator`; what was searched once is not searched again."""
    searched = 0

    def find(held: bytearray) -> int | None:
        nonlocal searched
        at = held.find(separator, searched)
        searched = max(0, len(held) - len(separator) + 1)
        return None if at < 0 else at + len(separator)

    return find


def _differs_or_complete(expected: bytes) -> Callable[[bytearray], int | None]:
    def find(held: bytearray) -> int | None:
        if len(held) >= len(expected):
            return len(expected)
        return None if expected.startswith(held) else len(held)

    return find
