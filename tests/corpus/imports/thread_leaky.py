"""A thread that the module's import has started opens a socket while a test runs: the import's."""

import socket
import threading

WANTED, THERE = threading.Event(), threading.Event()
KEPT = []


def open_one():
    WANTED.wait(10)
    KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=import:
    THERE.set()


threading.Thread(target=open_one, daemon=True).start()


def test_one():
    WANTED.set()
    assert THERE.wait(10)
