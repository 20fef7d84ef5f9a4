"""A forked child works with a copy of everything, exits at once and is waited for."""
# needs: posix
# crosses: the module's listener

import os
import socket

import pytest


@pytest.fixture(scope="module")
def module_listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_forks(module_listener):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if pid == 0:
            with listener.dup():
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_next_is_innocent(module_listener):
    pass
