"""socketpair(): both ends are closed."""
# run: --sockets-kinds=tcp,udp,unix

import socket

KEPT = []


def test_makes_a_pair():
    left, right = socket.socketpair()
    KEPT.extend([left, right])
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"


def test_next_is_innocent():
    pass
