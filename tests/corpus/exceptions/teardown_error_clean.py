"""A fixture's teardown raises, but closes first."""
# outcomes: passed=2 error=1

import socket

import pytest

SERVERS = []


@pytest.fixture
def server():
    SERVERS.append(socket.create_server(("127.0.0.1", 0)))
    try:
        yield SERVERS[0]
        raise RuntimeError("flush failed")
    finally:
        SERVERS[0].close()


def test_uses(server):
    pass


def test_next_is_innocent():
    pass
