"""A flaky test leaks in both of its attempts: two findings."""
# plugins: rerunfailures
# run: --reruns=1
# outcomes: passed=2 rerun=1

import socket

KEPT = []


def test_flaky():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:test_flaky count=2
    assert len(KEPT) == 2


def test_next_is_innocent():
    pass
