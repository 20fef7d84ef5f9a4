"""The faults of a server.

Each fault is a value. Pass faults to a server as `faults=[...]`, or set them with `server.faults(...)` while it runs.

They act in the order given: with `[Latency(0.05), Close(after=10)]`, ten bytes arrive late, and the end follows them.
"""

from __future__ import annotations

from pytest_sockets.servers.faults.base import Fault
from pytest_sockets.servers.faults.certificates import (
    ExpiredCertificate,
    HandshakeHang,
    UntrustedCA,
    WrongHost,
)
from pytest_sockets.servers.faults.damage import Corrupt, Truncate
from pytest_sockets.servers.faults.datagrams import Drop, Duplicate, Reorder
from pytest_sockets.servers.faults.ending import Close, HalfClose, Hang, LimitData, Reset
from pytest_sockets.servers.faults.timing import Bandwidth, Latency, Slice, SlowClose

__all__ = [
    "Bandwidth",
    "Close",
    "Corrupt",
    "Drop",
    "Duplicate",
    "ExpiredCertificate",
    "Fault",
    "HalfClose",
    "HandshakeHang",
    "Hang",
    "Latency",
    "LimitData",
    "Reorder",
    "Reset",
    "Slice",
    "SlowClose",
    "Truncate",
    "UntrustedCA",
    "WrongHost",
]
