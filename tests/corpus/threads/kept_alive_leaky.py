"""A test starts the fixture's HTTP server, and keeps a connection alive that nobody closes."""
# crosses: the server

import http.client
import http.server
import threading

import pytest

KEPT = []


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


class Lazy:
    def start(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever).start()
        return self.server.server_address

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def lazy():
    lazy = Lazy()
    yield lazy
    lazy.stop()


def test_one(lazy):
    client = http.client.HTTPConnection(*lazy.start())
    client.request("HEAD", "/")  # LEAK owner=test:test_one
    client.getresponse().read()
    KEPT.append(client)


def test_two(lazy):
    pass
