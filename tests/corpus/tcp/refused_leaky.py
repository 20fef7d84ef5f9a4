"""A socket whose connect was refused is still an open socket."""

import socket

import pytest

KEPT = []


def test_is_refused():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        client = socket.socket()  # LEAK owner=test:test_is_refused
        KEPT.append(client)
        with pytest.raises(ConnectionRefusedError):
            client.connect(holder.getsockname())


def test_next_is_innocent():
    pass
