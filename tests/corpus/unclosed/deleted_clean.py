"""close() before del; a detached socket object dies without a socket."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_deletes():
    client = socket.create_connection(PEER)
    client.close()
    del client


def test_detaches():
    client = socket.create_connection(PEER)
    fd = client.detach()
    del client
    os.close(fd)
