"""shutdown() followed by close()."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_shuts_down():
    client = socket.create_connection(PEER)
    client.shutdown(socket.SHUT_RDWR)
    client.close()
    KEPT.append(client)


def test_next_is_innocent():
    pass
