"""A module's pool is filled by a test and closed by teardown_module(): never the test's leak."""
# crosses: the module's pool

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
POOL = []


def teardown_module():
    for sock in POOL:
        sock.close()


def test_one():
    POOL.append(socket.create_connection(PEER))


def test_two():
    POOL[0].sendall(b"x")
