"""The documentation's examples run, and only the varying numbers in its outputs are replaced by constants."""

import os
import re
import runpy
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def run_pytest(*arguments):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))
    }
    installed = any(plugin.name == "sockets" for plugin in entry_points(group="pytest11"))
    command = [sys.executable, "-m", "pytest", "-p", "sockets" if installed else "pytest_sockets.plugin"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    return subprocess.run(
        command,
        cwd=DOCS / "examples",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_every_example_passes():
    done = run_pytest(".", "-q", "-W", "ignore")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 25


@pytest.mark.slow
def test_the_clean_service_is_clean_and_the_leaky_one_is_not():
    strict = ("--sockets-leaks=error", "--sockets-unclosed=error", "-q")
    clean = run_pytest("clean_service", *strict)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    leaky = run_pytest("leaky_service", *strict)
    assert leaky.returncode == 1, leaky.stdout + leaky.stderr
    assert "7 passed, 5 errors" in leaky.stdout


def test_every_shown_output_is_generated():
    """Each included output exists, and each generated output is shown somewhere."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (*DOCS.glob("*/*.md"), *DOCS.glob("*.md")))
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"outputs/([\w-]+)\.\w+", pages)) | set(
        re.findall(r"<!-- output: ([\w-]+) -->", readme)
    )
    assert shown == {path.stem for path in (DOCS / "outputs").iterdir()}


def test_every_marked_part_of_an_example_exists():
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        for name, options in re.findall(r"```\{literalinclude\} (\S+)\n((?::.*\n)*)", text):
            source = (page.parent / name).read_text(encoding="utf-8")
            for marker in re.findall(r'(?:start-after|end-before): "(.*)"', options):
                assert marker in source, f"{page.name}: {name} has no line {marker}"


@pytest.fixture(scope="module")
def normalise():
    sys.path.insert(0, str(DOCS))
    try:
        return runpy.run_path(str(DOCS / "regenerate.py"), run_name="regenerate")["normalise"]
    finally:
        sys.path.remove(str(DOCS))


class TestNormalising:
    def test_one_port_stays_one_port(self, normalise):
        text = "tcp 127.0.0.1:51234 -> 127.0.0.1:39000 on port 39000\n[::1]:51234"
        assert normalise(text) == "tcp 127.0.0.1:40001 -> 127.0.0.1:40002 on port 40002\n[::1]:40001"

    @pytest.mark.parametrize(
        "text", ["remote=127.0.0.1:5432", "tests/test_a.py:12345 in test_x", "99999 tests"]
    )
    def test_other_numbers_stay(self, normalise, text):
        assert normalise(text) == text

    def test_times_and_process_ids_are_constant(self, normalise):
        assert normalise("7 passed in 1.88s (pid 812)") == normalise("7 passed in 0.03s (pid 99)")
