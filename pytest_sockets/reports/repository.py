"""Find a leak's place in the repository, as a path that a code host can show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_sockets.leaks.findings import Finding


class Location(NamedTuple):
    """A line in a file of the repository, with forward slashes and relative to its root."""

    file: str
    line: int


class Repository:
    """Turns the paths of findings, relative to rootdir, into paths of the repository."""

    def __init__(self, rootdir: str, environment: Mapping[str, str] | None = None) -> None:
        self._rootdir = Path(rootdir or ".")
        workspace = (os.environ if environment is None else environment).get("GITHUB_WORKSPACE")
        self._root = Path(workspace) if workspace else _root_above(self._rootdir)

    def locate(self, finding: Finding) -> Location | None:
        """Return the opening line if it is in the repository, else the innermost caller that is, else the owner."""
        for file, line in _candidates(finding):
            path = self._relative(file)
            if path is not None:
                return Location(path, max(1, line))
        return None

    def _relative(self, file: str) -> str | None:
        path = Path(os.path.normpath(self._rootdir / file))
        try:
            relative = path.relative_to(self._root).as_posix()
        except ValueError:
            return None
        if "site-packages/" in relative or "dist-packages/" in relative or not path.is_file():
            return None
        return relative


def _candidates(finding: Finding) -> Iterator[tuple[str, int]]:
    if finding.opened_at is not None:
        yield finding.opened_at.file, finding.opened_at.line
    for frame in finding.stack:
        yield frame.file, frame.line
    if finding.owner_file:
        yield finding.owner_file, finding.owner_line or 1
    if finding.nodeid:
        yield finding.nodeid.partition("::")[0], 1


def _root_above(folder: Path) -> Path:
    """Return the nearest folder with `.git` at or above this one, else this one."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)
