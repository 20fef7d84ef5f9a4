"""In a suite that makes every warning an error the outcomes stay as they are, also of the leaking test."""
# run: -W error
# outcomes: passed=2

import socket

KEPT = []


def test_leaks():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:test_leaks


def test_next_is_innocent():
    pass
