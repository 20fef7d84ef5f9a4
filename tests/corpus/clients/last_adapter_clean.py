"""A global keeps a client whose socket many objects refer to, as pika's and selenium's do; it is closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


class Poller:
    def __init__(self):
        self.handlers = {}


class Transport:
    def __init__(self, poller):
        self.sock = socket.create_connection(PEER)
        self.poller = poller
        poller.handlers[self.sock.fileno()] = (self.on_event, self.sock)

    def on_event(self):
        return self.sock.recv(1)


class Connection:
    def __init__(self):
        self.poller = Poller()
        self.transport = Transport(self.poller)
        self.channels = [Channel(self)]


class Channel:
    def __init__(self, connection):
        self.connection = connection


def test_connects():
    channel = Connection().channels[0]
    KEPT.append(channel)
    channel.connection.transport.sock.close()


def test_next_is_innocent():
    pass
