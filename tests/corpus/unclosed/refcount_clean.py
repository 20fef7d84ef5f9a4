"""A local socket that is closed, with the same option."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_remembers():
    client = socket.create_connection(PEER)
    client.sendall(b"x")
    client.close()


def test_uses_with():
    with socket.create_connection(PEER) as client:
        client.sendall(b"x")


def test_is_refused():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        try:
            socket.create_connection(holder.getsockname())
        except ConnectionRefusedError:
            pass
