"""pytest-socket blocks: nothing was opened, and the watch itself is not blocked."""
# plugins: socket
# run: --disable-socket
# outcomes: passed=2

import os
import socket

import pytest
import pytest_socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_is_blocked():
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket()


@pytest.mark.enable_socket
def test_is_allowed():
    with socket.create_connection(PEER) as client:
        client.sendall(b"x")
