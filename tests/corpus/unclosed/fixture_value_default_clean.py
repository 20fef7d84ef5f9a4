"""By default a returned socket that dies with its fixture is no finding."""
# crosses: the module's connection

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.fixture
def client():
    return socket.create_connection(PEER)


@pytest.fixture(scope="module")
def module_client():
    return socket.create_connection(PEER)


def test_uses(client, module_client):
    client.sendall(b"x")


def test_next_is_innocent():
    pass
