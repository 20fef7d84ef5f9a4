"""Sections of a failure: "address already in use", "too many open files", and ports that several servers share.

A phase that passes costs one look at `call.excinfo`. The section is part of longrepr, so it also reaches the terminal
with --show-capture=no, xdist, junit, json and html. Its headline is a note on the exception, for GitHub annotations.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from pytest_sockets.plugin import address_in_use
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.report_sections import add_section
from pytest_sockets.table import own_fds

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["pytest_exception_interact"]
"""The only names that pytest inspects, see `HookObject`."""

TOO_MANY: Final = "too many open files (pytest-sockets)"
SHARED: Final = "port shared by several servers (pytest-sockets)"
_SECTIONS: Final = "pytest_sockets.failure_sections"
_RESERVE: Final = "pytest_sockets.reserve_for_pytest"
_NOT_FAILURES: Final = (pytest.skip.Exception, pytest.exit.Exception, KeyboardInterrupt)


class Section(NamedTuple):
    """The title and the text of a section."""

    title: str
    text: str

    @property
    def headline(self) -> str:
        """Return the first line, extended by the next one if it ends in a colon."""
        lines = self.text.splitlines()
        last = next((number for number, line in enumerate(lines) if not line.endswith(":")), 0)
        return " ".join(line.strip() for line in lines[: last + 1])


class FailureWatch(HookObject):
    """Looks at exceptions if leak detection is off. Otherwise the detection calls `explain`."""

    def __init__(self) -> None:
        self._reserve = own_fds.FdCount()

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Reserve a descriptor: the modules that explain a lack of descriptors are imported with it."""
        self._reserve.open()
        session.config.add_cleanup(self._reserve.close)

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Explain the error before the report is made. Not a wrapper: a passing phase pays for one attribute."""
        if call.excinfo is not None:
            explain(item, call.excinfo.value, call.when)


def explain(item: pytest.Item, error: BaseException, when: str) -> None:
    """Explain the error of a phase whose report is about to be made, if it is one of these errors."""
    if isinstance(error, _NOT_FAILURES):
        return
    with own_fds.spare():
        found = [section for section in (_section(error, _captured(item)), _shared_ports()) if section]
        if not found:
            return
        _note(error, found[0].headline)
        manager = item.config.pluginmanager
        sections = manager.get_plugin(_SECTIONS)
        if sections is None:
            sections = _Sections()
            manager.register(sections, _SECTIONS)
        sections.waiting[item.nodeid, when] = found
        if found[0].title == TOO_MANY:
            _help_pytest(item.config, error)


def _captured(item: pytest.Item) -> list[str]:
    """Return the phases' output so far: a child that could not start writes the reason to stderr."""
    sections = getattr(item, "_report_sections", ())
    return [one[2] for one in sections if len(one) == 3 and one[1] in ("stderr", "stdout", "log")]


def _section(error: BaseException, captured: Sequence[str]) -> Section | None:
    try:
        text = _too_many_files(error, captured)
        if text is not None:
            return Section(TOO_MANY, text)
        text = address_in_use.explanation(error, captured)
        return None if text is None else Section(address_in_use.TITLE, text)
    except Exception:  # noqa: BLE001  (no descriptor is left for the imports that classify the error)
        return None


def _too_many_files(error: BaseException, captured: Sequence[str]) -> str | None:
    from pytest_sockets.asserting import too_many_files

    exhausted = too_many_files.in_error(error) or next(
        filter(None, map(too_many_files.in_text, captured)), None
    )
    if exhausted is None:
        return None
    try:
        return too_many_files.explanation(exhausted)
    except Exception as trouble:  # noqa: BLE001  (a failed explanation must not hide the error)
        return f"pytest-sockets could not explain it: {type(trouble).__name__}: {trouble}"


def _shared_ports() -> Section | None:
    """Return a section about shared ports, since a failure may come from the answer of another server."""
    try:
        from pytest_sockets.asserting import shared_ports

        notes = shared_ports.notes()
    except Exception:  # noqa: BLE001  (a failed explanation must not hide the error)
        return None
    return Section(SHARED, "\n".join(notes)) if notes else None


def _note(error: BaseException, headline: str) -> None:
    try:
        error.add_note(f"pytest-sockets: {headline}")
    except Exception:  # noqa: BLE001, S110  (an exception class may forbid attributes)
        pass


def _help_pytest(config: pytest.Config, error: BaseException) -> None:
    """Read the source for pytest's traceback while a descriptor is free, and keep one free for its reports."""
    trace = error.__traceback__
    while trace is not None:
        linecache.getlines(trace.tb_frame.f_code.co_filename, trace.tb_frame.f_globals)
        trace = trace.tb_next
    if not config.pluginmanager.has_plugin(_RESERVE):
        config.pluginmanager.register(_ReserveForPytest(), _RESERVE)


class _ReserveForPytest(HookObject):
    """Frees a descriptor while reports are made and shown, from the first such failure on.

    Plugins import modules then, and pytest lists its temporary folders at the end, which must not fail.
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, object, object]:
        with own_fds.spare():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        with own_fds.spare():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        with own_fds.spare():
            return (yield)


class _Sections(HookObject):
    """Adds the sections to reports. Registered with the first explained error, so that other runs have no hook here."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[str, str], list[Section]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for section in self.waiting.pop((report.nodeid, report.when or ""), ()):
            add_section(report, *section)


def pytest_exception_interact(call: pytest.CallInfo[Any], report: object) -> None:
    """Explain import and collection errors, whose report is made before this hook and logged after it."""
    if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
        with own_fds.spare():
            section = _section(call.excinfo.value, ())
        if section is not None:
            add_section(report, *section)


def __dir__() -> list[str]:
    return __all__
