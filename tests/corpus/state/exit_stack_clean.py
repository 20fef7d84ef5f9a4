"""pop_all() moves the callbacks to a stack that is closed."""

import contextlib
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
STACKS = []


def test_takes_over():
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_connection(PEER))
        STACKS.append(stack.pop_all())
    STACKS[0].close()


def test_next_is_innocent():
    pass
