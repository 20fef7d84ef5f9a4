"""Only the accepted side is left: the line of accept() opened it."""

import socket

KEPT = []


def test_forgets_the_accepted_side():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()  # LEAK owner=test:test_forgets_the_accepted_side status=CLOSE_WAIT
        KEPT.append(accepted)


def test_next_is_innocent():
    pass
