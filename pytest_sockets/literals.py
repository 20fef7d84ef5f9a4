"""The literal values of the public names, as types."""

from __future__ import annotations

from typing import Literal, TypeAlias

SocketProtocol: TypeAlias = Literal["tcp", "udp", "unix"]
"""The protocol of a `SocketEntry`."""
PortProtocol: TypeAlias = Literal["tcp", "udp"]
"""A protocol that has ports."""
ReservedProtocol: TypeAlias = Literal["both", "tcp", "udp"]
"""The protocols on which a reserved port is free."""
Transport: TypeAlias = Literal["tcp", "udp", "unix", "tls"]
"""The transport of a server."""
Status: TypeAlias = Literal[
    "LISTEN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "CLOSING", "NONE",
]  # fmt: skip
"""The status of a socket, named as in psutil."""
Scope: TypeAlias = Literal["process", "tree", "system"]
"""Whose sockets a table has: this process, its tree, or the whole system."""
Mode: TypeAlias = Literal["off", "warn", "error"]
"""The consequence of a leak: nothing, a warning, or an error."""
ProbeResult: TypeAlias = Literal["open", "closed", "filtered"]
"""The result of `probe()`."""
ClientCertificate: TypeAlias = Literal["none", "optional", "required"]
"""Whether a TLS server asks its clients for a certificate."""
ClosedBy: TypeAlias = Literal[
    "client", "client reset", "server", "teardown",
    "fault:Close", "fault:HalfClose", "fault:LimitData", "fault:Reset",
]  # fmt: skip
"""The reason why a connection ended."""
