"""Two listeners share one address by SO_REUSEPORT and both are closed."""

import socket

KEPT = []


def listen(address):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    sock.listen()
    KEPT.append(sock)
    return sock


def test_shares_a_port():
    first = listen(("127.0.0.1", 0))
    second = listen(first.getsockname())
    first.close()
    second.close()


def test_next_is_innocent():
    pass
