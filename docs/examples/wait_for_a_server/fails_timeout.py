"""Not collected as a test: it fails, and the documentation shows how."""

from pytest_sockets import wait_listening


def test_nobody_listens(free_port):
    wait_listening(free_port, timeout=0.3)
