"""The user's settings: where each was set, and whether it is valid. Order: mark > command line > ini > default."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.errors import SettingError, quoted
from pytest_sockets.leaks import kinds
from pytest_sockets.printable import cut_in_middle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_sockets.reports.run import Mode

MODES: Final = ("off", "warn", "error")
SCOPES: Final = ("process", "tree")
REPORT_SUFFIXES: Final = (".json", ".html", ".md", ".sarif")
GITHUB: Final = "github"
"""The value that requests annotations and a step summary instead of a file."""
_LONGEST: Final = 320
"""The longest message of other code to show, in characters."""
_MOST_DIGITS: Final = 40


SETTINGS: Final = pytest.StashKey["Settings"]()
"""`config.stash[SETTINGS]`: present from `pytest_configure` on."""


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini key. An option with an ini key defaults to None, so that the ini value can apply."""
    group = parser.getgroup("sockets", "socket leaks, free ports and echo servers (pytest-sockets)")
    off_warn_error = "off, warn or error"
    group.addoption(
        "--sockets-leaks",
        metavar="MODE",
        default=None,
        help=f"sockets left open: {off_warn_error} (default: warn)",
    )
    group.addoption(
        "--sockets-unclosed",
        metavar="MODE",
        default=None,
        help=f"sockets that only the interpreter closed: {off_warn_error} (default: off)",
    )
    group.addoption(
        "--sockets-grace",
        metavar="SECONDS",
        default=None,
        help="how long a socket may take to close after its owner's teardown (default: 0.5)",
    )
    group.addoption(
        "--sockets-ignore",
        metavar="RULE",
        action="append",
        default=None,
        help='do not report sockets that match all key=glob pairs of RULE, e.g. "remote=127.0.0.1:5432"; repeatable',
    )
    group.addoption(
        "--sockets-kinds",
        metavar="LIST",
        default=None,
        help="which sockets to watch: tcp, udp, unix, or unix-path for those with a path (default: tcp,udp,unix-path)",
    )
    group.addoption(
        "--sockets-scope",
        metavar="SCOPE",
        default=None,
        help="process, or tree: also what child processes leave listening (default: tree)",
    )
    group.addoption(
        "--sockets-report",
        metavar="PATH",
        action="append",
        default=None,
        help="write a report when the run ends: .json, .html, .md or .sarif; or the word github; repeatable",
    )
    group.addoption(
        "--sockets-baseline", metavar="FILE", default=None, help="a file of known leaks, which do not fail"
    )
    group.addoption(
        "--sockets-update-baseline",
        action="store_true",
        default=False,
        help="rewrite the baseline file from this run's leaks",
    )
    group.addoption(
        "--sockets-baseline-strict",
        action="store_true",
        default=False,
        help="fail if the baseline lists leaks that are gone",
    )
    group.addoption(
        "--sockets-table",
        metavar="FILTER",
        nargs="?",
        const="",
        default=None,
        help="print the socket table with its holders and exit; FILTER: a status, :PORT, tcp, udp, unix, a process id or "
        "name; left: processes that interrupted runs left behind",
    )
    group.addoption(
        "--sockets-show-secrets",
        action="store_true",
        default=False,
        help="show passwords in the command lines of processes, which are masked as *** otherwise",
    )
    group.addoption(
        "--sockets-ports",
        metavar="LOW-HIGH",
        default=None,
        help="where free ports come from (default: outside the ephemeral range)",
    )
    parser.addini("sockets_leaks", f"sockets left open: {off_warn_error}", type="string", default=None)
    parser.addini(
        "sockets_unclosed",
        f"sockets that only the interpreter closed: {off_warn_error}",
        type="string",
        default=None,
    )
    parser.addini("sockets_grace", "seconds a socket may take to close", type="float", default=None)
    parser.addini("sockets_ignore", "rules for sockets that are not reported", type="linelist", default=[])
    parser.addini(
        "sockets_kinds", "which sockets to watch: tcp, udp, unix, unix-path", type="string", default=None
    )
    parser.addini("sockets_scope", "process or tree", type="string", default=None)
    parser.addini(
        "sockets_report", "reports to write: .json, .html, .md, .sarif or github", type="linelist", default=[]
    )
    parser.addini("sockets_baseline", "a file of known leaks", type="string", default=None)
    parser.addini("sockets_ports", "LOW-HIGH: where free ports come from", type="string", default=None)
    parser.addini(
        "sockets_override_ports",
        "serve other plugins' port fixtures from this plugin's pool",
        type="bool",
        default=False,
    )


class _Reader:
    """Reads one setting after the other and remembers where each came from."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.origins: dict[str, str] = {}

    def read(self, field: str, check: Callable[[Any], Any], default: object) -> Any:
        value, origin = self._find(field)
        self.origins[field] = origin
        if value is None:
            return default
        try:
            return check(value)
        except SettingError as error:
            raise pytest.UsageError(f"pytest-sockets: {error.at(origin)}") from None

    def _find(self, field: str) -> tuple[object, str]:
        option = self._config.getoption(f"sockets_{field}", None)
        if option is not None:
            return option, f"command line, --sockets-{field.replace('_', '-')}"
        try:
            value = self._config.getini(f"sockets_{field}")
        except (TypeError, ValueError, pytest.UsageError) as error:
            raise pytest.UsageError(f"pytest-sockets: {self._ini(field)}: {shortened(str(error))}") from None
        return (None, "default") if value in (None, []) else (value, self._ini(field))

    def _ini(self, field: str) -> str:
        path = self._config.inipath
        return f"{path.name if path else 'ini option'}, sockets_{field}"


def shortened(text: str) -> str:
    """Return a message of other code, cut in its middle: it quotes the whole value, and its advice is at the end."""
    return cut_in_middle(text, _LONGEST)


def one_of(choices: tuple[str, ...], what: str) -> Callable[[object], str]:
    """Return a check that the value is one of `choices`."""

    def check(value: object) -> str:
        if value not in choices:
            raise SettingError(f"{quoted(value)} is not a valid {what}; use one of: {', '.join(choices)}")
        return str(value)

    return check


mode = one_of(MODES, "mode")


def grace_seconds(value: object) -> float:
    """Check that the value is finite, non-negative seconds."""
    try:
        # float("1_0") is 10.0, but an underscore belongs into source code
        strange = isinstance(value, bool) or "_" in str(value)
        seconds = math.nan if strange else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingError(f"{quoted(value)} is not a number of seconds; use 0 or more, such as 0.5")
    return seconds


def _kinds(value: object) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",") if name.strip()))
    unknown = [name for name in names if name not in kinds.KINDS]
    if unknown or not names:
        raise SettingError(
            f"{quoted(value)} names no kind of socket; use a comma-separated list of: {', '.join(kinds.KINDS)}"
        )
    return names


def rule_lines(value: Any) -> tuple[str, ...]:
    """Check that each line is a valid ignore rule."""
    lines = tuple(value)
    for line in lines:
        check_rule(line)
    return lines


def check_rule(line: str) -> None:
    """Check one ignore rule."""
    from pytest_sockets.leaks.rules import parse_rule

    try:
        parse_rule(line)
    except SettingError as error:
        raise SettingError(shortened(error.problem)) from None


def _port_range(value: object) -> tuple[int, int]:
    low, dash, high = (part.strip() for part in str(value).partition("-"))
    # int() rejects thousands of digits with an error of its own
    if not (dash and low.isdecimal() and high.isdecimal() and len(low + high) <= _MOST_DIGITS):
        raise SettingError(f"{quoted(value)} is not a valid port range; use LOW-HIGH, such as 20000-29999")
    first, last = int(low), int(high)
    if not 0 < first <= last <= 65535:
        raise SettingError(
            f"{quoted(value)} is not a valid port range: LOW and HIGH must be 1-65535 and LOW not above HIGH"
        )
    return first, last


class Settings:
    """Every setting of a run, checked. Raises `pytest.UsageError`, which says where an invalid one was set."""

    def __init__(self, config: pytest.Config) -> None:
        reader = _Reader(config)
        base = config.invocation_params.dir

        def report_paths(values: Any) -> tuple[Path, ...]:
            names = [str(value) for value in values]
            self.github = GITHUB in names
            return tuple(dict.fromkeys(_report_path(base, name) for name in names if name != GITHUB))

        def baseline_path(value: object) -> Path:
            return _baseline_path(config, str(value), self.update_baseline)

        self.leaks: str = reader.read("leaks", mode, "warn")
        self.unclosed: str = reader.read("unclosed", mode, "off")
        self.grace: float = reader.read("grace", grace_seconds, 0.5)
        self.ignore: tuple[str, ...] = reader.read("ignore", rule_lines, ())
        self.kinds: tuple[str, ...] = reader.read("kinds", _kinds, kinds.DEFAULT)
        self.scope: str = reader.read("scope", one_of(SCOPES, "scope"), "tree")
        self.github = False
        """Whether annotations and a step summary were requested."""
        self.reports: tuple[Path, ...] = reader.read("report", report_paths, ())
        self.update_baseline = bool(config.getoption("sockets_update_baseline"))
        self.baseline: Path | None = reader.read("baseline", baseline_path, None)
        if self.update_baseline and self.baseline is None:
            raise pytest.UsageError(
                "pytest-sockets: command line, --sockets-update-baseline: no baseline file is named; "
                "add --sockets-baseline=FILE"
            )
        if self.update_baseline and self.leaks == self.unclosed == "off":
            raise pytest.UsageError(
                f"pytest-sockets: {reader.origins['leaks']}: the mode is off, so the baseline cannot be updated: "
                "no leak would be found; use --sockets-leaks=warn"
            )
        self.baseline_strict = bool(config.getoption("sockets_baseline_strict"))
        if self.baseline_strict and self.baseline is None:
            raise pytest.UsageError(
                "pytest-sockets: command line, --sockets-baseline-strict: no baseline file is named; "
                "add --sockets-baseline=FILE"
            )
        self.ports: tuple[int, int] | None = reader.read("ports", _port_range, None)
        self.show_secrets = bool(config.getoption("sockets_show_secrets"))
        self.override_ports: bool = reader.read("override_ports", bool, False)
        self.origins = reader.origins
        """Where each setting was set, by the name of its option or ini key; "default" if it was not set."""

    @property
    def counts_every_test(self) -> bool:
        """Whether a report or the baseline also needs the tests that open nothing."""
        return self.wants_report or self.baseline is not None

    @property
    def wants_report(self) -> bool:
        """Whether the run is shown anywhere else than in the terminal."""
        return bool(self.reports) or self.github

    def mode(self) -> Mode:
        """Return what this run looks for, for the reports."""
        from pytest_sockets.reports.run import Mode

        return Mode(self.leaks, self.unclosed, self.kinds, self.scope, self.grace)


def _check_html() -> None:
    from pytest_sockets.reports.html_report import HTML_MISSING, html_available

    if not html_available():
        raise SettingError(HTML_MISSING)


def _report_path(base: Path, value: str) -> Path:
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


def _baseline_path(config: pytest.Config, value: str, update: bool) -> Path:
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
    except (
        SettingError,
        OSError,
    ) as error:  # an error of the baseline has its own place: the line in the file
        raise SettingError(str(error)) from None
