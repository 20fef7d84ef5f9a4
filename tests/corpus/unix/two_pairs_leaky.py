"""One line makes two pairs and leaves an end of each: two leaks, not the two ends of one pair."""
# run: --sockets-kinds=unix

import socket

KEPT = []


def test_makes_two_pairs():
    for _ in range(2):
        left, right = socket.socketpair()  # LEAK owner=test:test_makes_two_pairs protocol=unix count=2
        KEPT.append(left)
        right.close()


def test_next_is_innocent():
    pass
