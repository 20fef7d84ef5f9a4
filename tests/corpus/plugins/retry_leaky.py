"""pytest-retry runs the second attempt while the first one's report is made; that attempt leaks."""
# plugins: pytest-retry
# needs: pytest_retry

import socket

import pytest

KEPT = []
ATTEMPTS = []


@pytest.mark.flaky(retries=2)
def test_flaky():
    ATTEMPTS.append(1)
    assert len(ATTEMPTS) == 2
    server = socket.create_server(("127.0.0.1", 0))  # LEAK owner=test:test_flaky status=LISTEN
    KEPT.append(server)


def test_next_is_innocent():
    pass
