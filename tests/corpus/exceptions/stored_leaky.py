"""A stored exception keeps the frame of the function that opened the connection."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
ERRORS = []


def fetch():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_collects_errors
    raise ValueError(client.fileno())


def test_collects_errors():
    try:
        fetch()
    except ValueError as error:
        ERRORS.append(error)


def test_next_is_innocent():
    pass
