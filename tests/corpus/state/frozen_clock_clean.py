"""A test that stops the clock: a late closer still has its time to go."""

import os
import socket
import threading
import time
import unittest.mock

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_stops_the_clock():
    for name in ("time", "perf_counter"):
        unittest.mock.patch.object(time, name, return_value=1.0).start()
    client = socket.create_connection(PEER)
    threading.Timer(0.1, client.close).start()


def test_next_is_innocent():
    unittest.mock.patch.stopall()
