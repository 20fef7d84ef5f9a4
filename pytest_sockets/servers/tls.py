"""An echo connection over TLS. The engine reads and writes sockets; TLS only turns bytes into bytes (ssl.MemoryBIO).

So the hub never blocks in a handshake, and `ssl.SSLSocket`, which pytest-socket and gevent replace, is not used.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.servers.echo_connection import EchoConnection
from pytest_sockets.servers.faults.base import Ending
from pytest_sockets.servers.stream import ENDED, OPEN

if TYPE_CHECKING:
    from pytest_sockets.servers.hub import Hub

_PIECE = 256 * 1024


_CAUSES: Final = (
    ("ALERT_UNKNOWN_CA", "the client does not trust the authority of this certificate; give it the server's client_context, "
     "or sockets_tls.ca_file"),
    ("ALERT_BAD_CERTIFICATE", "the client rejects this certificate, most likely because it asked for another host name"),
    ("ALERT_CERTIFICATE_EXPIRED", "the client rejects this certificate because it has expired"),
    ("ALERT_CERTIFICATE_UNKNOWN", "the client rejects this certificate; its own error says why"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the client has no certificate, and this server requires one; give it the "
     "server's client_context, or the files of sockets_tls.issue()"),
    ("CERTIFICATE_VERIFY_FAILED", "the client's certificate is not valid here; use one of sockets_tls.issue()"),
    ("UNSUPPORTED_PROTOCOL", "client and server have no TLS version in common"),
    ("PROTOCOL_VERSION", "client and server have no TLS version in common"),
    ("NO_SHARED_CIPHER", "client and server have no cipher in common"),
    ("HTTP_REQUEST", "the client speaks plain HTTP; use https in its URL"),
    ("WRONG_VERSION_NUMBER", "the client does not speak TLS"),
    ("UNEXPECTED_MESSAGE", "the client does not speak TLS as expected"),
)  # fmt: skip
"""Reasons of OpenSSL, and what the server's side means by each."""


def handshake_failure(error: ssl.SSLError) -> str:
    """The reason of a failed handshake with its likely cause, as the server sees it."""
    reason = error.reason or str(error)
    cause = next((text for word, text in _CAUSES if word in reason), "")
    verify = getattr(error, "verify_message", "")
    return f"TLS handshake failed: {reason}{f' ({verify})' if verify else ''}{f': {cause}' if cause else ''}"


class TlsConnection(EchoConnection):
    """Decrypts what comes in and encrypts what goes out. `context` None: the handshake hangs."""

    __slots__ = ("_handshaken", "_incoming", "_kept", "_outgoing", "_said_goodbye", "_tls")

    def __init__(self, hub: Hub, *rest: Any, context: ssl.SSLContext | None) -> None:
        super().__init__(hub, *rest)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshaken = False
        self._said_goodbye = False
        self._kept: list[bytes] = []

    def allows_fast_path(self) -> bool:
        """Never: every byte is turned."""
        return False

    def received(self, data: memoryview) -> None:
        """Cipher text from the client."""
        if self._tls is None or (self._finish and self._finish != "half"):
            return
        self._incoming.write(data)
        if self._handshaken or self._shake_hands():
            self._decrypt()
        self.balance()

    def _shake_hands(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_cipher_text()
            return False
        except ssl.SSLError as error:
            self.record.detail = handshake_failure(error)
            self._said_goodbye = True
            self._send_cipher_text()
            self.end_by(Ending("cut", "client"))
            return False
        self._handshaken = True
        self._send_cipher_text()
        kept, self._kept = self._kept, []
        for data in kept:
            self.send_out(data)
        return True

    def _decrypt(self) -> None:
        assert self._tls is not None
        while self._phase == OPEN:
            try:
                data = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                if not isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
                    self.record.detail = f"TLS: {error.reason or error}"
                data = b""
            if not data:
                if not self.is_held(ENDED):
                    self.hold(ENDED)
                    super().read_end()
                break
            self.note_received(data)
            self.inbound.feed(data)
        self._send_cipher_text()  # alerts, key updates

    def read_end(self) -> None:
        """TCP ended, with or without TLS's good-bye."""
        if not self._handshaken and self._tls is not None and not self.record.detail:
            self.record.detail = "ended before the TLS handshake was done"
        super().read_end()

    def send_out(self, data: bytes) -> None:
        """Encrypt; before the handshake is done: keep."""
        if self._phase != OPEN or self._finish or self._said_goodbye:
            return
        if not self._handshaken:
            self._kept.append(data)
            return
        assert self._tls is not None
        self.record.bytes_out += len(data)
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view[:_PIECE]) :]
            self._send_cipher_text()

    def _send_cipher_text(self) -> None:
        data = self._outgoing.read()
        if data:
            self.write(data)

    def count_out(self, size: int) -> None:  # noqa: ARG002
        """Cipher text goes out; the record counts plain text, in `send_out`."""
        self.record.last_at = self.hub.now
        if self._ending is not None and self._said_goodbye and len(self._out) <= 1:
            self.finished()  # to who reads the good-bye that goes now, this is the end

    def end_out(self, ending: Ending) -> None:
        """An orderly end says good-bye (close_notify) first."""
        if self._handshaken and not self._said_goodbye and ending.kind in ("close", "half"):
            self._said_goodbye = True
            if ending.kind == "close":
                self._ending = ending
            assert self._tls is not None
            try:
                self._tls.unwrap()
            except ssl.SSLError:  # it would wait for the client's good-bye; ours is written
                pass
            self._send_cipher_text()
        super().end_out(ending)
