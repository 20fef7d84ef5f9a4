"""Annotations have the opening line with a path of the repository, and no text can forge a command."""

from __future__ import annotations

import os

import pytest

from pytest_sockets.reports.github import MOST, annotation_lines, write_step_summary
from pytest_sockets.reports.run import Environment, Mode, Run


@pytest.fixture
def repository(tmp_path):
    """A repository with the project in a folder of its own."""
    root = tmp_path / "repository"
    for name in ("backend/lib/net.py", "backend/tests/test_a.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def run_of(repository, *findings, leaks="warn", **more):
    return Run(
        "1", Mode(leaks), Environment(rootdir=str(repository / "backend")), findings=list(findings), **more
    )


def leak(finding_factory, **more):
    return finding_factory(
        **{"owner": "tests/test_a.py::test_x", "place": ("lib/net.py", 4, "open_udp"), **more}
    )


def test_the_annotation_is_at_the_opening_line_in_the_repository(finding_factory, repository):
    run = run_of(repository, leak(finding_factory), leak(finding_factory))
    [line] = annotation_lines(run, {"GITHUB_WORKSPACE": str(repository)})
    assert line == (
        "::warning file=backend/lib/net.py,line=4,title=pytest-sockets%3A 2 tcp sockets left open (LISTEN)::"
        "Opened at lib/net.py:4 in test tests/test_a.py::test_x%0Atests/test_a.py::test_x (2)%0A"
        "Fix: close the server also when the test fails: `with` or a fixture with `yield`"
    )


def test_the_root_is_found_without_the_runners_variable(finding_factory, repository):
    (repository / ".git").mkdir()
    assert "file=backend/lib/net.py" in annotation_lines(run_of(repository, leak(finding_factory)), {})[0]


@pytest.mark.parametrize("leaks", ["warn", "error"])
def test_the_level_is_that_of_the_mode_also_for_fixtures(finding_factory, repository, leaks):
    finding = leak(finding_factory, owner="pool", owner_kind="fixture", nodeid="tests/test_a.py::test_x")
    [line] = annotation_lines(run_of(repository, finding, leaks=leaks), {"GITHUB_WORKSPACE": str(repository)})
    assert line.startswith({"warn": "::warning file", "error": "::error file"}[leaks])
    assert "fixture 'pool'" in line


def test_a_line_of_a_library_gives_way_to_the_owner(finding_factory, repository):
    finding = leak(
        finding_factory, place=("/x/site-packages/y.py", 9, "f"), owner_file="tests/test_a.py", owner_line=7
    )
    [line] = annotation_lines(run_of(repository, finding), {"GITHUB_WORKSPACE": str(repository)})
    assert "file=backend/tests/test_a.py,line=7," in line


def test_known_leaks_are_not_annotated_and_their_number_is_bounded(finding_factory, repository):
    known = leak(finding_factory, known=True)
    many = [leak(finding_factory, place=("lib/net.py", n, "f")) for n in range(1, 40)]
    assert annotation_lines(run_of(repository, known), {}) == []
    assert len(annotation_lines(run_of(repository, *many), {})) == MOST


@pytest.mark.parametrize(
    "name", ["a\n::error::forged", "a\r\n::set-env name=x::y", "50%,a:b", "\x1b[2J", "\udcff"]
)
def test_no_name_forges_a_command(finding_factory, repository, name):
    finding = leak(finding_factory, owner=f"tests/{name}.py::test", place=None, process=name)
    [line] = annotation_lines(run_of(repository, finding), {})
    assert line.isprintable()
    line.encode()
    properties = line.split("::")[1]
    assert "%2C" in properties or "," not in properties.partition("title=")[2]


def test_the_step_summary_is_appended(finding_factory, repository, tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    assert (
        write_step_summary(run_of(repository, leak(finding_factory)), {"GITHUB_STEP_SUMMARY": str(path)})
        == []
    )
    assert path.read_text().startswith("before\n## 1 socket left behind by 1 test\n")


def test_without_the_variable_nothing_is_written(repository):
    assert write_step_summary(run_of(repository), {}) == []


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
def test_a_pipe_is_not_written_to_and_does_not_block(repository, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    [trouble] = write_step_summary(run_of(repository), {"GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")})
    assert "the step summary" in trouble


@pytest.mark.parametrize(("mode", "code"), [("warn", 0), ("error", 1)])
def test_a_run_prints_commands_and_appends_the_summary(suite, mode, code):
    suite.write(
        test_a="""
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(scope="module")
        def pool():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))

        def test_x(pool):
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
        """
    )
    environment = {
        "GITHUB_WORKSPACE": str(suite.folder),
        "GITHUB_STEP_SUMMARY": str(suite.folder / "summary.md"),
    }
    done = suite.run(
        f"--sockets-leaks={mode}", "--sockets-report=github", "--sockets-grace=0", environment=environment
    )
    assert done.exit_code == code
    level = {"warn": "warning", "error": "error"}[mode]
    found = sorted(line for line in done.text.splitlines() if line.startswith("::"))
    assert [line.partition(",title")[0] for line in found] == [
        f"::{level} file=test_a.py,line={number}" for number in (11, 8)
    ]
    assert "2 sockets left behind by 1 test and 1 fixture" in (suite.folder / "summary.md").read_text()
