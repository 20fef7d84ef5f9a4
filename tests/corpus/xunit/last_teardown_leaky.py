"""What the last test's teardown_method() or own finalizer opens is that test's, whatever wider fixture ends next."""

import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


@pytest.fixture(scope="session", autouse=True)
def workspace():
    yield


@pytest.fixture(scope="module", autouse=True)
def database():
    yield


def test_finalizer(request):
    request.addfinalizer(
        lambda: KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_finalizer phase=teardown
    )


class TestLast:
    def teardown_method(self):
        KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:TestLast::test_last phase=teardown

    def test_last(self):
        pass
