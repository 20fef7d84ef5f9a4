"""Where the text that explains a failure goes on its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def add_section(report: pytest.TestReport, title: str, text: str) -> None:
    """Put a section on the traceback if it can hold one, else on the report.

    Sections of the traceback are also shown with --show-capture=no, and reach junit and html reports.
    """
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text)
    else:
        report.sections.append((title, text))
