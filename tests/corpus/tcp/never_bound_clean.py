"""A socket that never got an address is closed."""

import socket

KEPT = []


def test_makes_a_socket():
    KEPT.append(socket.socket())
    KEPT.pop().close()


def test_next_is_innocent():
    pass
