"""del is not close()."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_deletes():
    client = socket.create_connection(PEER)  # LEAK kind=unclosed owner=test:test_deletes
    del client
    assert True


def test_next_is_innocent():
    pass
