"""A test of this module runs, and its teardown does not close what its import opened."""
# run: -k test_chosen
# crosses: a global of the module

import socket

SERVER = socket.create_server(("127.0.0.1", 0))  # LEAK owner=import: kind=open scope=module


def teardown_module():
    assert SERVER.fileno() > 0


def test_chosen():
    assert SERVER.fileno() > 0
