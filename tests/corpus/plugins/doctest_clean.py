"""A doctest closes."""
# run: --doctest-modules
# outcomes: passed=1

import socket


def listen():
    """Listens.

    >>> with listen() as server:
    ...     server.getsockname()[0]
    '127.0.0.1'
    """
    return socket.create_server(("127.0.0.1", 0))
