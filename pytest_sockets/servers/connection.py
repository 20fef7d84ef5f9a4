"""One accepted connection: its record, its two pipes with faults, and what its end is called."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from pytest_sockets.originals import monotonic
from pytest_sockets.servers.faults.base import Ending, Place
from pytest_sockets.servers.faults.pipe import Pipe
from pytest_sockets.servers.stream import CLOSED, DRAINING, HANGS, OPEN, PAUSED, TOO_MUCH, StreamSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sockets.literals import ClosedBy
    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.failures import Failures
    from pytest_sockets.servers.faults.base import ActiveFault, Stage
    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.records import ConnectionRecord
    from pytest_sockets.servers.transcript import Events

T = TypeVar("T")

SETTLE_SECONDS: Final = 0.05
"""How long after accept a reset on connect comes if the client sends nothing: a loaded machine took more than 5 ms to let
curl return from connect(), which an RST would fail in place of the first recv()."""
CONNECTING_SECONDS: Final = 1.0
"""The same for a client of `server.connect()` that is known to be inside connect(2)."""
_LOOK_AGAIN: Final = 0.002
_RESETS: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class Owner(Protocol):
    """The server of a connection."""

    max_buffer: int
    record_size: int
    connecting: set[object]
    events: Events
    failures: Failures

    def run(self, work: Callable[[], T]) -> T: ...
    def connection_gone(self, connection: Connection) -> None: ...


class Connection(StreamSocket):
    """From the client's bytes through the "in" stages to `deliver`; from `answer` through the "out" stages to the client."""

    __slots__ = (
        "_ending",
        "_room",
        "_room_out",
        "_stages",
        "fast_path",
        "inbound",
        "outbound",
        "owner",
        "record",
    )

    def __init__(self, hub: Hub, sock: RealSocket, owner: Owner, record: ConnectionRecord) -> None:
        super().__init__(hub, sock)
        self.owner = owner
        self.record = record
        self.fast_path = False
        self.inbound = Pipe(self.deliver, self.deliver_end)
        self.outbound = Pipe(self._pass_out, self.end_out)
        self._stages: dict[ActiveFault, tuple[Stage | None, Stage | None]] = {}
        self._ending: Ending | None = None
        self._room = self._room_out = owner.record_size
        record._connection = self

    # What a subclass does

    def deliver(self, data: bytes) -> None:
        """The client's bytes have passed the "in" stages."""
        raise NotImplementedError

    def deliver_end(self, ending: Ending) -> None:
        """The client's end, or a fault's, has passed the "in" stages."""
        self.outbound.end(ending)

    def opened(self) -> None:
        """The connection is in the hub, its faults are active."""

    def allows_fast_path(self) -> bool:
        """True if `received` may hand what comes in straight to `write` while no fault is in force."""
        return False

    def downstream_size(self) -> int:
        """Bytes that wait because of this client's sending; reading stops when they are too many."""
        return self.out_size + self.inbound.held + self.outbound.held

    # From the client

    def received(self, data: memoryview) -> None:
        """Bytes from the client."""
        if self._finish and self._finish != "half":
            return  # its end is decided: a service behind a proxy must not get what came after
        if self.fast_path:
            self.note_echo(data)
            self.write(data)
            if self.out_size >= self.owner.max_buffer:
                self.hold(TOO_MUCH)
        else:
            content = bytes(data)
            self.note_received(content)
            self.inbound.feed(content)
            self.balance()

    def note_received(self, data: bytes | memoryview) -> None:
        """Write the client's bytes into the record."""
        record, size = self.record, len(data)
        now = self.hub.now
        if not record.bytes_in and record.first_at is None:
            record.first_at = now
        record.last_at = now
        record.bytes_in += size
        if self._room:
            kept = bytes(data[: self._room])
            record._received.append(kept)
            self._room -= len(kept)
            self.owner.events.append((now, record.number, "in", kept))

    def note_sent(self, data: bytes | memoryview) -> None:
        """Write what goes to the client into the record."""
        if not self._room_out:
            return
        kept = bytes(data[: self._room_out])
        self.record._sent.append(kept)
        self._room_out -= len(kept)
        self.owner.events.append((self.hub.now, self.record.number, "out", kept))

    def note_echo(self, data: bytes | memoryview) -> None:
        """Write into the record what comes in and goes out unchanged. It is kept once: copies cost a third of an echo."""
        room, record, now, size = self._room, self.record, self.hub.now, len(data)
        if room != self._room_out or not room:
            self.note_received(data)
            self.note_sent(data)
            return
        if record.first_at is None:
            record.first_at = now
        kept = bytes(data if size <= room else data[:room])
        self._room = self._room_out = room - len(kept)
        record._received.append(kept)
        record._sent.append(kept)
        self.owner.events.append((now, record.number, "echo", kept))
        record.last_at = now
        record.bytes_in += size

    def read_end(self) -> None:
        """The client sends no more."""
        self.inbound.end(Ending("close", "client"))

    def lost(self, error: OSError) -> None:
        """The client reset the connection, or it broke."""
        if self._phase not in (CLOSED, DRAINING):
            by = "client" if error.errno == 0 else "client reset"
            if error.errno and error.errno not in _RESETS:
                self.record.detail = str(error)
            self._note_closed(by)
        self.destroy()

    # To the client

    def answer(self, data: bytes) -> None:
        """Send this through the "out" stages."""
        self.outbound.feed(data)

    def _pass_out(self, data: bytes) -> None:
        if self._phase == OPEN and not self._finish:
            self.note_sent(data)
        self.send_out(data)

    def send_out(self, data: bytes) -> None:
        """The "out" stages let this pass."""
        self.write(data)

    def end_out(self, ending: Ending) -> None:
        """The "out" stages let the end pass."""
        if (
            self._phase != OPEN or self._finish == "reset"
        ):  # a reset that still waits is not turned into a close
            return
        if ending.kind == "half":
            self.finish("half")
            return
        self._ending = ending
        self.finish("reset" if ending.kind == "reset" else "close")

    def _act(self) -> None:
        if self._finish == "reset" and self._may_be_connecting():
            self.hub.later(_LOOK_AGAIN, self._act, self)
        else:
            super()._act()

    def _may_be_connecting(self) -> bool:
        """Whether the client may still be inside connect(): it has sent nothing, and there was little time.

        A connect() with a timeout looks at the socket once more after the handshake, and a reset would fail it.
        """
        if self.record.bytes_in:
            return False
        age = monotonic() - self.record.accepted_at
        return age < SETTLE_SECONDS or (bool(self.owner.connecting) and age < CONNECTING_SECONDS)

    def count_out(self, size: int) -> None:
        """Bytes go to the client."""
        record = self.record
        record.bytes_out += size
        record.last_at = self.hub.now

    def flushed(self) -> None:
        """The client took some of what waited."""
        if self._held & TOO_MUCH:
            self.balance()

    def balance(self) -> None:
        """Read on, or stop reading, by how much waits. Stopping late and starting at half keeps it from fluttering."""
        size = self.downstream_size()
        if size >= self.owner.max_buffer:
            self.hold(TOO_MUCH)
        elif size <= self.owner.max_buffer // 2:
            self.resume(TOO_MUCH)

    # Its end

    def end_by(self, ending: Ending) -> None:
        """End it from the server's side, through the "out" stages."""
        self.outbound.end(ending)

    def reset_by(self, by: str) -> None:
        """RST now."""
        if self._phase not in (CLOSED, DRAINING):
            self._note_closed(by)
        self.reset()

    def finished(self) -> None:
        """FIN or RST is out."""
        self._note_closed(self._ending.by if self._ending else "server")

    def _note_closed(self, by: str) -> None:
        if self.record.closed_at is None:
            self.record.closed_by = cast("ClosedBy", by)
            self.record.closed_at = now = monotonic()
            self.owner.events.append((now, self.record.number, "closed", b""))

    def destroyed(self) -> None:
        """The descriptor is closed."""
        self.record._connection = None
        self.owner.connection_gone(self)

    def abandon(self) -> None:
        """Close the descriptor without the hub: it is stuck, or this is a forked child."""
        self._phase = CLOSED
        self.record._connection = None
        self.sock.close()

    def failed(self, error: BaseException) -> None:
        """Something raised while this connection was served: a `reply` of the user, or the engine."""
        self.owner.failures.add(error, self.describe(), accepted_at=self.record.accepted_at)
        self.record.detail = f"{type(error).__name__} in the server: {error}"
        self.reset_by("server")

    def describe(self) -> str:
        """One line."""
        return f"connection {self.record.local} <- {self.record.remote}"

    # Faults

    def apply(self, active_faults: Sequence[ActiveFault]) -> None:
        """Put these faults in force; those that were already keep their counts."""
        if self._phase not in (OPEN,):
            return
        wanted = [force for force in active_faults if force.fault.is_for(self.record.number)]
        if not wanted and not self._stages:
            self.fast_path = self.allows_fast_path()
            return
        self.fast_path = False
        old, self._stages = self._stages, {}
        for force in wanted:
            self._stages[force] = old.get(force) or self._make(force)
        made = self._stages.values()
        self.inbound.set_stages([stage for stage, _ in made if stage])
        self.outbound.set_stages([stage for _, stage in made if stage])
        self.balance()
        if not self._stages and self._phase == OPEN:
            self.fast_path = self.allows_fast_path()

    def _make(self, force: ActiveFault) -> tuple[Stage | None, Stage | None]:
        acts = force.claim()
        made: list[Stage | None] = []
        for direction in ("in", "out"):
            rng = force.rng(f"{self.record.number}/{direction}")
            works = force.fault.works_in(direction)
            made.append(force.fault.stage(Place(self, acts, rng, direction)) if works else None)
        return made[0], made[1]

    def time(self) -> float:
        """For stages: the exact time, not that of the last event."""
        return monotonic()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """For stages: a timer that ends with the connection."""
        self.hub.later(seconds, lambda: self._ring(call), self)

    def _ring(self, call: Callable[[], None]) -> None:
        if self._phase == OPEN:
            call()
            self.balance()

    def hold_reading(self) -> None:
        """For stages: read nothing more."""
        self.hold(HANGS)

    def resume_reading(self) -> None:
        """For stages: read again."""
        self.resume(HANGS)

    def pause(self, *, on: bool) -> None:
        """The server is paused, or goes on."""
        if on:
            self.hold(PAUSED)
        elif self._phase == OPEN:
            self.resume(PAUSED)
