"""Records and handlers in a message: the first few, one line each, and how many more there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN: Final = 5
"""How many of them a message lists."""


def short_list(items: Sequence[object]) -> list[str]:
    """At most five indented lines, and one that counts the others."""
    lines = [f"  {item}" for item in items[:SHOWN]]
    if len(items) > SHOWN:
        lines.append(f"  and {len(items) - SHOWN} more")
    return lines
