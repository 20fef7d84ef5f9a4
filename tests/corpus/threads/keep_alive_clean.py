"""A session's HTTP server and a session's client keep a connection alive between tests; both ends are theirs."""
# needs: requests
# crosses: the session's server and client

import http.server
import threading

import pytest
import requests


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def client():
    with requests.Session() as session:
        yield session


def test_one(url, client):
    assert client.get(url).status_code == 204


def test_two(url, client):
    assert client.get(url).status_code == 204
