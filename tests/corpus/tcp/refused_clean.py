"""create_connection() to a dead port closes what it made, and the caught exception holds nothing open."""

import socket

import pytest

KEPT = []


def test_is_refused():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        with pytest.raises(ConnectionRefusedError) as caught:
            socket.create_connection(holder.getsockname())
        KEPT.append(caught)


def test_next_is_innocent():
    pass
