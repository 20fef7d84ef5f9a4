"""Bound, never listening: no socket table shows it, yet the port is taken."""

import socket

KEPT = []


def test_reserves_a_port():
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # LEAK owner=test:test_reserves_a_port
    holder.bind(("127.0.0.1", 0))
    KEPT.append(holder)


def test_next_is_innocent():
    pass
