"""A local socket that nobody closes dies with its frame: kind unclosed."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_forgets():
    client = socket.create_connection(PEER)  # LEAK kind=unclosed owner=test:test_forgets
    client.sendall(b"x")


def test_next_is_innocent():
    pass
