"""A suite with a helper that leaks."""

from __future__ import annotations

import pytest

LEAK = """
    import socket
    KEPT = []
    def leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""


@pytest.fixture
def leaky(suite):
    """A suite with `leak()`, which leaves one listener open until the process ends."""
    return suite.write(leaking=LEAK)
