"""A socket that the process was started with is nobody's leak, also when a test looks at it."""
# alone: inherits a descriptor
# one process: xdist starts its workers without it

import os
import socket

FD = int(os.environ["CORPUS_INHERITED"])


def test_looks_at_the_inherited():
    borrowed = socket.socket(fileno=FD)
    assert borrowed.getsockname()[1] > 0
    borrowed.detach()


def test_next_is_innocent():
    pass
