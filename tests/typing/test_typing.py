"""Type checkers accept the right uses, report each wrong one, and see the same public names as the interpreter."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_sockets

HERE = Path(__file__).parent
STUB = Path(pytest_sockets.__file__).with_suffix(".pyi")
PLATFORMS = ("linux", "darwin", "win32")


def mypy_errors(file: Path, platform: str, tmp_path: Path) -> set[int]:
    command = [
        sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-color-output", "--follow-imports=silent",
        "--config-file=", f"--cache-dir={tmp_path}", f"--platform={platform}", str(file),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(rf"{re.escape(file.name)}:(\d+): error:", done.stdout)
    return {int(line) for line in found}


def pyright_errors(file: Path, platform: str, tmp_path: Path) -> set[int]:
    names = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
    folder = tmp_path / platform
    folder.mkdir()
    shutil.copy(file, folder)  # pyright reads only what lies below its configuration
    config = folder / "pyrightconfig.json"
    strict = {"typeCheckingMode": "strict", "reportUnusedExpression": False, "reportPrivateUsage": False}
    config.write_text(json.dumps({**strict, "pythonPlatform": names[platform]}))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= 1, report
    return {
        one["range"]["start"]["line"] + 1
        for one in report["generalDiagnostics"]
        if one["severity"] == "error" and Path(one["file"]).name == file.name
    }


CHECKERS = {"mypy": mypy_errors, "pyright": pyright_errors}


@pytest.fixture(params=CHECKERS)
def errors_of(request, tmp_path):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed (dependency group lint)")
    return lambda file, platform: CHECKERS[request.param](file, platform, tmp_path)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_right_uses_are_accepted(errors_of, platform):
    assert errors_of(HERE / "right.py", platform) == set()


def test_each_wrong_use_is_reported_at_its_line(errors_of):
    lines = (HERE / "wrong.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 40
    assert errors_of(HERE / "wrong.py", "linux") == wrong


def test_the_twin_right_lines_would_be_missed(errors_of, tmp_path):
    """The comparison fails if a line that is marked wrong is accepted."""
    file = tmp_path / "mixed.py"
    file.write_text(
        "import pytest_sockets\npytest_sockets.probe(80)  # wrong\npytest_sockets.prob(80)  # wrong\n"
    )
    assert errors_of(file, "linux") == {3}


def stub_names(source: str) -> dict[str, str]:
    """Each name that a stub re-exports, with its module. Anything else in the stub is an error."""
    names = {}
    for node in ast.parse(source).body:
        assert isinstance(node, ast.ImportFrom), ast.dump(node)
        for alias in node.names:
            assert alias.asname == alias.name, f"{alias.name} is not re-exported"
            names[alias.name] = str(node.module)
    return names


def test_the_stub_has_the_public_names_and_no_other():
    assert stub_names(STUB.read_text()) == pytest_sockets._MODULE_OF


def test_the_twin_a_name_that_is_not_re_exported_is_noticed():
    with pytest.raises(AssertionError, match="probe is not re-exported"):
        stub_names("from a import probe\n")


@pytest.mark.parametrize("name", pytest_sockets.__all__)
def test_every_public_name_can_be_imported(name):
    value = getattr(pytest_sockets, name)
    assert value is getattr(importlib.import_module(pytest_sockets._MODULE_OF[name]), name)


def test_a_misspelled_name_is_an_attribute_error_and_an_import_error():
    with pytest.raises(AttributeError, match="no attribute 'EchoSever'"):
        _ = pytest_sockets.EchoSever
    with pytest.raises(ImportError, match="EchoSever"):
        from pytest_sockets import EchoSever


def test_importing_the_package_imports_none_of_its_modules():
    code = "import sys, pytest_sockets; print([name for name in sys.modules if name.startswith('pytest_sockets.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
