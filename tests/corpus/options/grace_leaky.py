"""With a grace of zero a closer that is two seconds late is too late."""
# run: --sockets-grace=0
# fragile: the oracle waits longer

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_closes_late():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_closes_late
    threading.Timer(2.0, client.close).start()


def test_next_is_innocent():
    pass
