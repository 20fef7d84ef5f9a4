"""http.client: the connection is kept and not closed."""

import http.client
import os

CONNECTIONS = []


def test_asks():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["CORPUS_HTTP"]))
    CONNECTIONS.append(connection)
    connection.request("GET", "/")  # LEAK owner=test:test_asks
    assert connection.getresponse().read() == b"ok"


def test_next_is_innocent():
    pass
