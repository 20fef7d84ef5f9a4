"""socketpair(): both ends are left; one connection counts once."""
# run: --sockets-kinds=tcp,udp,unix

import socket

KEPT = []


def test_makes_a_pair():
    KEPT.extend(socket.socketpair())  # LEAK owner=test:test_makes_a_pair protocol=unix


def test_next_is_innocent():
    pass
