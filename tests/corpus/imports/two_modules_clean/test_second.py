"""A socket opened at import is closed by the first test of its module that uses it."""
# crosses: a global of the module

import socket

SERVER = socket.create_server(("127.0.0.1", 0))


def test_second():
    SERVER.close()
