"""Would the tests notice a wrong operator, constant or statement in the modules that decide and print?

`python tests/proof/mutation.py --seed 1 --sample 150 --out mutants.txt`. Each mutant changes one place of one module in a
copy of the project. The tests of `TESTS` for that module then run until the first failure. A mutant that passes them all has
survived: `--out` shows its diff. The exit status is 1 if fewer than `--least` percent of the mutants were killed.

`--only PART` takes only modules whose path contains PART. `--again FILE` runs the survivors of an earlier result.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import dataclasses
import difflib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "pytest_sockets"
TIMEOUT = 120.0
"""Seconds for the tests of one mutant: an endless loop is noticed, too."""
MOST_MEMORY = 4 * 2**30
_QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""A process for each mutant: other plugins would double its start."""

_CORPUS = "tests/leaks/test_corpus.py::test_topic_in_one_run_is_judged_as_its_scenarios_promise"
_JUDGE = (
    "tests/leaks/test_judge_alone.py", "tests/leaks/test_connection_ends.py", "tests/leaks/test_judgement.py",
    "tests/leaks/test_leak_check.py",
    f"{_CORPUS}[unix]", f"{_CORPUS}[tcp]", f"{_CORPUS}[fixtures]",
)  # fmt: skip
_RULES = ("tests/leaks/test_rules.py", "tests/leaks/test_rules_properties.py")
_FINDINGS = (
    "tests/leaks/test_finding_builder.py", "tests/plugin/test_payload.py", "tests/reports/test_json_report.py",
    "tests/reports/test_text.py", f"{_CORPUS}[threads]", f"{_CORPUS}[fixtures]",
)  # fmt: skip
_PORTS = (
    "tests/ports/test_ranges.py", "tests/ports/test_pool.py",
    "tests/ports/test_placeholders.py", "tests/ports/test_pool_model.py",
)  # fmt: skip
_BASELINE = (
    "tests/reports/test_baseline_exactly.py", "tests/reports/test_baseline_check.py",
    "tests/reports/test_baseline.py", "tests/reports/test_stopped_runs.py", "tests/reports/test_selection.py",
)  # fmt: skip
_TEXT = (
    "tests/reports/test_text_exactly.py", "tests/reports/test_text.py", "tests/plugin/test_grouped_summary.py",
    "tests/reports/test_strange_text.py",
)  # fmt: skip
_HTML = ("tests/reports/test_page_data.py", "tests/reports/test_html_report.py")
_TABLE = (
    "tests/table/test_parsers_exactly.py", "tests/table/test_netlink.py", "tests/table/test_own_fds.py",
    "tests/table/test_readers.py", "tests/table/test_agreement.py", "tests/table/test_parser_properties.py",
    "tests/table/test_borrowing.py",
)  # fmt: skip
_WAITS = (
    "tests/asserting/test_messages.py", "tests/asserting/test_wait_failures.py", "tests/asserting/test_waits.py",
    "tests/asserting/test_wait_processes.py",
)  # fmt: skip
_FAULTS = (
    "tests/servers/test_fault_stages.py", "tests/servers/test_fault_settings.py", "tests/servers/test_stream_faults.py",
    "tests/servers/test_fault_rate.py", "tests/servers/test_datagram_faults.py",
    "tests/servers/test_live_connections.py",
)  # fmt: skip

TESTS = {
    "leaks/judgement.py": _JUDGE,
    "leaks/rules.py": _RULES,
    "leaks/findings.py": _FINDINGS,
    "leaks/finding_builder.py": _FINDINGS,
    "ports/pool.py": _PORTS,
    "ports/ranges.py": _PORTS,
    "reports/baseline.py": _BASELINE,
    "reports/baseline_check.py": _BASELINE,
    "reports/baseline_keys.py": _BASELINE,
    "reports/text.py": _TEXT,
    "reports/grouping.py": _TEXT,
    "reports/html_report.py": _HTML,
    "reports/page_data.py": _HTML,
    "table/inet_diag.py": _TABLE,
    "table/unix_diag.py": _TABLE,
    "table/netlink.py": _TABLE,
    "table/proc.py": _TABLE,
    "table/own_fds.py": _TABLE,
    "asserting/wait_conditions.py": _WAITS,
    "asserting/waits.py": _WAITS,
    "asserting/messages.py": _WAITS,
    "servers/faults/ending.py": _FAULTS,
    "servers/faults/timing.py": _FAULTS,
    "servers/faults/base.py": _FAULTS,
    "waiting.py": ("tests/test_waiting.py", *_WAITS),
}
"""The tests that cover a module, those that fail soonest first. A file that does not exist is left out."""

_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Mod: ast.Add,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Place:
    """One place of a module, and which of its mutants to take: the numbers of `_places` and `_variants`."""

    module: str
    number: int
    variant: int
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} #{self.number}.{self.variant}"


def _skipped(node: ast.AST) -> bool:
    """Types, imports and what only a type checker reads have no behaviour of their own."""
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Pass) or (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of which `_variants` makes a mutant, in the order of the source."""
    for node in _children(tree):
        if _skipped(node) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue  # the latter is a docstring
        if _variants(node):
            yield node
        yield from _places(node)


def _variants(node: ast.AST) -> list[ast.AST]:
    """The mutants of one node, without those of its children."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            return [_changed(node, ops=[_COMPARISONS[type(op)]()])]
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return [_changed(node, op=_OPERATORS[type(op)]())]
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            return [_changed(node, op=other), *values]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return [operand]
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.If(test=test) | ast.While(test=test):
            return [_changed(node, test=ast.UnaryOp(ast.Not(), test))]
        case ast.Constant(value=bool(value)):
            return [ast.Constant(not value)]
        case ast.Constant(value=int(value)):
            return [ast.Constant(value + 1), ast.Constant(value - 1)]
        case ast.Constant(value=float(value)):
            return [ast.Constant(value * 2 + 1)]
        case ast.Constant(value=str(value) | bytes(value)) if value:
            return [ast.Constant(value[:-1])]
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            return [ast.Return(ast.Constant(None))]
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete():
            return [ast.Pass()]
        case ast.Break():
            return [ast.Continue()]
        case ast.Continue():
            return [ast.Break()]
    return []


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _tree(module: str) -> ast.Module:
    return ast.parse((PROJECT / PACKAGE / module).read_text())


def all_places(modules: list[str]) -> list[Place]:
    """Every mutant of `modules`."""
    return [
        Place(module, number, variant, getattr(node, "lineno", 0))
        for module in modules
        for number, node in enumerate(_places(_tree(module)))
        for variant in range(len(_variants(node)))
    ]


def mutated(place: Place) -> tuple[str, str]:
    """The module's text before and after; both without comments, so that only the mutant differs."""
    before = _tree(place.module)
    after = copy.deepcopy(before)
    chosen = next(node for number, node in enumerate(_places(after)) if number == place.number)
    other = ast.copy_location(_variants(chosen)[place.variant], chosen)
    for parent in ast.walk(after):
        for name, value in ast.iter_fields(parent):
            if value is chosen:
                setattr(parent, name, other)
            elif isinstance(value, list):
                value[:] = [other if child is chosen else child for child in value]
    return ast.unparse(before), ast.unparse(ast.fix_missing_locations(after))


def diff(before: str, after: str) -> str:
    """The changed lines, with two lines around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join("    " + line for line in list(lines)[3:])


class Copy:
    """A copy of the project, in which one module at a time is another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in (PACKAGE, "tests"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", folder)

    def run(self, module: str, text: str) -> tuple[str, str]:
        """Whether its tests killed this text of `module`, and the first one that failed."""
        path = self._folder / PACKAGE / module
        original = path.read_bytes()
        path.write_text(text)
        try:
            outcome = self._tests(module)
            # hypothesis complains of slow input on a busy machine: no test has judged the mutant then
            return self._tests(module) if "FailedHealthCheck" in outcome[1] else outcome
        finally:
            path.write_bytes(original)

    def _tests(self, module: str) -> tuple[str, str]:
        tests = [test for test in TESTS[module] if (self._folder / test.partition("::")[0]).exists()]
        plugins = ["no:cacheprovider", "pytest_sockets.plugin", "anyio", "xdist"]
        words = [word for plugin in plugins for word in ("-p", plugin)]
        command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", *words, *tests]
        # What a mutant starts must not outlive it: files of its own, a session of its own.
        temporary = self._folder.with_name("tmp")  # below the project, its pyproject.toml would apply
        temporary.mkdir()
        environment = os.environ | {"PYTHONPATH": str(self._folder), "TMPDIR": str(temporary)} | _QUICK
        process = subprocess.Popen(
            command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_bounded,
        )  # fmt: skip
        try:
            output = process.communicate(timeout=TIMEOUT)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            return "killed", "time limit"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(temporary, ignore_errors=True)
        if process.returncode == 0:
            return "survived", ""
        found = re.search(r"^E +(hypothesis\.errors\.FailedHealthCheck)", output, re.M) or re.search(
            r"^(?:FAILED|ERROR) (.+)", output, re.M
        )
        return "killed", found[1] if found else output.strip().rpartition("\n")[2]


def _bounded() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and tests send it
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))


def main() -> int:
    """Run the sample, print the score of each module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", type=Path)
    parser.add_argument("--out", type=Path, default=Path("mutants.txt"))
    parser.add_argument("--least", type=float, default=90.0)
    parser.add_argument("--no-check", action="store_true", help="do not first run the tests without a mutant")
    options = parser.parse_args()
    places = all_places(list(TESTS))
    chosen = random.Random(options.seed).sample(places, min(options.sample, len(places)))
    chosen = [place for place in chosen if options.only in place.module]
    if options.again:
        earlier = set(re.findall(r"^survived (\S+:\d+ #\d+\.\d+)", options.again.read_text(), re.M))
        chosen = [place for place in places if str(place) in earlier]
    score: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder, options.out.open("w", buffering=1) as out:
        project = Copy(Path(folder) / "project")
        # Once for each set of tests: without a mutant they must pass.
        groups = {} if options.no_check else {TESTS[place.module]: place.module for place in chosen}
        for module in groups.values():
            outcome, test = project.run(module, (PROJECT / PACKAGE / module).read_text())
            if outcome != "survived":
                print(f"the tests of {module} fail without a mutant: {test}")
                return 2
        for place in sorted(chosen, key=str):
            before, after = mutated(place)
            began = time.monotonic()
            outcome, test = project.run(place.module, after)
            score[place.module, outcome] += 1
            print(f"{outcome} {place} {time.monotonic() - began:.0f} s {test}", file=out)
            print(diff(before, after), file=out)
        for module in sorted({place.module for place in chosen}):
            killed = score[module, "killed"]
            print(f"{module}: {killed} of {killed + score[module, 'survived']} killed", file=out)
        killed = sum(count for (_, outcome), count in score.items() if outcome == "killed")
        print(f"{killed} of {len(chosen)} mutants of {len(places)} killed", file=out)
    print(options.out.read_text())
    return 0 if killed >= options.least / 100 * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
