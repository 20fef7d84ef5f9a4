"""A failing test leaves a listener for good: a finding on it, and never on the tests after it."""
# outcomes: passed=2 failed=1

import socket

SERVERS = []


def test_fails():
    SERVERS.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:test_fails
    assert SERVERS == []


def test_next_is_innocent():
    pass


def test_the_one_after_too():
    pass
