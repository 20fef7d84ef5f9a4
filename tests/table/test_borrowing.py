"""Describing a socket does not change it."""

from __future__ import annotations

import os
import socket

import pytest

from pytest_sockets.table import own_socket


@pytest.mark.parametrize("flag", ["as here", "as on macOS"])
@pytest.mark.parametrize("blocking", [True, False])
def test_the_sockets_mode_stays_whatever_the_default_timeout_is(monkeypatch, flag, blocking):
    """On systems without SOCK_NONBLOCK, a new socket object with a default timeout makes its descriptor non-blocking."""
    if flag == "as on macOS":
        monkeypatch.setattr(own_socket, "_NONBLOCK", 0)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(blocking)
        socket.setdefaulttimeout(5)
        try:
            entry = own_socket.describe(sock.fileno())
        finally:
            assert socket.getdefaulttimeout() == 5
            socket.setdefaulttimeout(None)
        assert entry is not None
        assert os.get_blocking(sock.fileno()) is blocking
