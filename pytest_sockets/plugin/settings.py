"""The user's settings: where each was set, and whether it is valid. Order: mark > command line > ini > default."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.errors import SettingError, quoted
from pytest_sockets.leaks import kinds
from pytest_sockets.plugin import setting_paths
from pytest_sockets.printable import cut_in_middle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_sockets.reports.run import Mode

MODES: Final = ("off", "warn", "error")
SCOPES: Final = ("process", "tree")
_LONGEST: Final = 320
"""The longest message of other code to show, in characters."""
_MOST_DIGITS: Final = 40


SETTINGS: Final = pytest.StashKey["Settings"]()
"""`config.stash[SETTINGS]`: present from `pytest_configure` on."""


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
            self.github = setting_paths.GITHUB in names
            files = [name for name in names if name != setting_paths.GITHUB]
            return tuple(dict.fromkeys(setting_paths.report_path(base, name) for name in files))

        def baseline_path(value: object) -> Path:
            return setting_paths.baseline_path(config, str(value), self.update_baseline)

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
