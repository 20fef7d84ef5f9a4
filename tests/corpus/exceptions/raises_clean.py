"""The code under pytest.raises closes its connection."""
# run: --sockets-unclosed=warn

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def fetch():
    with socket.create_connection(PEER) as client:
        raise ValueError(client.fileno())


def test_expects_an_error():
    with pytest.raises(ValueError) as caught:
        fetch()
    assert caught.value.args[0] > 0


def test_next_is_innocent():
    pass
