"""Without --sockets-unclosed a local socket that dies by reference count is no finding."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_forgets():
    client = socket.create_connection(PEER)
    client.sendall(b"x")


def test_next_is_innocent():
    pass
