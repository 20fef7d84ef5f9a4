"""setup_module() opens, teardown_module() closes."""
# crosses: open while the module lasts

import socket

SERVER = None


def setup_module():
    global SERVER
    SERVER = socket.create_server(("127.0.0.1", 0))


def teardown_module():
    SERVER.close()


def test_one():
    assert SERVER.fileno() > 0


def test_two():
    assert SERVER.fileno() > 0
