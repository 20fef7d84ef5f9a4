"""The fixture's fd number is taken by a client, which is closed: then one socket less is open, and none too many."""
# alone: needs the lowest free descriptor
# crosses: the module's listener

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_uses(listener):
    assert listener.fileno() > 0


def test_takes_the_number(listener):
    number = listener.fileno()
    listener.close()
    with socket.create_connection(PEER) as client:
        assert client.fileno() == number
        KEPT.append(client)


def test_next_is_innocent(listener):
    pass
