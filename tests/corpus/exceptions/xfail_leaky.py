"""A test that is expected to fail leaks like any other."""
# outcomes: passed=1 xfailed=1

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


@pytest.mark.xfail(strict=True)
def test_fails_as_expected():
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_fails_as_expected
    raise AssertionError


def test_next_is_innocent():
    pass
