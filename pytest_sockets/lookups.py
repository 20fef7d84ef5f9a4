"""Functions that the plugin provides while tests run, for engines that may not import each other.

Each is None outside a run. The plugin sets it at the start of a run and resets it at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

socket_opener: Callable[[int], str | None] | None = None
"""Returns the opener of the socket with this inode: "test test_a.py::test_x, at test_a.py:3"."""
port_fixture: Callable[[int], str | None] | None = None
"""Returns a sentence about a port that a fixture of the running test reserved; None for any other port."""
