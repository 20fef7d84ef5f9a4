"""A test module opens a socket when it is imported: not the leak of whichever test runs first or last."""
# crosses: a global of the module

import socket

SERVER = socket.create_server(("127.0.0.1", 0))  # LEAK owner=import: phase=import


def test_one():
    assert SERVER.fileno() > 0


def test_two():
    assert SERVER.fileno() > 0
