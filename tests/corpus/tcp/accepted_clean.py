"""The accepted side is closed as well."""

import socket

KEPT = []


def test_closes_the_accepted_side():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        KEPT.append(accepted)
        accepted.close()


def test_next_is_innocent():
    pass
