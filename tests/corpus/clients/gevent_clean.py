"""gevent's server and socket, closed."""
# needs: gevent

import os

import gevent.server
import gevent.socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_connects():
    client = gevent.socket.create_connection(PEER)
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    client.close()


def test_serves():
    server = gevent.server.StreamServer(("127.0.0.1", 0), lambda sock, address: sock.sendall(b"x"))
    server.start()
    client = gevent.socket.create_connection(("127.0.0.1", server.server_port))
    assert client.recv(1) == b"x"
    client.close()
    server.stop()


def test_next_is_innocent():
    pass
