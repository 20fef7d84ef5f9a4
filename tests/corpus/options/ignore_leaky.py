"""Rules that meet only part of what leaks: all pairs of a rule must hold."""
# run: --sockets-ignore=protocol=udp --sockets-ignore=status=LISTEN

import socket

KEPT = []


def test_leaks_three():
    KEPT.append(socket.socket(type=socket.SOCK_DGRAM))
    KEPT.append(socket.create_server(("127.0.0.1", 0)))
    client = socket.create_connection(KEPT[1].getsockname())  # LEAK owner=test:test_leaks_three
    KEPT.append(client)


def test_next_is_innocent():
    pass
