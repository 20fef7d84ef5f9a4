"""Every Python block of a page is part of an example that runs, or says why it does not run."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?```python\n(?P<code>.*?)```", re.S)


def lines_of(code: str) -> list[str]:
    """Return the lines without blank ones and trailing spaces, relative to the smallest indent."""
    return [line.rstrip() for line in textwrap.dedent(code).splitlines() if line.strip()]


def contains(text: str, block: list[str]) -> bool:
    """Whether the text contains every top-level statement of the block."""
    there = "\n".join(lines_of(text))
    source = "\n".join(block)
    tops = [ast.get_source_segment(source, node) or "" for node in ast.parse(source).body]
    return all(top in there for top in tops)


def blocks() -> list[tuple[str, str, str | None]]:
    """Return each block as page, code, and the reason why it does not run."""
    found = []
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            found.append((str(page.relative_to(ROOT)), block["code"], block["reason"]))
    return found


EXAMPLES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "examples").rglob("*.py"))]


@pytest.mark.parametrize(("page", "code", "reason"), blocks())
def test_a_shown_block_is_part_of_an_example_or_says_why_not(page, code, reason):
    block = lines_of(code)
    ast.parse("\n".join(block))
    assert reason or any(contains(example, block) for example in EXAMPLES), (
        f"{page} shows code that no test runs"
    )


def test_a_block_that_no_example_has_is_noticed():
    assert not any(contains(example, ["def test_that_is_nowhere(): pass"]) for example in EXAMPLES)


def test_the_blocks_are_found():
    assert len(blocks()) >= 5
