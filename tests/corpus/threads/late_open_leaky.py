"""A thread that one test started opens its socket while the next test runs: still the first one's."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
GO, OPEN = threading.Event(), threading.Event()


def wait_and_open():
    GO.wait(30)
    client = socket.create_connection(PEER)  # LEAK owner=test:test_starts_the_thread
    OPEN.set()
    client.recv(1)


def test_starts_the_thread():
    threading.Thread(target=wait_and_open, daemon=True).start()


def test_is_innocent():
    GO.set()
    assert OPEN.wait(10)


def test_next_is_innocent():
    pass
