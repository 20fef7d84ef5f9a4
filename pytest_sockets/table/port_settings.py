"""The kernel's settings for ports: the ephemeral range, and files of /proc/sys/net/ipv4."""

from __future__ import annotations

import sys
from typing import Final

from pytest_sockets.originals import RealOs

_FOLDER: Final = "/proc/sys/net/ipv4"
_LINUX_DEFAULT: Final = (32768, 60999)
_ELSEWHERE: Final = {"freebsd": (10000, 65535), "openbsd": (1024, 49151)}
_IANA_DYNAMIC: Final = (49152, 65535)  # the default of macOS and Windows


def ephemeral_range() -> tuple[int, int]:
    """Return the lowest and highest port that bind(0) and connect() may take.

    If the setting is hidden or malformed (an emulated kernel), return the system's default.
    """
    if sys.platform != "linux":
        known = (span for name, span in _ELSEWHERE.items() if sys.platform.startswith(name))
        return next(known, _IANA_DYNAMIC)
    try:
        low, high = map(int, setting("ip_local_port_range").split())
    except ValueError:
        return _LINUX_DEFAULT
    return low, high


def setting(name: str) -> str:
    """Return the content of a file of /proc/sys/net/ipv4; "" if it cannot be read."""
    try:
        return RealOs.content(f"{_FOLDER}/{name}").decode("ascii").strip()
    except OSError:  # gVisor and hardened containers hide some
        return ""
