"""Which port numbers the kernel hands out on its own, and what else it is set to do with them."""

from __future__ import annotations

import sys
from typing import Final

from pytest_sockets.originals import RealOs

_FOLDER: Final = "/proc/sys/net/ipv4"
_LINUX_DEFAULT: Final = "32768 60999"
_ELSEWHERE: Final = {"freebsd": (10000, 65535), "openbsd": (1024, 49151)}
_IANA_DYNAMIC: Final = (49152, 65535)  # the default of macOS and Windows


def ephemeral_range() -> tuple[int, int]:
    """Return the lowest and highest port that bind(0) and connect() may take; the system's default if it is hidden."""
    if sys.platform != "linux":
        known = (span for name, span in _ELSEWHERE.items() if sys.platform.startswith(name))
        return next(known, _IANA_DYNAMIC)
    low, high = map(int, (setting("ip_local_port_range") or _LINUX_DEFAULT).split())
    return low, high


def setting(name: str) -> str:
    """Return the content of a file of /proc/sys/net/ipv4; empty if there is none."""
    try:
        return RealOs.content(f"{_FOLDER}/{name}").decode("ascii").strip()
    except OSError:  # gVisor and hardened containers hide some
        return ""
