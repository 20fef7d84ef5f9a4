"""What happened on a stream server, in order: connections opened and closed, bytes in and out."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    EventName = Literal["opened", "in", "out", "closed"]

LIMIT: Final = 10_000
"""Events that a server keeps; the oldest are dropped first."""
SHOWN: Final = 8
"""Events that the report of a failing test shows for each server."""
_PREVIEW: Final = 60


class TranscriptEvent(NamedTuple):
    """One event of a stream server, as the server saw it.

    `time` is in seconds of `time.monotonic()`, `connection` the index in `server.connections`. `data` holds the bytes of
    an "in" or "out" event: of each connection and direction the first 64 KiB, or what the server's `record` says.
    """

    time: float
    connection: int
    event: EventName
    data: bytes = b""

    def __str__(self) -> str:
        more = f"... ({len(self.data)} bytes)" if len(self.data) > _PREVIEW else ""
        return f"#{self.connection} {self.event:<6} {f'{self.data[:_PREVIEW]!r}{more}' if self.data else ''}".rstrip()


Events = collections.deque[tuple[float, int, "EventName | Literal['echo']", bytes]]
"""Plain tuples: the hub makes one for each round trip, and a named one costs five times as much.

"echo" stands for an "in" and an "out" of the same data."""


def new_events() -> Events:
    """An empty transcript, written in the hub."""
    return collections.deque(maxlen=LIMIT)


def copied(events: Events) -> tuple[TranscriptEvent, ...]:
    """The events so far; the hub may add some meanwhile."""
    while True:
        try:
            kept = tuple(events)
        except RuntimeError:  # changed during the iteration
            continue
        return tuple(event for one in kept for event in _expanded(*one))[-LIMIT:]


def _expanded(
    time: float, connection: int, event: EventName | Literal["echo"], data: bytes
) -> Iterator[TranscriptEvent]:
    if event == "echo":
        yield TranscriptEvent(time, connection, "in", data)
        yield TranscriptEvent(time, connection, "out", data)
    else:
        yield TranscriptEvent(time, connection, event, data)


def shown(events: Iterable[TranscriptEvent], since: float = 0.0) -> list[str]:
    """The last few events after `since`, one line each, with the seconds since the first of them."""
    chosen = [event for event in events if event.time >= since]
    if not chosen:
        return []
    last, began = chosen[-SHOWN:], chosen[0].time
    title = (
        "transcript" if len(last) == len(chosen) else f"transcript, the last {SHOWN} of {len(chosen)} events"
    )
    return [f"{title}:", *(f"  {event.time - began:.3f} s {event}" for event in last)]
