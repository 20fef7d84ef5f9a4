"""The last function of the module closes what a thread of its import has opened."""

import socket
import threading

WANTED, THERE = threading.Event(), threading.Event()
KEPT = []


def open_one():
    WANTED.wait(10)
    KEPT.append(socket.create_server(("127.0.0.1", 0)))
    THERE.set()


threading.Thread(target=open_one, daemon=True).start()


def test_one():
    WANTED.set()
    assert THERE.wait(10)


def teardown_module():
    KEPT.pop().close()
