"""Name look-ups leave nothing."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_looks_up():
    KEPT.append(socket.getaddrinfo("localhost", PEER[1]))
    KEPT.append(socket.gethostbyname("localhost"))
    with socket.create_connection(("localhost", PEER[1])) as client:
        KEPT.append(client)


def test_next_is_innocent():
    pass
