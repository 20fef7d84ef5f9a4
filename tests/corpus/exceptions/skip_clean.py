"""A test that skips inside its with block."""
# outcomes: passed=1 skipped=1

import socket

import pytest

SERVERS = []


def test_skips_late():
    with socket.create_server(("127.0.0.1", 0)) as server:
        SERVERS.append(server)
        pytest.skip("too late")


def test_next_is_innocent():
    pass
