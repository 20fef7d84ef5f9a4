"""What a careful team writes by hand: a fixture that compares psutil's connections of this process around each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESS = psutil.Process()


def _connections() -> set[tuple[object, ...]]:
    found = _PROCESS.net_connections(kind="inet")
    return {(entry.fd, entry.laddr, entry.raddr) for entry in found}


@pytest.fixture(autouse=True)
def no_new_connections() -> Iterator[None]:
    """Fail at teardown if a connection is new."""
    before = _connections()
    yield
    if new := _connections() - before:
        pytest.fail(f"psutil sees {len(new)} new connections: {sorted(map(str, new))}", pytrace=False)
