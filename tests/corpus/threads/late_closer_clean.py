"""A thread closes 100 ms after its test has ended: within the grace time."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_closes_a_little_late():
    client = socket.create_connection(PEER)
    threading.Timer(0.1, client.close).start()


def test_next_is_innocent():
    pass
