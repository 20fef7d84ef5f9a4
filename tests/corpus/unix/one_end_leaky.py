"""socketpair(): one end is closed, the other is left."""
# run: --sockets-kinds=unix

import socket

KEPT = []


def test_makes_a_pair():
    left, right = socket.socketpair()  # LEAK owner=test:test_makes_a_pair protocol=unix
    KEPT.append(left)
    right.close()


def test_next_is_innocent():
    pass
