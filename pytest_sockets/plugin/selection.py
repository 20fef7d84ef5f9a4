"""Find out which part of the suite this process runs. Registered only with a baseline, to keep entries of other parts."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.owner_place import place_of_function
from pytest_sockets.reports.baseline_keys import fixture_owner

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from pytest_sockets.reports.baseline_check import Ran

SELECTION: Final = "sockets_selection"
"""The key of an xdist worker's selection in its output."""
_PARTIAL_OPTIONS: Final = ("lf", "stepwise", "keyword", "markexpr", "deselect", "ignore", "ignore_glob")


class Selection(HookObject):
    """Watches which items are collected, dropped and set up.

    Sharding plugins and conftest files shorten the list of items silently, so the list before all of them is compared
    with the list after.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._root = config.rootpath
        self._worker = hasattr(config, "workerinput")
        self._collected: dict[str, None] = {}
        self.cut_files: set[str] = set()
        self.fixtures: set[str] = set()
        self.kept = 0
        self.workers: list[dict[str, Any]] = []
        """The selections that the xdist workers have sent."""
        self._seen_fixtures: set[object] = set()

    # -- collection ------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> Generator[None, bool | None, bool | None]:
        """Note a conftest that ignores files, for example by shard: only a part of the suite runs then."""
        ignored = yield
        if ignored and not self._is_static(collection_path):
            try:
                name = collection_path.relative_to(self._root).as_posix()
            except ValueError:
                name = str(collection_path)
            self.cut_files.add(name)
        return ignored

    def _is_static(self, path: Path) -> bool:
        if path.is_dir():
            patterns = self._config.getini("norecursedirs")
            return (
                any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)
                or path.name == "__pycache__"
                or (path / "pyvenv.cfg").is_file()
                or (path / "conda-meta").is_dir()
            )
        patterns = self._config.getini("python_files")
        return path.suffix != ".py" or not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Remember the list before other plugins shorten it."""
        self._collected = dict.fromkeys(item.nodeid for item in items)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Compare the two lists."""
        left = {item.nodeid for item in session.items}
        self.kept = len(left)
        self.cut_files.update(_file(nodeid) for nodeid in self._collected if nodeid not in left)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note items that a plugin removed before the list was remembered."""
        self.cut_files.update(_file(item.nodeid) for item in items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that is skipped or cannot be imported: its tests are unknown."""
        if not report.passed and report.nodeid:
            self.cut_files.add(_file(report.nodeid))

    # -- the run ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Note each fixture once."""
        key = (fixturedef.argname, fixturedef.func)
        if key not in self._seen_fixtures:
            self._seen_fixtures.add(key)
            file = place_of_function(fixturedef.func, self._root).file or fixturedef.scope
            self.fixtures.add(fixture_owner(fixturedef.argname, file))
            self.fixtures.add(fixture_owner(fixturedef.argname, fixturedef.scope))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Send the selection from an xdist worker to the controller, as JSON in ASCII."""
        if self._worker:
            data = {"cut": sorted(self.cut_files), "fixtures": sorted(self.fixtures), "kept": self.kept}
            self._config.workeroutput[SELECTION] = json.dumps(data)  # type: ignore[attr-defined]
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Receive the selection of a worker that has ended."""
        text = getattr(node, "workeroutput", {}).get(SELECTION)
        if text is not None:
            self.workers.append(json.loads(text))

    # -- the result ------------------------------------------------------------------------------------------

    def complete(self, ran: Ran, *, stopped: bool) -> None:
        """Fill in the selection. `stopped`: the run ended early, or a worker crashed."""
        kept = self.kept
        for worker in self.workers:
            self.cut_files.update(worker["cut"])
            self.fixtures.update(worker["fixtures"])
            kept = max(kept, worker["kept"])
        ran.cut_files |= self.cut_files
        ran.fixtures |= self.fixtures
        option = self._config.option
        partial = any(getattr(option, name, None) for name in _PARTIAL_OPTIONS)
        of_all = self._config.args_source is not pytest.Config.ArgsSource.ARGS
        at_root = (
            self._config.args_source is not pytest.Config.ArgsSource.INVOCATION_DIR
            or self._config.invocation_params.dir == self._root
        )
        if any("::" in argument for argument in self._config.args):
            ran.cut_files.update(_file(nodeid) for nodeid in ran.seen)
        if partial and getattr(option, "lf", False):
            ran.cut_files.update(_file(nodeid) for nodeid in ran.seen)
        if stopped:
            ran.cut_files.update(_file(nodeid) for nodeid in ran.seen)
        ran.whole = of_all and at_root and not partial and not stopped and len(ran.seen) >= kept


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
