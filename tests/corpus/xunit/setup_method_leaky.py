"""setup_method() and setup_function() belong to the test that they prepare."""

import socket

KEPT = []


def setup_function():
    KEPT.append(socket.socket(type=socket.SOCK_DGRAM))  # LEAK owner=test:test_function


class TestServer:
    def setup_method(self):
        KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:TestServer::test_method

    def test_method(self):
        pass


def test_function():
    pass
