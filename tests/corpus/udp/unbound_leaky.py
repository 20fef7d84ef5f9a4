"""An unbound UDP socket is in no table until it sends."""

import socket

KEPT = []


def test_makes_a_socket():
    # LEAK owner=test:test_makes_a_socket protocol=udp
    KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def test_next_is_innocent():
    pass
