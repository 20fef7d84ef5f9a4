"""A thread that one test started opens and closes while the next test runs."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
GO, DONE = threading.Event(), threading.Event()


def wait_and_open():
    GO.wait(30)
    with socket.create_connection(PEER):
        pass
    DONE.set()


def test_starts_the_thread():
    threading.Thread(target=wait_and_open, daemon=True).start()


def test_is_innocent():
    GO.set()
    assert DONE.wait(10)


def test_next_is_innocent():
    pass
