"""The policy for the leaks of one owner: the marks on its node, over the settings of the run."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.errors import SettingError, quoted
from pytest_sockets.leaks.findings import UNCLOSED
from pytest_sockets.leaks.rules import Rule, parse_rule
from pytest_sockets.plugin.settings import check_rule, grace_seconds, mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.plugin.settings import Settings

MARK: Final = "sockets"
_ARGUMENTS: Final = ("leaks", "grace", "ignore", "reason")


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """The settings for one owner."""

    leaks: str
    unclosed: str
    grace: float
    ignore: tuple[Rule, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether anything is looked for."""
        return self.leaks != "off" or self.unclosed != "off"

    def mode_of(self, kind: str) -> str:
        """Return `off`, `warn` or `error` for a finding of this kind."""
        return self.unclosed if kind == UNCLOSED else self.leaks


def policy_for(node: object, settings: Settings) -> Policy:
    """Return the policy for an owner whose marks are on `node`. The closest mark wins; ignore rules add up."""
    given: dict[str, Any] = {}
    ignore: list[Rule] = []
    if isinstance(node, pytest.Collector | pytest.Item):
        for mark in node.iter_markers(MARK):
            for key, value in mark.kwargs.items():
                if key == "ignore":
                    ignore.extend(parse_rule(rule) for rule in value or ())
                elif value is not None:
                    given.setdefault(key, value)
    leaks = given.get("leaks")
    return Policy(
        leaks=leaks or settings.leaks,
        # A test that is exempt from leak detection is exempt from both kinds.
        unclosed="off" if leaks == "off" else settings.unclosed,
        grace=float(given["grace"]) if "grace" in given else settings.grace,
        ignore=tuple(ignore),
    )


class Policies(dict["Owner", Policy]):
    """Made for each owner when it is asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, owner: Owner) -> Policy:
        policy = self[owner] = policy_for(owner.context, self._settings)
        return policy


def check_marks(items: Iterable[pytest.Item]) -> bool:
    """Raise `pytest.UsageError` for the first invalid mark. Return whether a mark turns detection on."""
    checked: set[int] = set()
    turned_on = False
    for item in items:
        if MARK not in item.keywords:
            continue
        for node, mark in item.iter_markers_with_node(MARK):
            if id(mark) not in checked:
                checked.add(id(mark))
                _check(mark, node)
            turned_on = turned_on or mark.kwargs.get("leaks") not in (None, "off")
    return turned_on


def _check(mark: pytest.Mark, node: Any) -> None:
    try:
        if mark.args:
            raise SettingError(f"it takes keyword arguments only: {', '.join(_ARGUMENTS)}")
        unknown = [name for name in mark.kwargs if name not in _ARGUMENTS]
        if unknown:
            raise SettingError(f"unknown argument {quoted(unknown[0])}; use: {', '.join(_ARGUMENTS)}")
        given = {name: value for name, value in mark.kwargs.items() if value is not None}
        if "leaks" in given:
            _check_mode(given["leaks"])
        if "grace" in given:
            grace_seconds(given["grace"])
        _check_ignore(given.get("ignore", ()))
    except SettingError as error:
        raise pytest.UsageError(
            f"pytest-sockets: {error.at(f'@pytest.mark.sockets on {node.nodeid}')}"
        ) from None


def _check_mode(leaks: Any) -> None:
    if mode(leaks) == "error" and sys.platform != "linux":
        from pytest_sockets.plugin import leak_support

        if (refusal := leak_support.refusal_of_mark()) is not None:
            raise SettingError(refusal)


def _check_ignore(rules: object) -> None:
    if isinstance(rules, str) or not isinstance(rules, list | tuple):
        raise SettingError(
            f'ignore={quoted(rules)} is not a list of rules, such as ["remote=127.0.0.1:5432"]'
        )
    for rule in rules:
        if not isinstance(rule, str):
            raise SettingError(
                f"ignore: {quoted(rule)} is not a rule; a rule is text, such as 'remote=127.0.0.1:5432'"
            )
        check_rule(rule)
