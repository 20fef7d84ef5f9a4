"""A closed fixture's fd number is taken by a leaked client: number and count of descriptors stay the same."""
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
    client = socket.create_connection(PEER)  # LEAK owner=test:test_takes_the_number
    assert client.fileno() == number
    KEPT.append(client)


def test_next_is_innocent(listener):
    pass
