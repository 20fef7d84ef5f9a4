"""Can leaks be detected on this system? A green run must not claim what nothing has checked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sockets.plugin.settings import Settings


def obstacle() -> str | None:
    """Why no leak can be detected here; None where an open socket can be told from a reused descriptor."""
    import socket

    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.table.own_fds import socket_inode

    with RealSocket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if socket_inode(probe.fileno()) is None:
            return f"{sys.platform} gives an open socket no identity that this plugin can read"
    return None


def check(config: pytest.Config, settings: Settings) -> None:
    """Refuse to fail tests for leaks where none can be found; in warn mode, say so in the header."""
    modes = {"sockets-leaks": settings.leaks, "sockets-unclosed": settings.unclosed}
    if set(modes.values()) == {"off"} or (why := obstacle()) is None:
        return
    for option, mode in modes.items():
        if mode == "error":
            raise pytest.UsageError(
                f"--{option}=error: socket leaks cannot be detected on this system, so this run would pass unchecked "
                f"({why}); use --{option}=off here"
            )
    config.pluginmanager.register(_Header(why), "sockets-leak-support")


class _Header:
    def __init__(self, why: str) -> None:
        self._why = why

    def pytest_report_header(self) -> str:
        return f"sockets: NO LEAK IS DETECTED in this run: {self._why}"
