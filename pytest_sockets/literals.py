"""The words that the public names take and give, as types."""

from __future__ import annotations

from typing import Literal, TypeAlias

SocketProtocol: TypeAlias = Literal["tcp", "udp", "unix"]
"""A protocol, as `SocketEntry.protocol` has it."""
PortProtocol: TypeAlias = Literal["tcp", "udp"]
"""A protocol that has ports."""
ReservedProtocol: TypeAlias = Literal["both", "tcp", "udp"]
"""What a reserved port is free on."""
Transport: TypeAlias = Literal["tcp", "udp", "unix", "tls"]
"""What a server speaks."""
Status: TypeAlias = Literal[
    "LISTEN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "CLOSING", "NONE",
]  # fmt: skip
"""The status of a socket, in psutil's words."""
Scope: TypeAlias = Literal["process", "tree", "system"]
"""Whose sockets a table has."""
Mode: TypeAlias = Literal["off", "warn", "error"]
"""What a leak does to the run."""
ProbeResult: TypeAlias = Literal["open", "closed", "filtered"]
"""What `probe()` found."""
ClientCertificate: TypeAlias = Literal["none", "optional", "required"]
"""Whether a TLS server asks its clients for a certificate."""
ClosedBy: TypeAlias = Literal[
    "client", "client reset", "server", "teardown",
    "fault:Close", "fault:HalfClose", "fault:LimitData", "fault:Reset",
]  # fmt: skip
"""What ended a connection."""
