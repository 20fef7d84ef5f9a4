"""A fixture's teardown raises before it closes: the error is reported, and so is the leak."""
# outcomes: passed=2 error=1

import socket

import pytest

SERVERS = []


@pytest.fixture
def server():
    SERVERS.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=fixture:server scope=function
    yield SERVERS[0]
    raise RuntimeError("flush failed")


def test_uses(server):
    pass


def test_next_is_innocent():
    pass
