"""A connect that timed out leaves its socket in SYN_SENT when the caller keeps it."""

import socket

import pytest

KEPT = []


def test_times_out():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # One connection fills the backlog of a listener that never accepts: further connects get no answer.
        with socket.create_connection(full.getsockname()):
            client = socket.socket()  # LEAK owner=test:test_times_out
            KEPT.append(client)
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.connect(full.getsockname())


def test_next_is_innocent():
    pass
