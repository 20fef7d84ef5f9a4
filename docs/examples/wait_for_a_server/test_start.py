"""A server that the application starts itself, here in a thread."""

import http.server
import threading
import urllib.request

import pytest

from pytest_sockets import wait_listening


@pytest.fixture
def web(free_port):
    server = http.server.HTTPServer(
        ("127.0.0.1", free_port), http.server.SimpleHTTPRequestHandler, bind_and_activate=False
    )

    def run():
        server.server_bind()
        server.server_activate()
        server.serve_forever(poll_interval=0.01)

    thread = threading.Thread(target=run)
    thread.start()
    wait_listening(free_port, "127.0.0.1", process=thread)
    yield f"http://127.0.0.1:{free_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_serves(web):
    with urllib.request.urlopen(web) as answer:
        assert answer.status == 200
