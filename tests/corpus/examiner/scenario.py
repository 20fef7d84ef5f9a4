"""What a scenario file says about itself: how to run it, what it needs, and what leaks where.

A scenario is a file `<case>_leaky.py` / `<case>_clean.py`, or a folder of that name with several files. Its comments speak:

    # run: --sockets-unclosed=warn     further arguments of pytest (--sockets-* only reach pytest-sockets)
    # plugins: asyncio rerunfailures   pytest plugins, by entry point
    # needs: uvloop redis-server       modules or programs; without them the scenario is skipped
    # outcomes: passed=1 failed=1      what pytest counts (default: at least one passed, none failed)
    # crosses: WHY                     sockets may be open between two tests (a wider fixture's)
    # at the end: WHY                  when the session ends, other sockets are open than those that are promised
    # fragile: WHY                     outcomes depend on timing, or the oracle cannot see this one
    # alone: WHY                       never together with others in one process
    # one process: WHY                 never with xdist

and on the line that opens a socket, or alone above it:

    # LEAK owner=test:test_x [kind=open] [scope=function] [count=1] [line=exact|optional|none] [process=child] ...
    # MAY  owner=test:test_x ...       a report that is right but not demanded

`owner` is KIND:NAME; the name is what follows "::" in the nodeid, a fixture's name, or empty for a file (import, module).
`line=optional`: the line or null (opened by C code, or in a task); `line=none`: null; `line=any`: not compared.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).resolve().parent.parent
_DIRECTIVE = re.compile(
    r"^# (run|plugins|needs|outcomes|crosses|at the end|fragile|alone|one process): (.*)$", re.MULTILINE
)
_EXPECTATION = re.compile(r"#\s*(LEAK|MAY)\b([^#]*)")


@dataclasses.dataclass(frozen=True)
class Expectation:
    """One promised finding: who owns it and which line opened it."""

    owner_kind: str
    owner_name: str
    file: str
    line: int
    kind: str = "open"
    scope: str | None = None
    phase: str | None = None
    protocol: str | None = None
    status: str | None = None
    line_mode: str = "exact"
    count: int = 1
    child: bool = False
    required: bool = True

    def __str__(self) -> str:
        return f"{self.kind} {self.owner_kind}:{self.owner_name} at {self.file}:{self.line}"


@dataclasses.dataclass(frozen=True, eq=False)
class Scenario:
    """One small suite. `name` is `topic/case_leaky` or `topic/case_clean`."""

    name: str
    path: Path
    run: tuple[str, ...]
    plugins: tuple[str, ...]
    needs: tuple[str, ...]
    outcomes: dict[str, int]
    crosses: str
    at_the_end: str
    fragile: str
    alone: str
    one_process: str
    expectations: tuple[Expectation, ...]

    @property
    def leaky(self) -> bool:
        return self.name.endswith("_leaky")

    @property
    def required(self) -> tuple[Expectation, ...]:
        return tuple(expectation for expectation in self.expectations if expectation.required)

    @property
    def topic(self) -> str:
        return self.name.partition("/")[0]

    @property
    def twin(self) -> str:
        return self.name.removesuffix("_leaky") + "_clean"

    @property
    def all_needs(self) -> tuple[str, ...]:
        """Modules and programs, its plugins' among them."""
        return (*self.needs, *_plugin_modules(self.plugins))

    @property
    def plain(self) -> bool:
        """Whether it can run with others in one process."""
        return not (self.path.is_dir() or self.run or self.plugins or self.outcomes or self.alone)

    def missing(self) -> list[str]:
        """What this interpreter or machine lacks."""
        return [need for need in self.all_needs if not _there(need)]

    def install(self, folder: Path) -> None:
        """Copy the suite to `folder`, which becomes the rootdir of its run."""
        if self.path.is_dir():
            shutil.copytree(
                self.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(self.path, folder / test_file_name(self.path))
        (folder / "pytest.ini").write_text("[pytest]\n")


def _plugin_modules(plugins: tuple[str, ...]) -> list[str]:
    modules = {
        "asyncio": "pytest_asyncio",
        "xdist": "xdist",
        "anyio": "anyio",
        "rerunfailures": "pytest_rerunfailures",
    }
    modules |= {"socket": "pytest_socket", "trio": "pytest_trio", "timeout": "pytest_timeout"}
    return [modules[plugin] for plugin in plugins if plugin in modules]


def _there(need: str) -> bool:
    return shutil.which(need) is not None or importlib.util.find_spec(need.replace("-", "_")) is not None


def test_file_name(path: Path) -> str:
    """How the file is called in the folder where it runs."""
    return f"test_{path.name}"


test_file_name.__test__ = False  # type: ignore[attr-defined]


def all_scenarios() -> list[Scenario]:
    """Every scenario of the corpus, by name."""
    found = [path for path in CORPUS.glob("*/*") if re.search(r"_(leaky|clean)(\.py)?$", path.name)]
    return sorted((load(path) for path in found), key=lambda scenario: scenario.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Together(Scenario):
    """Several plain scenarios in one run: what one leaves must not be blamed on another."""

    members: tuple[Scenario, ...] = ()

    def install(self, folder: Path) -> None:
        """Copy all of them."""
        for member in self.members:
            member.install(folder)


def together(name: str, members: list[Scenario]) -> Together:
    """One run of all `members`, which must be plain."""
    promised = tuple(item for member in members for item in member.expectations)
    return Together(name, CORPUS, (), (), (), {}, "", "", "", "", "", promised, tuple(members))


def load(path: Path) -> Scenario:
    """Read a scenario's directives and expectations."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    said = [match.groups() for file in files for match in _DIRECTIVE.finditer(file.read_text())]

    def words(key: str) -> tuple[str, ...]:
        return tuple(word for name, value in said if name == key for word in value.split())

    return Scenario(
        name=f"{path.parent.name}/{path.stem}",
        path=path,
        run=words("run"),
        plugins=words("plugins"),
        needs=words("needs"),
        outcomes={name: int(count) for name, _, count in (word.partition("=") for word in words("outcomes"))},
        crosses=" ".join(words("crosses")),
        at_the_end=" ".join(words("at the end")),
        fragile=" ".join(words("fragile")),
        alone=" ".join(words("alone")),
        one_process=" ".join(words("one process")),
        expectations=tuple(item for file in files for item in _expectations(file, path)),
    )


def _expectations(file: Path, scenario: Path) -> Iterator[Expectation]:
    shown = str(file.relative_to(scenario)) if scenario.is_dir() else test_file_name(file)
    waiting: list[tuple[str, dict[str, str]]] = []
    for number, text in enumerate(file.read_text().splitlines(), 1):
        said = [(word, dict(_pairs(fields))) for word, fields in _EXPECTATION.findall(text)]
        if text.lstrip().startswith("#"):
            waiting += said
            continue
        for word, fields in waiting + said:
            yield _expectation(shown, number, fields, required=word == "LEAK")
        waiting = []


def _pairs(fields: str) -> Iterator[tuple[str, str]]:
    for word in fields.split():
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no key=value")
        yield key, value


def _expectation(file: str, line: int, fields: dict[str, str], *, required: bool) -> Expectation:
    owner_kind, _, owner_name = fields.pop("owner").partition(":")
    return Expectation(
        owner_kind=owner_kind,
        owner_name=owner_name,
        file=file,
        line=line,
        line_mode=fields.pop("line", "exact"),
        count=int(fields.pop("count", 1)),
        child=fields.pop("process", "") == "child",
        required=required,
        **fields,
    )
