"""A mark gives one test more grace."""
# run: --sockets-grace=0.05

import os
import socket
import threading

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.mark.sockets(grace=10)
def test_closes_late():
    client = socket.create_connection(PEER)
    threading.Timer(0.4, client.close).start()


def test_next_is_innocent():
    pass
