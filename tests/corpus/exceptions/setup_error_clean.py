"""A fixture raises after it opened its server, and closes it on the way out."""
# outcomes: passed=1 error=1

import socket

import pytest

SERVERS = []


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        SERVERS.append(sock)
        raise RuntimeError("no database")


def test_never_runs(server):
    pass


def test_next_is_innocent():
    pass
