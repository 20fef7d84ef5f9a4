"""A suite beside the hooks."""

import socket


def test_a_clean_test_opens_and_closes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1]
