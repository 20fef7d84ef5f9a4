"""pop_all() moves the callbacks to a stack that nobody closes."""

import contextlib
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
STACKS = []


def test_takes_over():
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_connection(PEER))  # LEAK owner=test:test_takes_over
        STACKS.append(stack.pop_all())


def test_next_is_innocent():
    pass
