"""A session's ZeroMQ client connects inside a test, by libzmq's own thread, once the server listens."""
# needs: zmq
# crosses: the session's client and server

import pytest
import zmq


@pytest.fixture(scope="session")
def server():
    with zmq.Context() as context, context.socket(zmq.REP) as server:
        server.linger = 0
        port = server.bind_to_random_port("tcp://127.0.0.1")
        yield server, port


@pytest.fixture(scope="session")
def client():
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.linger = 0
        yield client


def test_connects_late(server, client):
    listening, port = server
    client.connect(f"tcp://127.0.0.1:{port}")
    client.send(b"a")
    assert listening.poll(5000)
    listening.send(listening.recv())
    assert client.recv() == b"a"


def test_next_is_innocent():
    pass
