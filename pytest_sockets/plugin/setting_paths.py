"""Checks of the files that the user named. Devices, pipes and directories are rejected, never replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError, quoted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REPORT_SUFFIXES: Final = (".json", ".html", ".md", ".sarif")
GITHUB: Final = "github"
"""The value that requests annotations and a step summary instead of a file."""


def _check_html() -> None:
    from pytest_sockets.reports.html_report import HTML_MISSING, html_available

    if not html_available():
        raise SettingError(HTML_MISSING)


def report_path(base: Path, value: str) -> Path:
    """Return the path of a report. Raises `SettingError` if it cannot be written."""
    path = base / value
    _check_name(path, value)
    if path.suffix == ".html":
        _check_html()
    if path.suffix not in REPORT_SUFFIXES:
        raise SettingError(
            f"{quoted(value)} has no known report suffix; use one of: {', '.join(REPORT_SUFFIXES)}; "
            f"or the word {GITHUB}"
        )
    _check_regular(path, value)
    if not path.parent.is_dir():
        raise SettingError(
            f"{quoted(str(path.parent))} is not a directory, so the report cannot be written; make it first"
        )
    if not _writable(path):
        raise SettingError(f"{quoted(value)} cannot be written by this user; choose another place")
    return path


def _check_name(path: Path, value: str) -> None:
    """Check that the file system accepts the name; the file need not exist yet."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long or inaccessible; ValueError: a NUL
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"{quoted(value)} cannot be used as a file: {reason}; name another") from None


def _check_regular(path: Path, value: str) -> None:
    """Reject other files: replacing a device or pipe would destroy it, and reading one may never end."""
    if path.is_dir():
        raise SettingError(f"{quoted(value)} is a directory; name a file")
    if path.exists() and not path.is_file():
        raise SettingError(f"{quoted(value)} is a device, pipe or socket; name a regular file")


def _writable(path: Path) -> bool:
    import os

    return os.access(path if path.exists() else path.parent, os.W_OK)


def baseline_path(config: pytest.Config, value: str, update: bool) -> Path:
    """Return the path of the baseline. Raises `SettingError` if it cannot be used."""
    path = config.rootpath / value
    _check_name(path, value)
    _check_regular(path, value)
    if not update and not path.is_file():
        raise SettingError(f"{quoted(value)} does not exist; make it with --sockets-update-baseline")
    if not path.parent.is_dir():
        raise SettingError(
            f"{quoted(str(path.parent))} is not a directory, so the baseline cannot be written; make it first"
        )
    if path.is_file() and not hasattr(config, "workerinput"):  # workers rely on the controller's check
        _check_baseline(path)
    return path


def _check_baseline(path: Path) -> None:
    from pytest_sockets.reports.baseline import read_baseline

    try:
        read_baseline(path)
    except (SettingError, OSError) as error:  # its place is a line of the file
        raise SettingError(str(error)) from None
