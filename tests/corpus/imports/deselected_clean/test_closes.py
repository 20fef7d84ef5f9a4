"""Only this module's teardown closes what its import opened; with all of its tests deselected, nothing calls it."""
# run: -k test_chosen
# crosses: a global of the module
# at the end: nothing could close it in this run, so it is not reported

import socket

SERVER = socket.create_server(("127.0.0.1", 0))


def teardown_module():
    SERVER.close()


def test_left_out():
    assert SERVER.fileno() > 0
