"""The mark switches the watch on for one class where the run has it off."""
# run: --sockets-leaks=off

import socket

import pytest

KEPT = []


def test_is_not_watched():
    KEPT.append(socket.socket())


@pytest.mark.sockets(leaks="warn")
class TestWatched:
    def test_is_watched(self):
        KEPT.append(socket.socket())  # LEAK owner=test:TestWatched::test_is_watched
