"""An object in a reference cycle, closed."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Client:
    def __init__(self):
        self.sock = socket.create_connection(PEER)
        self.on_error = self.close

    def close(self):
        self.sock.close()


def test_makes_a_cycle():
    Client().close()


def test_next_is_innocent():
    pass
