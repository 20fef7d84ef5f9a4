"""In a suite that makes every warning an error nothing is said about clean tests."""
# run: -W error
# outcomes: passed=2

import socket

KEPT = []


def test_closes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        KEPT.append(server)


def test_next_is_innocent():
    pass
