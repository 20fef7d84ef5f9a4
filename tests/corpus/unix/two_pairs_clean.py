"""One line makes two pairs; all four ends are closed."""
# run: --sockets-kinds=unix

import socket

KEPT = []


def test_makes_two_pairs():
    for _ in range(2):
        left, right = socket.socketpair()
        left.close()
        right.close()


def test_next_is_innocent():
    pass
