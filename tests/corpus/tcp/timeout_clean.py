"""create_connection() that times out closes its socket."""

import socket

import pytest


def test_times_out():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), pytest.raises(TimeoutError):
            socket.create_connection(full.getsockname(), timeout=0.1)


def test_next_is_innocent():
    pass
