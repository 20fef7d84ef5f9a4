"""A stored exception keeps a frame whose connection was closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
ERRORS = []


def fetch():
    client = socket.create_connection(PEER)
    try:
        raise ValueError(client.fileno())
    finally:
        client.close()


def test_collects_errors():
    try:
        fetch()
    except ValueError as error:
        ERRORS.append(error)


def test_next_is_innocent():
    pass
