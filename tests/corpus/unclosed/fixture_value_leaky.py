"""What a fixture returned dies after the last teardown hook of its test: named with the fixture, not the next test."""
# run: --sockets-unclosed=warn

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.fixture
def client():
    return socket.create_connection(PEER)  # LEAK kind=unclosed owner=fixture:client scope=function


def test_uses(client):
    client.sendall(b"x")


def test_next_is_innocent():
    pass
