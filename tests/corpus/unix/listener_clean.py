"""A unix listener and its client, closed; pytest's and xdist's own unix sockets are nobody's."""
# run: --sockets-kinds=tcp,udp,unix

import socket

KEPT = []


def test_listens(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            accepted, _ = server.accept()
            accepted.close()
            KEPT.extend([server, client, accepted])


def test_next_is_innocent():
    pass
