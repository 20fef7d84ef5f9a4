"""The file of known leaks: how a suite with two hundred of them adopts the detector without mending all on one day.

One leak is one line, `KIND | OWNER | OPENED IN`, sorted, without columns to align: two branches that each remove lines
merge cleanly. Neither ports, descriptors nor line numbers are in it, so it does not change when the code moves.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import OPEN, UNCLOSED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pytest_sockets.leaks.findings import Finding, Frame

VERSION: Final = 1

_TITLE = "# pytest-sockets baseline, version"
_HEADER = f"""\
{_TITLE} {VERSION}
# Known socket leaks: they do not fail the run. Mended one? Delete its line, or run pytest --sockets-update-baseline.
# kind | owner | opened in
"""
_SEPARATOR = " | "
_KINDS = (OPEN, UNCLOSED)
_COMPREHENSIONS = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>"))


class Known(NamedTuple):
    """One line of the file: a leak by its owner and the function that opened it."""

    owner: str
    place: str
    kind: str

    def __str__(self) -> str:
        return _SEPARATOR.join((self.kind, _escape(self.owner), _escape(self.place)))


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A run against the baseline."""

    known: tuple[Finding, ...]
    new: tuple[Finding, ...]
    vanished: tuple[Known, ...]
    """Listed, could have occurred in this run, and did not."""


def key_of(finding: Finding) -> Known:
    """The line that would list this finding."""
    if finding.owner_kind == "fixture":
        owner = f"fixture {finding.owner_name} ({finding.owner_scope})"
    elif finding.owner_kind == "session":
        owner = "session"
    else:
        owner = f"{finding.owner_kind} {finding.owner_name}"
    return Known(owner, _place_of(finding), finding.kind)


def _place_of(finding: Finding) -> str:
    if finding.opened_at is None:
        return f"process {_program(finding.process)}" if finding.process else "not opened by Python code"
    frame = _named_function(finding.opened_at, finding.stack)
    return f"{frame.file.replace(chr(92), '/')} in {frame.function}"


def _named_function(frame: Frame, stack: tuple[Frame, ...]) -> Frame:
    """The function around a comprehension, which is a frame of its own only before Python 3.12."""
    if frame.function not in _COMPREHENSIONS or frame not in stack:
        return frame
    outer = (other for other in stack[stack.index(frame) :] if other.file == frame.file)
    return next((other for other in outer if other.function not in _COMPREHENSIONS), frame)


def _program(command_line: str) -> str:
    """The program and, for Python, its module or script: no ports, temporary paths or secrets of its arguments."""
    words = command_line.split()
    name = re.split(r"[/\\]", words[0])[-1] if words else ""
    name = re.sub(r"(?<=python)[\d.]+", "", name)
    if not name.startswith("python"):
        return name
    for position, word in enumerate(words[1:], 1):
        if word == "-m" and position + 1 < len(words):
            return f"{name} -m {words[position + 1]}"
        if word.startswith("-c"):
            return f"{name} -c"
        if not word.startswith("-"):
            return f"{name} {re.split(r'[/]', word)[-1]}"
    return name


def compare(
    findings: Iterable[Finding], baseline: Collection[Known], *, ran: Collection[str] | None = None
) -> Comparison:
    """Sort the findings into known and new ones, and name the listed leaks that are gone.

    `ran` holds the ids of the tests that ran, if the run was a part of the suite (-k, -x, a path): then only what belongs
    to those tests, or to a class or module of theirs, can be said to have vanished.
    """
    listed = set(baseline)
    known: list[Finding] = []
    new: list[Finding] = []
    seen = set()
    for finding in findings:
        key = key_of(finding)
        seen.add(key)
        (known if key in listed else new).append(finding)
    could_occur = _judge(ran)
    vanished = sorted(key for key in listed - seen if could_occur(key))
    return Comparison(tuple(known), tuple(new), tuple(vanished))


def update(
    baseline: Collection[Known], findings: Iterable[Finding], *, ran: Collection[str] | None = None
) -> tuple[Known, ...]:
    """The baseline after this run: what it found, and what a part of the suite could not have found."""
    could_occur = _judge(ran)
    kept = {key for key in baseline if not could_occur(key)}
    return tuple(sorted(kept | {key_of(finding) for finding in findings}))


def _judge(ran: Collection[str] | None) -> Callable[[Known], bool]:
    if ran is None:
        return lambda _key: True
    names = {nodeid[: match.start()] for nodeid in ran for match in re.finditer(r"::|$", nodeid)}

    def could_occur(key: Known) -> bool:
        kind, _, name = key.owner.partition(" ")
        return kind in ("test", "class", "module") and name in names

    return could_occur


def format_baseline(entries: Iterable[Known]) -> str:
    """The file's text: sorted, each entry once."""
    return _HEADER + "".join(f"{entry}\n" for entry in sorted(set(entries)))


def parse_baseline(text: str, origin: str = "") -> tuple[Known, ...]:
    """The entries of a baseline file; comments and empty lines are skipped. Raises SettingError naming the line."""
    entries: dict[Known, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            entry = _parse_line(line.strip(" \t\r\ufeff"))
        except SettingError as error:
            raise error.at(f"{origin}, line {number}" if origin else f"line {number}") from None
        if entry:
            entries[entry] = None
    return tuple(entries)


def _parse_line(line: str) -> Known | None:
    if line.startswith(_TITLE):
        version = line[len(_TITLE) :].strip()
        if version != str(VERSION):
            raise SettingError(
                f"this is a baseline of version {version or '?'}, this pytest-sockets reads version {VERSION}"
            )
    if not line or line.startswith("#"):
        return None
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise SettingError(
            "this is a conflict marker of a merge; keep the lines of both sides and delete the markers"
        )
    kind, *rest = line.split(_SEPARATOR)
    if len(rest) != 2 or not all(rest):
        raise SettingError(f"{_short(line)} is no entry; each line is KIND | OWNER | OPENED IN")
    if kind not in _KINDS:
        raise SettingError(f"{_short(kind)} is no kind of leak; use one of: {', '.join(_KINDS)}")
    return Known(_unescape(rest[0]), _unescape(rest[1]), kind)


def read_baseline(path: Path) -> tuple[Known, ...]:
    """The entries of the file at `path`; a SettingError says why it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise SettingError("is not a text file in UTF-8, so no baseline", str(path)) from None
    return parse_baseline(text, str(path))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _escape(text: str) -> str:
    """Keep an entry on its line and its fields apart, whatever a test is called."""
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
