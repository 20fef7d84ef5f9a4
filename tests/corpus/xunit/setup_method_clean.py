"""teardown_method() and teardown_function() close."""

import socket

KEPT = []


def setup_function():
    KEPT.append(socket.socket(type=socket.SOCK_DGRAM))


def teardown_function():
    KEPT.pop().close()


class TestServer:
    def setup_method(self):
        self.server = socket.create_server(("127.0.0.1", 0))

    def teardown_method(self):
        self.server.close()

    def test_method(self):
        pass


def test_function():
    pass
