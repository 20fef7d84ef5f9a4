"""Every check of the project as a session: `nox` runs them all, `nox -l` lists them, `nox -s tests-3.12` runs one.

Words after `--` go to pytest: `nox -s "tests-3.12(pytest='newest')" -- tests/reports -x`. The sessions `proof`, `corpus`,
`bench` and `fuzz` take minutes and want a quiet machine, so they run when they are named; words after `--` go on.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]  # .ci/newest-pythons runs 3.14 and 3.15
DOCS_PYTHON = "3.12"
QUICK_TESTS = [
    "tests/asserting/test_probing.py", "tests/leaks/test_judgement.py", "tests/plugin/test_policies.py",
    "tests/ports/test_ranges.py", "tests/reports/test_text.py", "tests/servers/test_echo.py", "tests/table/test_netlink.py",
]  # fmt: skip
ISOLATED = str(Path(".ci/isolated").resolve())
REPORTS = os.environ.get("SOCKETS_JUNIT_DIR")

nox.options.sessions = ["lint", "types", "layers", "docs", "tests", "slow"]
nox.options.error_on_missing_interpreters = True  # an absent Python must not look like a passed one
nox.options.reuse_existing_virtualenvs = True


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PYPROJECT, name))


def _pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest in a network namespace of its own where that is possible, with the words after `--`."""
    name = "".join(char if char.isalnum() else "-" for char in session.name)
    report = [f"--junitxml={Path(REPORTS) / name}.xml"] if REPORTS else []
    session.run(ISOLATED, "pytest", *report, *arguments, *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, likely mistakes and spelling."""
    session.install(*_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", "README.md", "CONTRIBUTING.md", "docs", "pytest_sockets")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, read as the oldest and the newest Python; uses of the public names by mypy and pyright."""
    session.install(*_group("lint"), "-e", ".[tls,html]")
    session.run("mypy", "--python-version", PYTHONS[0])
    session.run("mypy", "--python-version", PYTHONS[-1])
    session.run("pytest", "tests/typing")


@nox.session
def foreign_types(session: nox.Session) -> None:
    """Strict types, read as macOS and as Windows."""
    session.install(*_group("lint"), "-e", ".[tls,html]")
    for platform in ("darwin", "win32"):
        session.run("mypy", "--config-file", ".ci/mypy-foreign.ini", "--platform", platform)


@nox.session
def layers(session: nox.Session) -> None:
    """Imports point down only."""
    session.install(*_group("lint"), "-e", ".[tls,html]")
    session.run("lint-imports", "--no-cache")


@nox.session(python=DOCS_PYTHON)
def docs(session: nox.Session) -> None:
    """The documentation without a warning, and every shown output as the code gives it today."""
    session.install(*_group("docs"), *_group("docs-examples"), "-e", ".[tls,html]")
    session.run("python", "docs/regenerate.py", "--check")
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", ["newest", "lowest"])
def tests(session: nox.Session, pytest: str) -> None:
    """The tests that take no more than a few seconds each."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    wanted = "pytest==8.4.*" if pytest == "lowest" else "pytest"
    session.install("--upgrade", wanted)
    _pytest(session)


@nox.session(python=DOCS_PYTHON)
def slow(session: nox.Session) -> None:
    """Load, soak and stress."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    _pytest(session, "-m", "slow")


@nox.session(python=DOCS_PYTHON)
def oracle(session: nox.Session) -> None:
    """Ask an independent oracle whether the suites of the corpus leak as they say."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    _pytest(session, "-m", "slow", "tests/leaks/test_corpus_oracle.py")


@nox.session(python=DOCS_PYTHON)
def platforms(session: nox.Session) -> None:
    """Run the corpus as on macOS and as on Windows, by simulation."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    _pytest(session, "-m", "slow", "-rP", "tests/platforms")


@nox.session(python=DOCS_PYTHON)
def quick(session: nox.Session) -> None:
    """Linters, types and a test of each area, in under 30 seconds once the environment exists."""
    session.install(*_group("lint"), *_group("test"), "-e", ".[tls,html]")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")
    _pytest(session, "-n", "2", *QUICK_TESTS)


@nox.session(python=DOCS_PYTHON)
def proof(session: nox.Session) -> None:
    """Faults, load, soak and security, each in real runs."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    _pytest(session, "-m", "slow", "tests/proof")


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", ["newest", "lowest"])
def corpus(session: nox.Session, pytest: str) -> None:
    """What is found, whose it is and what is invented, beside ResourceWarning, --lsof and psutil for each test."""
    session.install(*_group("test"), "-e", ".[tls,html]")
    session.install("--upgrade", "pytest==8.4.*" if pytest == "lowest" else "pytest")
    ways = ("--ways", "plain", "xdist", "all")
    session.run("python", "benchmarks/corpus.py", "--tools", "all", *ways, *session.posargs)


@nox.session(python=DOCS_PYTHON)
def bench(session: nox.Session) -> None:
    """Every figure beside its peers; fails if a goal is missed by more than 20 %."""
    session.install(*_group("bench"), "-e", ".")
    session.run("python", "benchmarks/all.py", "--check", *session.posargs)


@nox.session(python=DOCS_PYTHON)
def fuzz(session: nox.Session) -> None:
    """The parsers of netlink and /proc; first a parser with a hole, which fuzzing must find."""
    session.install(*_group("fuzz"), "-e", ".")
    script, where = "tests/proof/fuzz_netlink.py", f"-artifact_prefix={session.create_tmp()}/"
    runs = session.posargs or ["-atheris_runs=200000"]
    session.run("python", script, "--twin", "-atheris_runs=200000", where, silent=True, success_codes=[77])
    session.run("python", script, where, *runs)
