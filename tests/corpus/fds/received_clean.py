"""A received descriptor is closed by its number."""
# needs: posix

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_receives():
    left, right = socket.socketpair()
    with left, right, socket.create_connection(PEER) as client:
        socket.send_fds(left, [b"x"], [client.fileno()])
        _, fds, _, _ = socket.recv_fds(right, 10, 1)
        KEPT.extend(fds)
    os.close(KEPT[0])


def test_next_is_innocent():
    pass
