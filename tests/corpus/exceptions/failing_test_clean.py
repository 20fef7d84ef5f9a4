"""A failing test's local is kept alive by its own traceback: not the next test's leak.

Naming the failing test itself would be true, but is not asked for: its socket goes with its traceback.
"""
# outcomes: passed=2 failed=2
# crosses: pytest keeps the traceback of the last failure in sys.last_traceback
# fragile: pytest keeps the tracebacks

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def test_fails():
    client = socket.create_connection(PEER)  # MAY owner=test:test_fails
    assert client.fileno() < 0


def test_next_is_innocent():
    pass


def test_fails_without_socket():
    raise AssertionError


def test_the_last_is_innocent():
    pass
