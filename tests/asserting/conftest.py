"""A port without a listener, and a program that listens on it later."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

LATE = "import socket, sys, time; time.sleep({delay}); s = socket.create_server(('127.0.0.1', {port})); sys.stdin.read()"


@pytest.fixture
def port() -> int:
    """A port without a listener, outside the ephemeral range, so that no program gets it by chance."""
    for port in range(28_000 + 10 * (os.getpid() % 190), 30_000):  # parallel runs begin apart from each other
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def server(port: int, delay: float = 0.0, code: str = LATE, **popen) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-Ic", code.format(port=port, delay=delay)], stdin=subprocess.PIPE, **popen
    )
