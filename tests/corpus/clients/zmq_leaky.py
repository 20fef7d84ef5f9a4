"""libzmq's listener has no Python object behind it; its I/O threads keep it."""
# needs: zmq

import zmq

CONTEXT = zmq.Context()
KEPT = []


def test_replies():
    server = CONTEXT.socket(zmq.REP)
    server.linger = 0
    server.bind("tcp://127.0.0.1:*")  # LEAK owner=test:test_replies line=optional status=LISTEN
    KEPT.append(server)


def test_next_is_innocent():
    pass
