"""All modules are imported before the first test runs: the second one's socket is not the first one's leak."""
# crosses: a global of the module

import socket

SERVER = socket.create_server(("127.0.0.1", 0))  # LEAK owner=import: phase=import


def test_second():
    pass
