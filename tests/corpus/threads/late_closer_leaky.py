"""A timer would close in a minute: far longer than the grace time."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_closes_much_too_late():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_closes_much_too_late
    timer = threading.Timer(60, client.close)
    timer.daemon = True
    timer.start()


def test_next_is_innocent():
    pass
