"""How does a leak fail a test? As an error of its teardown, or as a note where the test has failed already."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_sockets.errors import SocketLeakError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sockets.leaks.findings import Finding


class LeakFailure(SocketLeakError, pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """`SocketLeakError` as pytest shows it: the message alone, without this plugin's traceback."""

    # Terminal, junit and short summary name the type: the public one, without the way to it, as for pytest's own `Failed`.
    __module__ = "builtins"
    __qualname__ = SocketLeakError.__name__

    def __init__(self, message: str) -> None:
        pytest.fail.Exception.__init__(self, message, pytrace=False)


def put_into(
    call: pytest.CallInfo[None], item: pytest.Item, findings: Sequence[Finding], *, failed: bool
) -> bool:
    """Let the report of this teardown say it. Returns whether the teardown fails by it.

    `failed`: the test has failed already; a second failure would hide the first one.
    """
    from pytest_sockets.reports.text import message

    if call.excinfo is not None:
        _add_note(call.excinfo.value, item, message(findings))
        return False
    if failed:
        item.add_report_section("teardown", "sockets", message(findings))
        return False
    try:
        raise LeakFailure(message(findings))
    except LeakFailure:
        call.excinfo = pytest.ExceptionInfo.from_current()
    return True


def _add_note(error: BaseException, item: pytest.Item, text: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(text)
    else:
        item.add_report_section("teardown", "sockets", text)


def forget_expected_failure() -> None:
    """pytest keeps the last exception for debuggers: of an xfail, the frames would keep the sockets of their locals open."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)
