"""A fixture raises after it opened its server: no teardown will ever run for it."""
# outcomes: passed=1 error=1

import socket

import pytest

SERVERS = []


@pytest.fixture
def server():
    SERVERS.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=fixture:server scope=function
    raise RuntimeError("no database")


def test_never_runs(server):
    pass


def test_next_is_innocent():
    pass
