"""A copy of an inherited listener is the test's; the inherited one is not."""
# alone: inherits a descriptor
# one process: xdist starts its workers without it

import os
import socket

FD = int(os.environ["CORPUS_INHERITED"])
KEPT = []


def test_copies_the_inherited():
    # LEAK owner=test:test_copies_the_inherited
    KEPT.append(socket.fromfd(FD, socket.AF_INET, socket.SOCK_STREAM))


def test_next_is_innocent():
    pass
