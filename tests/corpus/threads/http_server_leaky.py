"""A module fixture shuts its http.server down without server_close(): only the interpreter closes the listener."""
# run: --sockets-unclosed=warn
# crosses: the module's server

import http.server
import threading
import urllib.request

import pytest


@pytest.fixture(scope="module")
def url():
    server = http.server.HTTPServer(  # LEAK kind=unclosed owner=fixture:url scope=module
        ("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler
    )
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


def test_asks(url):
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200


def test_next_is_innocent():
    pass
