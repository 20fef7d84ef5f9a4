"""How does the mode `warn` speak? As a recorded warning at the test's line, which never changes an outcome."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pytest_sockets.errors import SocketLeakWarning
from pytest_sockets.reports.text import short_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_sockets.leaks.call_site import Places
    from pytest_sockets.leaks.findings import Finding


def warn(item: pytest.Item, findings: Sequence[Finding], places: Places) -> None:
    """Record a warning whatever the filters say, and never raise it.

    Where somebody counts warnings, as `--max-warnings` does, it could change an outcome: then the section must do.
    """
    if not findings or _counts_warnings(item.config, places):
        return
    path, line, _ = item.location
    warning = SocketLeakWarning(short_message(findings))
    filename = str(item.path) if path else item.nodeid
    try:
        warnings.warn_explicit(warning, None, filename, (line or 0) + 1)
    except SocketLeakWarning:  # filterwarnings = error: the mode is warn, so the outcome stays
        recorded = warnings.WarningMessage(warning, SocketLeakWarning, filename, (line or 0) + 1)
        item.config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": recorded, "nodeid": item.nodeid, "when": "runtest", "location": None}
        )


def _counts_warnings(config: pytest.Config, places: Places) -> bool:
    try:
        limited = (
            config.getoption("max_warnings", None) is not None or config.getini("max_warnings") is not None
        )
    except (KeyError, ValueError):  # pytest before 9
        limited = False
    hooks = config.hook.pytest_warning_recorded.get_hookimpls()
    return limited or any(places.is_users(impl.function.__code__.co_filename) for impl in hooks)
