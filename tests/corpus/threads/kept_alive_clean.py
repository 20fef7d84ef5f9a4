"""A fixture's HTTP server, started by a test, and a client of another fixture that is kept alive: both ends live as long."""
# crosses: the server and the client

import http.client
import http.server
import threading

import pytest


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


class Lazy:
    server = None

    def start(self):
        if self.server is None:
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


@pytest.fixture(scope="module")
def clients(lazy):
    clients = {}
    yield clients
    clients["one"].close()


def ask(client):
    client.request("HEAD", "/")
    client.getresponse().read()


def test_one(lazy, clients):
    clients["one"] = http.client.HTTPConnection(*lazy.start())
    ask(clients["one"])


def test_two(clients):
    ask(clients["one"])
