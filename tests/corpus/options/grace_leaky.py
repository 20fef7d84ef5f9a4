"""With a grace of zero a closer that comes later is too late."""
# run: --sockets-grace=0
# fragile: the oracle waits longer

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_closes_late():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_closes_late
    timer = threading.Timer(60.0, client.close)  # long after the run, however busy the machine is
    timer.daemon = True
    timer.start()


def test_next_is_innocent():
    pass
