"""Write report files, whole or not at all. A problem becomes one sentence, never an exception."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_sockets.reports.run import Run

PRIVATE: Final = 0o600
"""Reports name processes, hosts and paths, so a new file is readable by its owner only."""
SHARED: Final = 0o644
"""A baseline is committed together with the tests."""

_NO_ROOM_BESIDE = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY))
"""No new file can be made beside it (a single file mounted into a container), but the file may be writable."""


def write_reports(run: Run, paths: Iterable[Path]) -> list[str]:
    """Write each report by its suffix. Return one sentence for each report that was not written.

    Nothing is raised: the results of the tests matter more than a report about them.
    """
    errors = []
    for path in paths:
        try:
            write_text(path, _render(run, path.suffix))
        except OSError as error:
            errors.append(f"the report {path} was not written: {error.strerror or error}; {_advice(error)}")
        except Exception as error:  # noqa: BLE001 -- a bug in a renderer must not end the run
            errors.append(
                f"the report {path} was not written: {type(error).__name__}: {error}; "
                "this is a bug in pytest-sockets, please report it"
            )
    return errors


def _render(run: Run, suffix: str) -> str:
    if suffix == ".html":
        from pytest_sockets.reports.html_report import render_html

        return render_html(run)
    if suffix == ".md":
        from pytest_sockets.reports.markdown_report import render_markdown

        return render_markdown(run)
    if suffix == ".sarif":
        from pytest_sockets.reports.sarif_report import render_sarif

        return render_sarif(run)
    from pytest_sockets.reports.json_report import render_json

    return render_json(run)


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room or choose another place"
    if error.errno == errno.ENOENT:
        return "its folder is gone: did a test remove it?"
    return "choose another place with --sockets-report"


def write_text(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Replace the file at `path` in one step. If it raises OSError, an older file is still whole.

    A new file gets `mode` (less the umask), an existing one keeps its own. A link at `path` is replaced, not followed.
    A device, pipe or directory is never replaced, nor is a link to one.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "there is a device, pipe, socket or directory of that name", str(path))
    data = text.encode("utf-8", "backslashreplace")
    try:
        found = os.lstat(path)
    except OSError:
        found = None
    if found is not None and stat.S_ISREG(found.st_mode):
        mode = stat.S_IMODE(found.st_mode)
    try:
        _replace(path, data, mode, keep_mode=found is not None)
    except OSError as error:
        if found is None or error.errno not in _NO_ROOM_BESIDE or not stat.S_ISREG(found.st_mode):
            raise
        _overwrite(path, data)


def _replace(path: Path, data: bytes, mode: int, *, keep_mode: bool) -> None:
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if keep_mode and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _overwrite(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(fd, "wb") as file:
        file.write(data)
