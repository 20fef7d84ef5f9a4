"""The baseline is a text that people can read and merge, and that does not change when code moves or ports differ."""

import dataclasses
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.baseline import (
    Known,
    compare,
    format_baseline,
    key_of,
    parse_baseline,
    read_baseline,
    update,
)


def lines(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_file_reads_like_this(finding_factory):
    findings = [
        finding_factory(),
        finding_factory(
            owner="db_pool",
            owner_kind="fixture",
            scope="session",
            kind="unclosed",
            place=("tests/conftest.py", 9, "db_pool"),
        ),
        finding_factory(
            owner="tests/test_b.py::test_spawn", place=None, process="/usr/bin/redis-server *:6399"
        ),
        finding_factory(owner="tests/test_b.py::test_c", place=None),
    ]
    assert lines(format_baseline(map(key_of, findings))) == [
        "unclosed | fixture db_pool (session) | tests/conftest.py in db_pool",
        "open | test tests/test_api.py::test_upload | tests/test_api.py in test_upload",
        "open | test tests/test_b.py::test_c | not opened by Python code",
        "open | test tests/test_b.py::test_spawn | process redis-server",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"local": ("127.0.0.1", 59999)},
        {"place": ("tests/test_api.py", 99, "test_upload")},
        {"worker": "gw3"},
        {"status": "ESTABLISHED", "remote": ("127.0.0.1", 80)},
    ],
    ids=["port", "line", "worker", "status"],
)
def test_what_differs_from_run_to_run_is_not_in_the_key(finding_factory, change):
    assert key_of(finding_factory(**change)) == key_of(finding_factory())


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "tests/test_api.py::test_y"},
        {"place": ("tests/test_api.py", 41, "helper")},
        {"kind": "unclosed"},
    ],
    ids=["owner", "function", "kind"],
)
def test_what_makes_it_another_leak_is_in_the_key(finding_factory, change):
    assert key_of(finding_factory(**change)) != key_of(finding_factory())


def test_a_comprehension_counts_as_its_function_on_every_python(finding_factory):
    """Before Python 3.12 it is a frame of its own: one baseline must serve the whole matrix."""
    inner, outer = Frame("tests/test_api.py", 41, "<listcomp>"), Frame("tests/test_api.py", 41, "test_upload")
    old = dataclasses.replace(finding_factory(), opened_at=inner, stack=(inner, outer))
    assert key_of(old) == key_of(finding_factory())


@pytest.mark.parametrize(
    ("command_line", "place"),
    [
        ("/usr/bin/python3.12 -m http.server 8123 --directory /tmp/x", "process python -m http.server"),
        ("python3 -u /srv/app/run.py --password hunter2", "process python run.py"),
        ("python3.10 -c import socket;...", "process python -c"),
        ("nginx: master process nginx", "process nginx:"),
        ("C:\\Redis\\redis-server.exe --port 1", "process redis-server.exe"),
    ],
)
def test_a_process_is_named_without_its_ports_paths_and_secrets(finding_factory, command_line, place):
    assert key_of(finding_factory(place=None, process=command_line)).place == place


def test_known_new_and_vanished(finding_factory):
    known, new = finding_factory(), finding_factory(owner="tests/test_b.py::test_new")
    gone = Known("test tests/test_c.py::test_gone", "tests/test_c.py in test_gone", "open")
    found = compare([known, new, known], [key_of(known), gone])
    assert found.known == (known, known)
    assert found.new == (new,)
    assert found.vanished == (gone,)


def test_a_part_of_the_suite_says_nothing_of_the_rest(finding_factory):
    """With -k a listed leak of a test that did not run has not vanished; one of a test that ran has."""
    ran = ["tests/test_a.py::TestX::test_1[a::b]", "tests/test_b.py::test_2"]
    mended = [
        Known("test tests/test_a.py::TestX::test_1[a::b]", "f in g", "open"),
        Known("class tests/test_a.py::TestX", "f in g", "open"),
        Known("module tests/test_b.py", "f in g", "open"),
    ]
    unknown = [
        Known("test tests/test_b.py::test_3", "f in g", "open"),
        Known("class tests/test_a.py::TestY", "f in g", "open"),
        Known("fixture db (session)", "f in g", "open"),
        Known("session", "f in g", "open"),
    ]
    new = finding_factory()
    assert set(compare([new], [*mended, *unknown], ran=ran).vanished) == set(mended)
    assert set(compare([new], [*mended, *unknown]).vanished) == {*mended, *unknown}
    assert set(update([*mended, *unknown], [new], ran=ran)) == {*unknown, key_of(new)}
    assert update([*mended, *unknown], [new]) == (key_of(new),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("open | only two", "KIND | OWNER | OPENED IN"),
        ("open | a | b | c", "KIND | OWNER | OPENED IN"),
        ("closed | test x | y in z", "use one of: open, unclosed"),
        ("<<<<<<< HEAD", "conflict marker"),
        ("# pytest-sockets baseline, version 2", "this pytest-sockets reads version 1"),
        ('{"json": true}', "KIND | OWNER | OPENED IN"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, words):
    path = tmp_path / "known.txt"
    path.write_text(f"# pytest-sockets baseline, version 1\n\nopen | test x | y in z\n{line}\n")
    with pytest.raises(SettingError) as caught:
        read_baseline(path)
    assert f"{path}, line 4: " in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_no_text_is_said(tmp_path):
    path = tmp_path / "known.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="not a text file"):
        read_baseline(path)
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_baseline(tmp_path / "absent")


def test_windows_line_ends_a_byte_order_mark_and_doubled_lines_are_read(tmp_path):
    path = tmp_path / "known.txt"
    path.write_bytes(b"\xef\xbb\xbf# ours\r\nopen | test x | y in z\r\nopen | test x | y in z\r\n")
    assert read_baseline(path) == (Known("test x", "y in z", "open"),)


words = st.text(min_size=1, max_size=30)


@given(st.lists(st.builds(Known, words, words, st.sampled_from(["open", "unclosed"])), max_size=8))
def test_whatever_a_test_is_called_it_comes_back(entries):
    text = format_baseline(entries)
    assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))
    assert set(parse_baseline(text)) == set(entries)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_otherwise_than_by_its_own_error(text):
    try:
        parse_baseline(text)
    except SettingError as error:
        assert "line " in str(error)  # noqa: PT017


def test_two_branches_that_mend_different_leaks_merge_without_a_conflict(tmp_path, finding_factory):
    def git(*command):
        environment = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", *environment, *command], cwd=tmp_path, check=True, capture_output=True, text=True
        )

    everything = [key_of(finding_factory(owner=f"tests/test_{n}.py::test_x{'y' * n}")) for n in range(9)]
    path = tmp_path / "known.txt"

    def commit(entries, *branch):
        git("checkout", "-q", *branch) if branch else git("init", "-q")
        path.write_text(format_baseline(entries))
        git("add", "."), git("commit", "-q", "-m", "x")

    commit(everything)
    git("branch", "-M", "main")
    commit(everything[:2] + everything[3:], "-b", "left")
    commit(everything[:6] + everything[7:], "-b", "right", "main")
    git("merge", "-q", "left", "-m", "both")
    assert set(read_baseline(path)) == set(everything) - {everything[2], everything[6]}
