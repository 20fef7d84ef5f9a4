"""pytest-socket blocks all tests but one, and that one leaks."""
# plugins: socket
# run: --disable-socket
# outcomes: passed=2

import os
import socket

import pytest
import pytest_socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


def test_is_blocked():
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket()


@pytest.mark.enable_socket
def test_is_allowed():
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_is_allowed
