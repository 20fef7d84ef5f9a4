"""A module fixture shuts its http.server down and closes it."""
# run: --sockets-unclosed=warn
# crosses: the module's server

import http.server
import threading
import urllib.request

import pytest


@pytest.fixture(scope="module")
def url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_asks(url):
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200


def test_next_is_innocent():
    pass
