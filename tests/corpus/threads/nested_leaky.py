"""A thread that one test started starts another one during the next test, which opens a socket: the first one's."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
GO, OPEN = threading.Event(), threading.Event()
KEPT = []


def open_it():
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_starts_the_first
    OPEN.set()


def wait_and_start_another():
    GO.wait(30)
    threading.Thread(target=open_it, daemon=True).start()


def test_starts_the_first():
    threading.Thread(target=wait_and_start_another, daemon=True).start()


def test_is_innocent():
    GO.set()
    assert OPEN.wait(10)


def test_next_is_innocent():
    pass
