"""Which findings are reported? Ignore rules of the run and of marks, the defaults, and `pytest_sockets_finding` hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_sockets.leaks.rules import Ignores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.rules import Rule


class FindingFilter:
    """Counts what it hides."""

    def __init__(self, config: pytest.Config, rules: Iterable[str]) -> None:
        self._config = config
        self.ignores = Ignores(rules)
        self.errors: list[str] = []
        """What hooks raised; a hook that fails hides nothing."""

    def passes(self, owner: Owner, finding: Finding, rules: Iterable[Rule]) -> bool:
        """Whether neither a rule, those of a mark included, nor a hook hides `finding`."""
        return not self.ignores.cover(finding, rules) and self._passes_hooks(owner, finding)

    def _passes_hooks(self, owner: Owner, finding: Finding) -> bool:
        # A conftest's hook is called for what belongs to its folder.
        node = owner.context
        hook = node.ihook if isinstance(node, pytest.Item | pytest.Collector) else self._config.hook
        try:
            answers = hook.pytest_sockets_finding(finding=finding, config=self._config)
        except Exception as error:  # noqa: BLE001  (the results of the tests are worth more)
            text = f"a pytest_sockets_finding hook failed: {type(error).__name__}: {error}"
            if text not in self.errors:
                self.errors.append(text)
            return True
        if any(answer is False for answer in answers):
            self.ignores.count("hook pytest_sockets_finding")
            return False
        return True
