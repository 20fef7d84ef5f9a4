"""An unbound UDP socket, closed."""

import socket

KEPT = []


def test_makes_a_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        KEPT.append(sock)


def test_next_is_innocent():
    pass
