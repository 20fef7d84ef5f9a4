"""A descriptor received over a unix socket (SCM_RIGHTS) is an open socket that no Python object wraps."""
# needs: posix

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_receives():
    left, right = socket.socketpair()
    with left, right, socket.create_connection(PEER) as client:  # LEAK owner=test:test_receives line=optional
        socket.send_fds(left, [b"x"], [client.fileno()])
        _, fds, _, _ = socket.recv_fds(right, 10, 1)
        KEPT.extend(fds)
    assert len(KEPT) == 1


def test_next_is_innocent():
    pass
