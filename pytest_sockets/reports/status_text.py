"""The meaning of a status for a socket that should be closed."""

from __future__ import annotations

from typing import Final

STATUS_WORDS: Final = {
    "LISTEN": "still accepts connections",
    "ESTABLISHED": "both sides are open",
    "SYN_SENT": "still connecting: the peer has not answered",
    "SYN_RECV": "a connection in its handshake",
    "FIN_WAIT1": "this side closed, the peer has not confirmed",
    "FIN_WAIT2": "this side closed, the peer did not",
    "TIME_WAIT": "closed; the kernel keeps the port for a minute",
    "CLOSE": "not connected: never was, or the peer reset it",
    "CLOSE_WAIT": "the peer closed, this side did not",
    "LAST_ACK": "closed, waiting for the peer's last acknowledgement",
    "CLOSING": "both sides are closing",
    "NONE": "open",
}
