"""Read and write the file of known leaks.

One line lists an owner and an opening place: `KIND | OWNER | OPENED IN | COUNT  # comment`. Lines are sorted and not
aligned, so branches that fix different leaks merge without a conflict.
"""

from __future__ import annotations

import dataclasses
import re
import stat
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import OPEN, UNCLOSED
from pytest_sockets.printable import shortened
from pytest_sockets.reports.baseline_keys import Key

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 2

_TITLE = "# pytest-sockets baseline, version"
_LOOKED_FOR = "# looked for: "
_COLUMNS = "# kind | owner | opened in | count  # comment"
_ADVICE = (
    "# Known socket leaks: they do not fail the run. To drop fixed ones: pytest --sockets-update-baseline"
)
_OLD_HEADER = ("# Known socket leaks: they do not fail the run. Mended one?", "# kind | owner | opened in")
_SEPARATOR = " | "
_KINDS = (OPEN, UNCLOSED)
_ANY = "*"


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """One line of the file."""

    key: Key
    count: int | None = 1
    """The number of sockets; None means any number, since version 1 has no counts."""
    comment: str = ""
    above: tuple[str, ...] = ()
    """The comment lines above it."""

    def __str__(self) -> str:
        """Return the line without its comment."""
        key = self.key
        count = _ANY if self.count is None else str(self.count)
        return _SEPARATOR.join((key.kind, _escape(key.owner), _escape(key.place), count))


@dataclasses.dataclass(frozen=True, slots=True)
class Baseline:
    """The whole file."""

    entries: tuple[Known, ...] = ()
    kinds: tuple[str, ...] = ("tcp", "udp")
    """The protocols that the runs looked for when they wrote the file."""
    below: tuple[str, ...] = ()
    """The comment lines after the last entry."""
    version: int = VERSION


def format_baseline(baseline: Baseline) -> str:
    """Return the file's text: sorted, each entry once."""
    lines = [f"{_TITLE} {VERSION}", _ADVICE, _LOOKED_FOR + ", ".join(baseline.kinds), _COLUMNS]
    for entry in sorted(baseline.entries, key=lambda entry: entry.key):
        lines += entry.above
        lines.append(f"{entry}  # {entry.comment}" if entry.comment else str(entry))
    return "\n".join([*lines, *baseline.below, ""])


def parse_baseline(text: str, origin: str = "") -> Baseline:
    """Parse a baseline file of version 1 or 2. Raises `SettingError`, which names the line."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            reader.read(line.strip(" \t\r\ufeff"))
        except SettingError as error:
            raise error.at(f"{origin}, line {number}" if origin else f"line {number}") from None
    return Baseline(tuple(reader.entries.values()), reader.kinds, tuple(reader.comments), reader.version)


class _Reader:
    """A parser that reads line after line."""

    def __init__(self) -> None:
        self.version = VERSION
        self.kinds: tuple[str, ...] = ("tcp", "udp")
        self.entries: dict[Key, Known] = {}
        self.comments: list[str] = []

    def read(self, line: str) -> None:
        if line.startswith(_TITLE):
            self._check_version(line[len(_TITLE) :].strip())
        elif line.startswith(_LOOKED_FOR):
            self.kinds = tuple(word for word in re.split(r"[,\s]+", line[len(_LOOKED_FOR) :]) if word)
        elif line in (_ADVICE, _COLUMNS) or line.startswith(_OLD_HEADER) or not line:
            return
        elif line.startswith("#"):
            self.comments.append(line)
        else:
            self._add(_parse_entry(line, self.version))

    def _check_version(self, version: str) -> None:
        if version not in ("1", "2"):
            raise SettingError(
                f"this baseline has version {version or '?'}; this pytest-sockets reads versions 1 and 2"
            )
        self.version = int(version)

    def _add(self, entry: Known) -> None:
        entry = dataclasses.replace(entry, above=tuple(self.comments))
        self.comments.clear()
        before = self.entries.get(entry.key)
        if before is not None and before.count is not None:  # both sides of a merge added it
            most = None if entry.count is None else max(before.count, entry.count)
            entry = dataclasses.replace(
                before, count=most, comment=before.comment or entry.comment, above=before.above + entry.above
            )
        self.entries[entry.key] = before if before is not None and before.count is None else entry


def _parse_entry(line: str, version: int) -> Known:
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise SettingError(
            "this is a conflict marker of a merge; keep the lines of both sides and delete the markers"
        )
    kind, *rest = line.split(_SEPARATOR)
    shape = "KIND | OWNER | OPENED IN" if version == 1 else "KIND | OWNER | OPENED IN | COUNT"
    if len(rest) < (2 if version == 1 else 3) or not all(rest):
        raise SettingError(f"{_short(line)} is not an entry; each line is {shape}")
    if kind not in _KINDS:
        raise SettingError(f"{_short(kind)} is not a kind of leak; use one of: {', '.join(_KINDS)}")
    if version == 1:
        if len(rest) != 2:
            raise SettingError(f"{_short(line)} is not an entry; each line is {shape}")
        return Known(Key(_unescape(rest[0]), _unescape(rest[1]), kind), None)
    count, _, comment = _SEPARATOR.join(rest[2:]).partition("#")
    return Known(Key(_unescape(rest[0]), _unescape(rest[1]), kind), _count(count.strip()), comment.strip())


def _count(text: str) -> int | None:
    if text == _ANY:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise SettingError(
            f"{_short(text)} is not a count; use the number of sockets, 1 or more, or * for any"
        )
    return int(text)


def read_baseline(path: Path) -> Baseline:
    """Read the file at `path`. Raises `SettingError` with the reason if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingError("is not a regular file; name a file", str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise SettingError("is not a text file in UTF-8", str(path)) from None
    return parse_baseline(text, str(path))


def _short(text: str) -> str:
    return repr(shortened(text, 60))


def _escape(text: str) -> str:
    """Escape a field, so that any test name stays on its line and in its column."""
    shown = "".join(char if char.isprintable() and char not in "\\|" else _code(char) for char in text)
    if shown[:1] == " ":
        shown = "\\x20" + shown[1:]
    return shown[:-1] + "\\x20" if shown[-1:] == " " else shown


def _code(char: str) -> str:
    number = ord(char)
    if char == "\\":
        return "\\\\"
    return (
        f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
    )


_ESCAPED = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def _unescape(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        digits = match[2] or match[3] or match[4]
        if digits is None:
            return "\\"
        number = int(digits, 16)
        return chr(number) if number <= 0x10FFFF else match[0]

    return _ESCAPED.sub(char, text)
