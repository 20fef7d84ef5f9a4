"""The filter of `--sockets-table=FILTER`: the meaning of its words, and the lines of the table that match."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING, Final

from pytest_sockets import addresses, model
from pytest_sockets.errors import QueryError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.model import SocketEntry

PROTOCOLS: Final = ("tcp", "udp", "unix")
LEFT: Final = "left"
OPTION: Final = "--sockets-table={}"
_LONGEST_NUMBER: Final = 20  # int() rejects thousands of digits with an error of its own
_HELP: Final = (
    "use a status (LISTEN), :PORT, tcp, udp, unix, a process id or name, which must all match; or left"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """An entry with the names that the table shows."""

    entry: SocketEntry
    process: str
    """The process's name and command line."""
    user: str


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """A line must pass all tests. `hints` explains words that may be a mistake."""

    tests: tuple[Callable[[Line], bool], ...] = ()
    hints: tuple[str, ...] = ()
    asked: str = OPTION
    left_overs: bool = False
    """Whether to list processes of ended runs instead of sockets."""

    def holds(self, line: Line) -> bool:
        """Whether to show the line."""
        return all(test(line) for test in self.tests)


def parse(text: str, asked: str = OPTION) -> Filter:
    """Return the filter for these words. Raises `QueryError` for an invalid word.

    `asked` is how the user asks for a filter, with `{}` in its place.
    """
    words = text.replace(",", " ").split()
    lowered = [word.lower() for word in words]
    if LEFT in lowered:
        if len(words) > 1:
            raise QueryError(f"{LEFT!r} lists processes and cannot be combined with {_others(words)}")
        return Filter(left_overs=True)
    tests, hints = [], []
    for word in words:
        test, hint = _word(word, asked)
        tests.append(test)
        hints += [hint] if hint else []
    if "unix" not in lowered:
        tests.append(lambda line: line.entry.protocol != "unix")
    return Filter(tuple(tests), tuple(hints), asked)


def _others(words: list[str]) -> str:
    return ", ".join(quoted(word) for word in words if word.lower() != LEFT) or "itself"


def _word(word: str, asked: str) -> tuple[Callable[[Line], bool], str | None]:
    if word.startswith(":"):
        return _on_port(_number(word[1:], word)), None
    if word.lower() in PROTOCOLS:
        return lambda line: line.entry.protocol == word.lower(), None
    if word.upper() in model.STATUSES:
        return _in_status(word.upper()), None
    if word.isdecimal():
        pid = _number(word, word)
        return lambda line: line.entry.pid == pid, f"{word} means a process id; for a port write :{word}"
    _refuse_mistakes(word, asked)
    return _named(word), f"{quoted(word)} means the name of a process{_did_you_mean(word)}"


def _number(digits: str, word: str) -> int:
    if not digits.isdecimal() or len(digits) > _LONGEST_NUMBER:
        raise QueryError(f"{quoted(word)} is not a port; {_HELP}")
    return addresses.checked_port(int(digits)) if word.startswith(":") else int(digits)


def _refuse_mistakes(word: str, asked: str) -> None:
    """Raise `QueryError` for a word that is hardly a process name."""
    if "/" in word or "::" in word or word.endswith(".py"):
        raise QueryError(
            f"{quoted(word)} looks like a path, not a filter; write {asked.format('FILTER')}; {_HELP}"
        )
    if re.search(r":\d+$", word):
        raise QueryError(f"{quoted(word)} is not a filter; for a port write {word[word.rindex(':') :]}")
    if word.replace("-", "_").isupper():
        raise QueryError(f"{quoted(word)} is not a status{_did_you_mean(word)}; {_HELP}")


def _did_you_mean(word: str) -> str:
    known = (*model.STATUSES, *map(str.upper, (*PROTOCOLS, LEFT)))
    near = difflib.get_close_matches(word.upper().replace("-", "_"), known, 1, 0.6)
    if not near:
        return ""
    return f"; did you mean {near[0] if near[0] in model.STATUSES else near[0].lower()}?"


def _on_port(port: int) -> Callable[[Line], bool]:
    return lambda line: port in (line.entry.local.port, line.entry.remote and line.entry.remote.port)


def _in_status(status: str) -> Callable[[Line], bool]:
    """Match the status. LISTEN includes bound UDP sockets, which have no status."""
    return lambda line: line.entry.status == status or (status == model.LISTEN and line.entry.is_listening)


def _named(word: str) -> Callable[[Line], bool]:
    """Match a process. A plain word may be anywhere in the name or command line. A glob must match the whole name, the
    whole program name, or either with the command line."""
    text = word.lower()
    if not any(sign in text for sign in "*?"):
        return lambda line: text in line.process.lower()
    glob = re.compile("".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in text), re.DOTALL)

    def holds(line: Line) -> bool:
        process = line.process.lower()
        name, _, command_line = process.partition(": ")
        program = command_line.partition(" ")[0].rpartition("/")[2]
        return any(map(glob.fullmatch, (name, program, process)))

    return holds
