"""An expected failure, in a test or a fixture, holds its locals for a while: not the next test's leak."""
# outcomes: passed=1 xfailed=1 error=1
# crosses: pytest keeps the traceback of the last failure
# fragile: pytest keeps the tracebacks

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.mark.xfail(strict=True)
def test_fails_as_expected():
    client = socket.create_connection(PEER)  # MAY owner=test:test_fails_as_expected
    raise AssertionError(client)


@pytest.fixture
def broken():
    client = socket.create_connection(PEER)  # MAY owner=fixture:broken
    raise RuntimeError(client)


def test_never_runs(broken):
    pass


def test_next_is_innocent():
    pass
