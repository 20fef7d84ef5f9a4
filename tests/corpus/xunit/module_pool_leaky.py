"""setup_module() makes a pool, a test fills it, teardown_module() forgets it: the module's leak."""
# crosses: the module's pool

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
POOL = None


def setup_module():
    global POOL
    POOL = []


def teardown_module():
    for sock in POOL:
        sock.shutdown(socket.SHUT_RDWR)


def test_one():
    POOL.append(socket.create_connection(PEER))  # LEAK owner=module: scope=module


def test_two():
    POOL[0].sendall(b"x")
