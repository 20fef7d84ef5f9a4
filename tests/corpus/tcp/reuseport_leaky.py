"""Two listeners share one address by SO_REUSEPORT; the one that is left must be told from the one that is closed."""

import socket

KEPT = []


def listen(address):
    sock = socket.socket()  # LEAK owner=test:test_shares_a_port status=LISTEN
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    sock.listen()
    return sock


def test_shares_a_port():
    first = listen(("127.0.0.1", 0))
    KEPT.append(listen(first.getsockname()))
    first.close()


def test_next_is_innocent():
    pass
