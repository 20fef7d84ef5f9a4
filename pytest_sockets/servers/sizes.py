"""Are the sizes and counts that a caller gives whole numbers in range?"""

from __future__ import annotations

import sys

from pytest_sockets.addresses import LARGEST_BACKLOG
from pytest_sockets.errors import SettingError


def check_sizes(**sizes: int) -> None:
    """Whole numbers of bytes or connections; else `SettingError`."""
    __tracebackhide__ = True
    for name, value in sizes.items():
        low = 1 if name == "max_buffer" else 0
        high = LARGEST_BACKLOG if name == "backlog" else sys.maxsize
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise SettingError(f"{name}={value!r}: use a whole number, {low} or more")
        if value > high:
            raise SettingError(f"{name}={value!r}: use a whole number, {high} at most")
