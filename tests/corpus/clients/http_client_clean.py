"""http.client and urllib.request, closed."""

import http.client
import os
import urllib.request

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]
CONNECTIONS = []


def test_asks():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["CORPUS_HTTP"]))
    CONNECTIONS.append(connection)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def test_opens_a_url():
    with urllib.request.urlopen(URL) as answer:
        CONNECTIONS.append(answer)
        assert answer.read() == b"ok"


def test_next_is_innocent():
    pass
