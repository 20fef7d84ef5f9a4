"""A flaky test and its function and module fixtures close in both attempts; the failed attempt's locals are kept."""
# plugins: rerunfailures
# run: --reruns=1
# outcomes: passed=2 rerun=1
# crosses: the module's socket

import socket

import pytest

ATTEMPTS = []


@pytest.fixture(scope="module")
def module_socket():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def server(module_socket):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_flaky(server):
    ATTEMPTS.append(1)
    with socket.create_connection(server.getsockname()) as client:
        assert client.fileno() > 0
        assert len(ATTEMPTS) == 2


def test_next_is_innocent():
    pass
