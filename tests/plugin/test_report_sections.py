"""A section that explains a failure is added to the traceback, to its text, or to the report."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sockets.plugin.report_sections import add_section


class Traceback:
    """A longrepr that takes sections, as pytest's own."""

    def __init__(self):
        self.sections = []

    def addsection(self, title, text):
        self.sections.append((title, text))


def test_a_traceback_gets_the_section():
    report = SimpleNamespace(longrepr=Traceback(), sections=[])
    add_section(report, "title", "text")
    assert (report.longrepr.sections, report.sections) == ([("title", "text")], [])


def test_a_text_of_an_item_with_its_own_repr_failure_is_extended():
    report = SimpleNamespace(longrepr="the failure", sections=[])
    add_section(report, "title", "text")
    assert (report.longrepr, report.sections) == ("the failure\ntitle\ntext", [])


@pytest.mark.parametrize("longrepr", [None, ("test_a.py", 3, "Skipped: no")])
def test_any_other_report_gets_the_section_itself(longrepr):
    report = SimpleNamespace(longrepr=longrepr, sections=[])
    add_section(report, "title", "text")
    assert (report.longrepr, report.sections) == (longrepr, [("title", "text")])
