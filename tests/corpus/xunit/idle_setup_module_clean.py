"""teardown_module() closes what it names: what the tests left in a list that setup_module() does not know."""
# crosses: the module's list

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def setup_module():
    pass


def teardown_module():
    while KEPT:
        KEPT.pop().close()


def test_one():
    KEPT.append(socket.create_connection(PEER))


def test_two():
    KEPT.append(socket.create_connection(PEER))
