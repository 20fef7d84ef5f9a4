"""What is registered with a global selector is taken out and closed."""

import os
import selectors
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
SELECTOR = selectors.DefaultSelector()


def test_registers():
    client = socket.create_connection(PEER)
    SELECTOR.register(client, selectors.EVENT_READ)
    SELECTOR.unregister(client)
    client.close()


def test_next_is_innocent():
    pass
