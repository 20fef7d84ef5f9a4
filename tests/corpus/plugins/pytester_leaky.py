"""A test of a plugin runs pytest inside of itself: what the inner run leaves is the outer test's."""
# plugins: pytester

import socket

KEPT = []


def test_runs_pytest(pytester):
    pytester.makepyfile(
        "import socket\ndef test_inner():\n    socket.create_server(('127.0.0.1', 0)).detach()\n"
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)  # LEAK owner=test:test_runs_pytest line=any


def test_opens_after_it():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK owner=test:test_opens_after_it
