"""A test never closes a ZeroMQ client of its own; the server is the session's."""
# needs: zmq
# crosses: the session's server
# at the end: the client's connection has closed with the server

import pytest
import zmq

KEPT = []


@pytest.fixture(scope="session")
def server():
    with zmq.Context() as context, context.socket(zmq.REP) as server:
        server.linger = 0
        port = server.bind_to_random_port("tcp://127.0.0.1")
        yield server, port


def test_asks(server):
    listening, port = server
    client = zmq.Context().socket(zmq.REQ)
    client.linger = 0
    KEPT.append(client)
    client.connect(f"tcp://127.0.0.1:{port}")  # LEAK owner=test:test_asks line=optional status=ESTABLISHED
    client.send(b"a")
    assert listening.poll(5000)
    listening.send(listening.recv())
    assert client.recv() == b"a"


def test_next_is_innocent():
    pass
