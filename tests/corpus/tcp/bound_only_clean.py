"""The port is given back at the end of the test."""

import socket

KEPT = []


def test_reserves_a_port():
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    KEPT.append(holder)
    holder.bind(("127.0.0.1", 0))
    holder.close()


def test_next_is_innocent():
    pass
