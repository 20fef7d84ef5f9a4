"""A module whose setup_module() and teardown_module() do something else takes no leak of its tests upon itself."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []
LOG = []


def setup_module():
    LOG.append("set up")


def teardown_module():
    LOG.append("torn down")


def test_one():
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_one


def test_two():
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_two
