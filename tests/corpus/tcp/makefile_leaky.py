"""close() on a socket whose makefile() lives is put off until the file is closed: the socket stays open."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_closes_the_socket_but_not_its_file():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_closes_the_socket_but_not_its_file
    KEPT.append(client.makefile("rb"))
    client.close()


def test_next_is_innocent():
    pass
