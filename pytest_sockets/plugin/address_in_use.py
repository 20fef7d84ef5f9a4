"""A section that explains "address already in use" in every test, fixture or collection error that has it in its chain.

Nothing is done where ports are bound (port scanners must not pay), and nothing for a phase that passes but one look at
`call.excinfo`. Carriers: the section is part of longrepr (terminal also with --show-capture=no, xdist, junit, json, html),
its headline is a note on the exception (GitHub annotations).
"""

from __future__ import annotations

import collections
import functools
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.plugin.hook_object import Part
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pytest_exception_interact", "pytest_sessionstart"]
"""All that pytest looks at, see `Part`."""

TITLE: Final = "address already in use (pytest-sockets)"
_ADDER: Final = "pytest_sockets.address_in_use_sections"


class FailureWatch(Part):
    """Looks at exceptions where no leak detection runs, which has a hook of its own for that."""

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Before the report is made. No wrapper: a passing phase pays one attribute."""
        if call.excinfo is not None:
            explain(item, call.excinfo.value, call.when)


def explain(item: pytest.Item, error: BaseException, when: str) -> None:
    """Explain the error of a phase, if it is that; its report is about to be made."""
    if isinstance(error, (pytest.skip.Exception, pytest.exit.Exception, KeyboardInterrupt)):
        return
    text = _explained(error, _captured(item))
    if text is None:
        return
    _note(error, text)
    manager = item.config.pluginmanager
    adder = manager.get_plugin(_ADDER)
    if adder is None:
        adder = _SectionAdder()
        manager.register(adder, _ADDER)
    adder.texts[item.nodeid, when] = text


def _captured(item: pytest.Item) -> Iterator[str]:
    """What the phases printed so far: a child that could not bind says so on the stderr that pytest captured."""
    for section in getattr(item, "_report_sections", ()):
        if len(section) == 3 and section[1] in ("stderr", "stdout", "log"):
            yield section[2]


def _explained(error: BaseException, captured: Iterator[str]) -> str | None:
    try:
        from pytest_sockets.asserting import bind_errors

        address = bind_errors.in_error(error)
        if address is None or (address.host is None and address.port is None):
            told = [found for text in captured if (found := bind_errors.in_text(text))]
            address = told[0] if told else address
    except Exception:  # noqa: BLE001  (no descriptor is left to import with: whether this is one is not known)
        return None
    if address is None:
        return None
    try:
        from pytest_sockets.asserting import in_use

        if address.host is None and address.port is None:
            return in_use.guessed_explanation(bind_errors.guesses(error), recent.last())
        return in_use.explanation(address)
    except Exception as trouble:  # noqa: BLE001  (an explanation that fails must not hide the error)
        return f"pytest-sockets could not explain it: {type(trouble).__name__}: {trouble}"


def _note(error: BaseException, text: str) -> None:
    lines = text.splitlines()
    last = next((number for number, line in enumerate(lines) if not line.endswith(":")), 0)
    headline = " ".join(line.strip() for line in lines[: last + 1])
    try:
        if hasattr(error, "add_note"):
            error.add_note(f"pytest-sockets: {headline}")
        else:  # Python 3.10: exceptiongroup, which pytest needs there, prints notes all the same
            vars(error)["__notes__"] = [*getattr(error, "__notes__", ()), f"pytest-sockets: {headline}"]
    except Exception:  # noqa: BLE001, S110  (an exception class may forbid attributes)
        pass


class _RecentAddresses:
    """The last addresses that this process bound or connected to, from the leak ledger's audit hook.

    A plain bind() error names no address, and when the report is made a `with` block or a cleanup may have closed the socket
    that could have told it. One append per bind() or connect(), 0.3 us; nothing where leak detection is off.
    """

    def __init__(self) -> None:
        self._seen: collections.deque[object] = collections.deque(maxlen=16)

    def socket_used(self, sock: object, address: object) -> None:  # noqa: ARG002  (a Listener's)
        """bind() or connect() is about to run."""
        self._seen.append(address)

    def socket_created(self, sock: object, family: int, kind: int, frame: object) -> None:
        """Not of interest."""

    def child_started(self, frame: object, words: object) -> None:
        """Not of interest."""

    def forget(self) -> None:
        """A test is over: the next one's error is not about its addresses."""
        self._seen.clear()

    def addresses(self) -> list[tuple[str, int]]:
        """Newest first."""
        found = []
        for address in reversed(tuple(self._seen)):
            if (
                isinstance(address, tuple)
                and len(address) >= 2
                and type(address[1]) is int
                and 0 < address[1] <= 65535
            ):
                found.append((str(address[0]), address[1]))
        return found

    def last(self) -> tuple[str, int] | None:
        """The newest one that was used twice, else the newest: the second of two binds is the one that fails.

        None if the newest is the path of a unix socket: then the error is about that.
        """
        if self._seen and isinstance(self._seen[-1], (str, bytes)):
            return None
        found = self.addresses()
        return next((one for one in found if found.count(one) > 1), found[0] if found else None)


recent: Final = _RecentAddresses()


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember addresses only where the audit hook is there anyway."""
    settings = session.config.stash[SETTINGS]
    if settings.leaks != "off" or settings.unclosed != "off":
        from pytest_sockets.leaks import audit

        audit.listen(recent, from_the_first=True)
        session.config.add_cleanup(functools.partial(audit.stop_listening, recent))


class _SectionAdder(Part):
    """Registered with the first explained error, so that other runs have no hook here."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = self.texts.pop((report.nodeid, report.when or ""), None)
        if text is not None:
            _add_section(report, text)


def _add_section(report: Any, text: str) -> None:
    if hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection(TITLE, text, "-")
    elif isinstance(report.longrepr, str):
        report.longrepr = f"{report.longrepr}\n{TITLE}\n{text}"
    else:
        report.sections.append((TITLE, text))


def pytest_exception_interact(call: pytest.CallInfo[Any], report: object) -> None:
    """Import and collection errors: their report is made before this hook and logged after it."""
    if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
        text = _explained(call.excinfo.value, iter(()))
        if text is not None:
            _add_section(report, text)


def __dir__() -> list[str]:
    return __all__
