"""The hub's side of a scripted connection: bytes go to the handler's inbox, TLS can begin at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pytest_sockets.servers.connection import Connection
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.inbox import Inbox
from pytest_sockets.servers.tls import TlsConnection

if TYPE_CHECKING:
    import ssl

    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.scripted_engine import ScriptedEngine

READS_AT_STOP = 16
"""How often a stopping server reads what its client has sent until then: 4 MiB at most."""


class ScriptedStream(TlsConnection):
    """A connection whose answers come from a handler. `secure`: it is, or becomes, TLS."""

    __slots__ = ("begun", "inbox", "secure")

    def __init__(self, hub: Hub, *rest: Any, context: ssl.SSLContext | None, secure: bool) -> None:
        super().__init__(hub, *rest, None, context=context)
        self.inbox = Inbox()
        self.secure = secure
        self.begun = False

    def opened(self) -> None:
        """The handler begins now; over TLS only after the handshake."""
        if not self.secure:
            cast("ScriptedEngine", self.owner).begin(self)

    def _shake_hands(self) -> bool:
        done = super()._shake_hands()
        if done and not self.begun:
            cast("ScriptedEngine", self.owner).begin(self)
        self.inbox.wake()
        return done

    @property
    def is_handshaken(self) -> bool:
        """TLS protects what is sent from now on."""
        return self._handshaken

    def start_tls(self, context: ssl.SSLContext) -> None:
        """What comes next is TLS, also what has come already: the client may be faster than the handler."""
        import ssl

        early = self.inbox.take_all()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.secure = True
        if early:
            self._forget(early)
            self.received(memoryview(early))

    def _forget(self, early: bytes) -> None:
        """Take cipher text out of the record, which has plain text only."""
        record, events = self.record, self.owner.events
        record.bytes_in -= len(early)
        received = record.received
        if received.endswith(early):
            record._received[:] = [received[: -len(early)]]
            self._room += len(early)
        for event in [one for one in events if one[1:3] == (record.number, "in")][::-1]:
            if not early.endswith(event[3]):
                break
            early = early[: -len(event[3])]
            events.remove(event)

    def received(self, data: memoryview) -> None:
        """Bytes from the client, cipher text once TLS has begun."""
        if self.secure:
            super().received(data)
        else:
            Connection.received(self, data)

    def send_out(self, data: bytes) -> None:
        """The "out" stages let this pass."""
        if self.secure:
            super().send_out(data)
        else:
            Connection.send_out(self, data)

    def count_out(self, size: int) -> None:
        """Bytes go to the client."""
        if self.secure:
            super().count_out(size)
        else:
            Connection.count_out(self, size)

    def deliver(self, data: bytes) -> None:
        """To the handler."""
        self.inbox.put(data)

    def deliver_end(self, ending: Ending) -> None:
        """The client's end is the handler's to answer. A fault's end is the connection's."""
        self.inbox.end()
        if ending.by != "client":
            self.outbound.end(ending)

    def downstream_size(self) -> int:
        """What the handler has not read counts too, unless it waits for more."""
        return super().downstream_size() + (0 if self.inbox.wanted else len(self.inbox))

    def flushed(self) -> None:
        """A handler may wait until the client takes what was sent."""
        super().flushed()
        self.inbox.wake()

    def break_off(self) -> None:
        """Reset after all that was sent, or at once if the client does not take it."""
        if self.out_size:
            self.reset_by("server")
        else:
            self.end_by(Ending("reset", "server"))

    def read_rest(self) -> None:
        """Read what the client has sent until now."""
        for _ in range(READS_AT_STOP):
            if self._held or self._phase:
                break
            self._read()

    def _note_closed(self, by: str) -> None:
        super()._note_closed(by)
        self.inbox.close()

    def destroyed(self) -> None:
        """The descriptor is closed."""
        super().destroyed()
        self.inbox.close()

    def abandon(self) -> None:
        """Close the descriptor without the hub."""
        super().abandon()
        self.inbox.close()
