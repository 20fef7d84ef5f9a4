"""Decide which findings are not reported: the user's rules, and the default ignores, each with its cause."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import LOOP_NOT_CLOSED
from pytest_sockets.service_names import service_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sockets.leaks.findings import Finding


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """`key=glob` pairs that must all hold."""

    text: str
    pairs: tuple[tuple[str, str], ...]

    def matches(self, finding: Finding) -> bool:
        """Whether every pair holds for `finding`."""
        return all(any(_matches(value, glob) for value in _VALUES[key](finding)) for key, glob in self.pairs)


def _matches(value: str, glob: str) -> bool:
    """Whether the value matches. Only `*` and `?` are special, since addresses and ids of tests contain brackets."""
    return fnmatchcase(value, glob.replace("[", "[[]"))


def _opened_in(finding: Finding) -> Iterable[str]:
    # A rule may mean the library that opens the socket or the code that calls it, so every line of the stack counts.
    files = [frame.file for frame in finding.stack]
    if finding.opened_at:
        files.append(finding.opened_at.file)
    # `*/vendor/*` must also match the suite's own folder, with which the relative path begins.
    return [*files, *(f"./{file}" for file in files if not file.startswith("/"))]


def _owner(finding: Finding) -> Iterable[str]:
    return finding.owner_name, f"{finding.owner_kind}:{finding.owner_name}"


_VALUES: Final[dict[str, Callable[[Finding], Iterable[str]]]] = {
    "protocol": lambda finding: (finding.socket.protocol,),
    "local": lambda finding: (str(finding.socket.local),),
    "remote": lambda finding: (str(finding.socket.remote),) if finding.socket.remote else (),
    "status": lambda finding: (finding.socket.status,),
    "opened_in": _opened_in,
    "owner": _owner,
    "process": lambda finding: (
        (finding.process, finding.process.rpartition("/")[2]) if finding.process else ()
    ),
}
KEYS: Final = tuple(_VALUES)


def parse_rule(text: str) -> Rule:
    """Parse a rule. Raises `SettingError`, which names the invalid part.

    Globs are case-sensitive and match the whole value. A value with spaces needs quotes.
    """
    pairs = []
    for part in _split(text):
        key, equals, glob = part.partition("=")
        if not equals or not glob:
            raise SettingError(
                f"rule {text!r}: {part!r} is not a key=glob pair, such as remote=127.0.0.1:5432"
            )
        if key not in _VALUES:
            raise SettingError(f"rule {text!r}: unknown key {key!r}; use one of: {', '.join(KEYS)}")
        pairs.append((key, glob))
    if not pairs:
        raise SettingError(
            "an empty rule would ignore everything; use key=glob pairs, such as remote=127.0.0.1:5432"
        )
    return Rule(text, tuple(pairs))


def _split(text: str) -> list[str]:
    words = shlex.shlex(text, posix=True)
    words.whitespace_split = True
    words.commenters = ""
    words.escape = ""  # backslashes are path separators on Windows
    try:
        return list(words)
    except ValueError:
        raise SettingError(f"rule {text!r}: a quotation mark is not closed") from None


def suggested_rule(finding: Finding) -> str:
    """Return the narrowest rule that matches `finding` in later runs too, without any randomly chosen port."""
    socket = finding.socket
    if finding.process is not None:
        program = finding.process.partition(" ")[0]
        return f"process={_value(program)}*"
    if socket.remote is not None and socket.remote.port and service_name(socket.remote.port, socket.protocol):
        return f"remote={_value(str(socket.remote))}"
    return f"owner={_value(f'{finding.owner_kind}:{finding.owner_name}')}"


def _value(text: str) -> str:
    """Return `text` as the glob of a pair, quoted if it has spaces. `?` stands for what cannot be typed or quoted."""
    glob = "".join(char if char.isprintable() and char not in "\"'" else "?" for char in text)
    return f'"{glob}"' if " " in glob or not glob else glob


def _event_loop_self_pipe(finding: Finding) -> bool:
    """Every event loop owns a socket pair to wake itself. Runners and plugins keep loops that they close at exit.

    A loop that the user's own line made is not ignored.
    """
    return LOOP_NOT_CLOSED not in (finding.note or "") and any(
        frame.file.endswith(file) and frame.function == function
        for frame in finding.stack[:5]
        for file, function in _SELF_PIPE_MAKERS
    )


_SELF_PIPE_MAKERS: Final = (
    ("asyncio/selector_events.py", "_make_self_pipe"),
    ("asyncio/proactor_events.py", "_make_self_pipe"),
    ("trio/_core/_wakeup_socketpair.py", "__init__"),
    ("tornado/platform/asyncio.py", "__init__"),
)


def _multiprocessing_plumbing(finding: Finding) -> bool:
    """multiprocessing's own unix sockets (forkserver, managers, resource sharer) are local plumbing of the interpreter.

    `Listener`, `Client` and `Pipe()` are public: other code must close the sockets that it opens with them. A `Queue` has
    no sockets, since it uses pipe(2).
    """
    if finding.socket.protocol != "unix":
        return False
    files = [frame.file.replace("\\", "/") for frame in finding.stack if not frame.file.endswith("socket.py")]
    doors = list(itertools.takewhile(lambda file: file.endswith(_MULTIPROCESSING_DOORS), files))
    caller = files[len(doors)] if len(doors) < len(files) else doors[-1] if doors else ""
    return caller.rpartition("/")[0].endswith("/multiprocessing")


_MULTIPROCESSING_DOORS: Final = ("/multiprocessing/connection.py", "/multiprocessing/context.py")


def _system_service(finding: Finding) -> bool:
    """The C library keeps one connection per process to name services and syslog. Any look-up of a user may open it."""
    remote = finding.socket.remote
    if finding.socket.protocol != "unix" or finding.opened_at is not None or remote is None:
        return False
    return any(fnmatchcase(remote.host, path) for path in _SYSTEM_SERVICES)


_SYSTEM_SERVICES: Final = (
    "/dev/log", "/run/systemd/*", "/run/nscd/*", "/var/run/nscd/*", "/var/lib/sss/pipes/*",
)  # fmt: skip


DEFAULT_IGNORES: Final[tuple[Callable[[Finding], bool], ...]] = (
    _event_loop_self_pipe,
    _multiprocessing_plumbing,
    _system_service,
)
"""All default ignores. The docstring of each explains its cause."""


class Ignores:
    """The rules of a run, and the number of findings that each one hid."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._hits = {parse_rule(line): 0 for line in lines}
        self.ignored: dict[str, int] = {}
        """The number of findings that were not reported, by the text of the rule or the name of the default."""

    def cover(self, finding: Finding, more: Iterable[Rule] = ()) -> bool:
        """Whether `finding` is ignored by default, by a rule of the run, or by one of `more` (the rules of a mark)."""
        for default in DEFAULT_IGNORES:
            if default(finding):
                self.count(f"by default: {default.__name__.strip('_').replace('_', ' ')}")
                return True
        for rule in self._hits:
            if rule.matches(finding):
                self._hits[rule] += 1
                self.count(rule.text)
                return True
        for rule in more:
            if rule.matches(finding):
                self.count(f"{rule.text} (a mark's)")
                return True
        return False

    def count(self, reason: str) -> None:
        """Count a finding that is not reported, by its reason."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    @property
    def hits(self) -> dict[str, int]:
        """Return how often each rule of the run matched, by its text."""
        return {rule.text: count for rule, count in self._hits.items()}
