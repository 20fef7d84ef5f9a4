"""Can a file that the user named be read or written? Devices, pipes and directories are refused, never replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError, quoted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REPORT_SUFFIXES: Final = (".json", ".html", ".md", ".sarif")
GITHUB: Final = "github"
"""The word that asks for annotations and a step summary instead of a file."""


def _check_html() -> None:
    from pytest_sockets.reports.html_report import html_available

    if not html_available():
        raise SettingError('an .html report needs jinja2; install it: pip install "pytest-sockets[html]"')


def report_path(base: Path, value: str) -> Path:
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
            f"{quoted(str(path.parent))} is no directory, so the report cannot be written; make it first"
        )
    if not _writable(path):
        raise SettingError(f"{quoted(value)} cannot be written by this user; choose another place")
    return path


def _check_name(path: Path, value: str) -> None:
    """The file system takes the name; there may be no such file yet."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, not to be looked at; ValueError: a NUL
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"{quoted(value)} cannot be used as a file: {reason}; name another") from None


def _check_regular(path: Path, value: str) -> None:
    """Replacing a device or a pipe would destroy it; reading one may never end."""
    if path.is_dir():
        raise SettingError(f"{quoted(value)} is a directory; name a file")
    if path.exists() and not path.is_file():
        raise SettingError(f"{quoted(value)} is a device, pipe or socket; name a regular file")


def _writable(path: Path) -> bool:
    import os

    return os.access(path if path.exists() else path.parent, os.W_OK)


def baseline_path(config: pytest.Config, value: str, update: bool) -> Path:
    path = config.rootpath / value
    _check_name(path, value)
    _check_regular(path, value)
    if not update and not path.is_file():
        raise SettingError(f"{quoted(value)} does not exist; make it with --sockets-update-baseline")
    if not path.parent.is_dir():
        raise SettingError(
            f"{quoted(str(path.parent))} is no directory, so the baseline cannot be written; make it first"
        )
    if path.is_file() and not hasattr(config, "workerinput"):  # workers have the controller's word for it
        _check_baseline(path)
    return path


def _check_baseline(path: Path) -> None:
    from pytest_sockets.reports.baseline import read_baseline

    try:
        read_baseline(path)
    except (SettingError, OSError) as error:  # its own place is the line in the file
        raise SettingError(str(error)) from None
