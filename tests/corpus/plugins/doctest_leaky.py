"""A doctest leaks: at the line of its example in the file."""
# run: --doctest-modules
# outcomes: passed=1

KEPT = []


def listen():
    """Listens.

    >>> import socket
    >>> def keep():
    ...     KEPT.append(socket.socket())  # LEAK owner=test:test_doctest_leaky.listen status=CLOSE
    >>> KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:test_doctest_leaky.listen
    >>> keep()
    """
    return KEPT
