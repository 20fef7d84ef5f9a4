"""What the last test's teardown_method() or own finalizer opens, it closes."""

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.fixture(scope="session", autouse=True)
def workspace():
    yield
    socket.create_connection(PEER).close()


def say_goodbye():
    with socket.create_connection(PEER) as conn:
        conn.sendall(b"bye")


def test_finalizer(request):
    request.addfinalizer(say_goodbye)


class TestLast:
    def teardown_method(self):
        say_goodbye()

    def test_last(self):
        pass
