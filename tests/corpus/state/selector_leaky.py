"""A global selector keeps what is registered with it."""

import os
import selectors
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
SELECTOR = selectors.DefaultSelector()


def test_registers():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_registers
    SELECTOR.register(client, selectors.EVENT_READ)


def test_next_is_innocent():
    pass
