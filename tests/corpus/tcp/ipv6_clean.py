"""An IPv6 listener and its client, closed."""

import socket

import pytest

KEPT = []


def test_speaks_ipv6():
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        with socket.create_connection(server.getsockname()[:2]) as client:
            KEPT.append(client)


def test_next_is_innocent():
    pass
