"""A thread started by a test closes its connection and is joined."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def poll(connected):
    with socket.create_connection(PEER) as client:
        connected.set()
        client.sendall(b"x")
        client.recv(1)


def test_starts_a_poller():
    connected = threading.Event()
    thread = threading.Thread(target=poll, args=[connected], daemon=True)
    thread.start()
    assert connected.wait(10)
    thread.join()


def test_next_is_innocent():
    pass
