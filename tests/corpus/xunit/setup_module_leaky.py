"""setup_module() opens, teardown_module() forgets: the module's."""
# crosses: open while the module lasts

import socket

SERVER = None


def setup_module():
    global SERVER
    SERVER = socket.create_server(("127.0.0.1", 0))  # LEAK owner=module: scope=module


def test_one():
    assert SERVER.fileno() > 0


def test_two():
    assert SERVER.fileno() > 0
