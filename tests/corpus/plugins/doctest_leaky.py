"""A doctest leaks; its line lies in an example, not in a file."""
# run: --doctest-modules
# outcomes: passed=1

KEPT = []


def listen():
    """Listens.

    >>> import socket
    >>> KEPT.append(socket.create_server(("127.0.0.1", 0)))
    """
    # LEAK owner=test:test_doctest_leaky.listen line=any
    return KEPT
