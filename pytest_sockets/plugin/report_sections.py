"""Put texts that explain a failure on its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def add_section(report: pytest.TestReport | pytest.CollectReport, title: str, text: str) -> None:
    """Add a section to the traceback if possible, else to the report.

    Sections of the traceback are also shown with --show-capture=no, and reach junit and html reports.
    """
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text)
    elif isinstance(report.longrepr, str):  # of an item with its own `repr_failure`
        report.longrepr = f"{report.longrepr}\n{title}\n{text}"
    else:
        report.sections.append((title, text))
