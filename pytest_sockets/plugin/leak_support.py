"""Can leaks be detected on this system? A green run must not claim what nothing has checked. Not needed on Linux."""

from __future__ import annotations

import functools
import sys
import weakref
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_sockets.plugin.settings import Settings

_REFUSAL: Final = "socket leaks cannot be detected on this system, so this run would pass unchecked"


@functools.cache
def obstacle() -> str | None:
    """Why no leak can be detected here; None where an open socket can be told from a closed one."""
    import socket

    from pytest_sockets.leaks.identity import Serials
    from pytest_sockets.real_socket import RealSocket

    serials = Serials()
    try:
        with RealSocket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            fd = probe.fileno()
            known = serials.claim(fd, weakref.ref(probe)) == serials.at(fd)
    except OSError as error:
        return f"{sys.platform} gives this process no socket: {error}"
    if known and serials.at(fd) is None:
        return None
    return f"{sys.platform} gives an open socket no identity that this plugin can read"


def check(config: pytest.Config, settings: Settings) -> None:
    """Refuse to fail tests for leaks where none can be found; the header says what is not detected."""
    modes = {"sockets-leaks": settings.leaks, "sockets-unclosed": settings.unclosed}
    if set(modes.values()) == {"off"}:
        return
    why = obstacle()
    if why is None:
        text = _unseen()
    else:
        text = f"NO LEAK IS DETECTED in this run: {why}"
        for option, mode in modes.items():
            if mode == "error":
                raise pytest.UsageError(f"--{option}=error: {_REFUSAL} ({why}); use --{option}=off here")
    if text is not None:
        config.pluginmanager.register(_Header(text), "sockets-leak-support")


def refusal_of_mark() -> str | None:
    """Why a mark may not ask for `error`; None if it may."""
    why = obstacle()
    return f'leaks="error": {_REFUSAL} ({why}); use leaks="off" here' if why is not None else None


def _unseen() -> str | None:
    from pytest_sockets.table import own_fds

    try:
        own_fds.socket_inodes()
    except OSError:
        return f"{sys.platform} cannot list descriptors: sockets that C code opened, and detached ones, are not detected"
    return None


class _Header:
    def __init__(self, text: str) -> None:
        self._text = text

    def pytest_report_header(self) -> str:
        return f"sockets: {self._text}"
