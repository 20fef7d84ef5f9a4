"""By default garbage in a cycle is no finding, also in a suite that switched the collector off."""
# alone: switches the collector off

import gc
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Client:
    def __init__(self):
        self.sock = socket.create_connection(PEER)
        self.myself = self


def test_makes_a_cycle():
    gc.disable()
    Client()


def test_next_is_innocent():
    pass
