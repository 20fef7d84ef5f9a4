"""What a fixture returned is closed by the test that got it."""
# run: --sockets-unclosed=warn

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.fixture
def client():
    return socket.create_connection(PEER)


def test_uses(client):
    client.sendall(b"x")
    client.close()


def test_next_is_innocent():
    pass
