"""A socket that never got an address is a leaked descriptor all the same."""

import socket

KEPT = []


def test_makes_a_socket():
    KEPT.append(socket.socket())  # LEAK owner=test:test_makes_a_socket protocol=tcp


def test_next_is_innocent():
    pass
