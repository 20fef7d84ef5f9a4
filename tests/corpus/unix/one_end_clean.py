"""socketpair(): both ends are closed, in an order of their own."""
# run: --sockets-kinds=unix

import socket

KEPT = []


def test_makes_a_pair():
    left, right = socket.socketpair()
    KEPT.append(left)
    right.close()
    left.close()


def test_next_is_innocent():
    pass
