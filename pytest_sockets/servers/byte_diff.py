"""How do two byte strings differ? The place of the first other byte, and an excerpt of both around it."""

from __future__ import annotations

from typing import Final

_BEFORE: Final = 16
_SHOWN: Final = 48


def byte_diff(expected: bytes, received: bytes) -> str:
    """A text of four lines: where they differ, what was expected and received there, and a mark below."""
    at = _first_difference(expected, received)
    start = max(0, at - _BEFORE)
    lines = [
        f"expected {excerpt(expected)}, received {excerpt(received)}: they differ at byte {at}",
        f"  expected: {excerpt(expected, start)}",
        f"  received: {excerpt(received, start)}",
    ]
    prefix = "..." if start else ""
    column = len("  expected: ") + len(prefix) + len(repr(expected[start:at])) - 1
    return "\n".join([*lines, " " * column + "^"])


def _first_difference(expected: bytes, received: bytes) -> int:
    for at, (one, other) in enumerate(zip(expected, received, strict=False)):
        if one != other:
            return at
    return min(len(expected), len(received))


def excerpt(data: bytes, start: int = 0, *, most: int = _SHOWN) -> str:
    """At most `most` bytes from `start`, as `repr` shows them; dots stand for what is left out on either side."""
    piece = data[start : start + most]
    return f"{'...' if start else ''}{piece!r}{'...' if start + most < len(data) else ''}"
