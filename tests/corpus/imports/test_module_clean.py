"""What a test module opens at import is closed by its teardown_module()."""
# crosses: a global of the module

import socket

SERVER = socket.create_server(("127.0.0.1", 0))

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    PORT = probe.getsockname()[1]


def teardown_module():
    SERVER.close()


def test_one():
    assert SERVER.fileno() > 0


def test_two():
    assert PORT > 0
