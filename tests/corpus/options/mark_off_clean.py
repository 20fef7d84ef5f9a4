"""The mark switches the watch off, for a test and for a class."""
# fragile: leaks on purpose

import socket

import pytest

KEPT = []


@pytest.mark.sockets(leaks="off", reason="hands its socket to the kernel")
def test_is_not_watched():
    KEPT.append(socket.socket())


@pytest.mark.sockets(leaks="off")
class TestNotWatched:
    def test_is_not_watched(self):
        KEPT.append(socket.socket())

    def test_is_not_watched_either(self):
        KEPT.append(socket.socket())


def test_next_is_innocent():
    pass
