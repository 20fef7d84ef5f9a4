import os
import socket
import time

import conftest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def close_after(seconds, client):
    time.sleep(seconds)
    client.close()


def test_hands_it_over():
    client = socket.create_connection(PEER)
    conftest.EXECUTOR.submit(close_after, 0.1, client)


def test_next_is_innocent():
    pass
