"""A daemon thread started by a test keeps its connection and runs on."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def poll(connected):
    client = socket.create_connection(PEER)  # LEAK owner=test:test_starts_a_poller
    connected.set()
    client.recv(1)


def test_starts_a_poller():
    connected = threading.Event()
    threading.Thread(target=poll, args=[connected], daemon=True).start()
    assert connected.wait(10)


def test_next_is_innocent():
    pass
