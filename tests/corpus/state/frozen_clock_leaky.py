"""A test that stops the clock and sleep() for good neither hides its leak nor hangs the run."""

import os
import socket
import time
import unittest.mock

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_stops_the_clock():
    for name in ("time", "monotonic", "perf_counter", "sleep"):
        unittest.mock.patch.object(time, name, return_value=1.0).start()
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_stops_the_clock


def test_next_is_innocent():
    unittest.mock.patch.stopall()
