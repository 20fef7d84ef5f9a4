"""gevent's socket is no socket.socket, but a socket it is."""
# needs: gevent

import os

import gevent.socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


def test_connects():
    client = gevent.socket.create_connection(PEER)  # LEAK owner=test:test_connects
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    KEPT.append(client)


def test_next_is_innocent():
    pass
