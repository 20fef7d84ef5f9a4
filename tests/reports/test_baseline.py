"""The baseline is readable, can be merged, and does not change when code moves or ports differ."""

import dataclasses
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.baseline import Baseline, Known, format_baseline, parse_baseline, read_baseline
from pytest_sockets.reports.baseline_keys import Key, key_of, portable

busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def entry(owner, place="f in g", kind="open", count=1, **more):
    return Known(Key(owner, place, kind), count, **more)


def listed(*findings, **more):
    return Baseline(tuple(Known(key_of(finding)) for finding in findings), **more)


def test_the_file_reads_like_this(finding_factory):
    findings = [
        finding_factory(),
        finding_factory(
            owner="db_pool",
            owner_kind="fixture",
            scope="session",
            kind="unclosed",
            place=("tests/conftest.py", 9, "db_pool"),
            owner_file="tests/conftest.py",
        ),
        finding_factory(
            owner="tests/test_b.py::test_spawn", place=None, process="/usr/bin/redis-server *:6399"
        ),
        finding_factory(owner="tests/test_b.py::test_c", place=None),
    ]
    assert format_baseline(listed(*findings)).splitlines() == [
        "# pytest-sockets baseline, version 2",
        "# Known socket leaks: they do not fail the run. To drop fixed ones: pytest --sockets-update-baseline",
        "# looked for: tcp, udp",
        "# kind | owner | opened in | count  # comment",
        "unclosed | fixture db_pool (tests/conftest.py) | tests/conftest.py in db_pool | 1",
        "open | test tests/test_api.py::test_upload | tests/test_api.py in test_upload | 1",
        "open | test tests/test_b.py::test_c | not opened by Python code | 1",
        "open | test tests/test_b.py::test_spawn | process redis-server | 1",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"local": ("127.0.0.1", 59999)},
        {"place": ("tests/test_api.py", 99, "test_upload")},
        {"worker": "gw3"},
        {"status": "ESTABLISHED", "remote": ("127.0.0.1", 80)},
        {"owner_line": 77},
    ],
    ids=["port", "line", "worker", "status", "owner's line"],
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


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("/home/bob/.venv/lib/python3.12/site-packages/redis/pool.py", "site-packages/redis/pool.py"),
        ("/usr/lib/python3/dist-packages/redis/pool.py", "site-packages/redis/pool.py"),
        ("C:\\venv\\Lib\\site-packages\\redis\\pool.py", "site-packages/redis/pool.py"),
        ("/usr/lib/python3.13t/asyncio/streams.py", "stdlib/asyncio/streams.py"),
        (subprocess.__file__, "stdlib/subprocess.py"),
        ("tests/test_a.py", "tests/test_a.py"),
        ("/home/bob/src/shop/net.py", ".../shop/net.py"),
    ],
)
def test_paths_are_those_of_any_machine(file, shown):
    assert portable(file) == shown


def test_a_pool_of_a_fixture_does_not_name_the_test_that_came_first(finding_factory):
    def opened_by(test):
        frames = (
            Frame("/x/lib/python3.12/socket.py", 2, "__init__"),
            Frame("/x/site-packages/redis/pool.py", 9, "connect"),
            Frame("tests/test_a.py", 3, test),
        )
        return finding_factory(
            owner="pool", owner_kind="fixture", scope="session", place=("tests/test_a.py", 3, test), stack=frames,
            owner_file="tests/conftest.py",
        )  # fmt: skip

    assert key_of(opened_by("test_first")) == key_of(opened_by("test_second"))
    assert key_of(opened_by("test_first")).place == "site-packages/redis/pool.py in connect"


def test_a_comprehension_counts_as_its_function_on_every_python(finding_factory):
    """Before Python 3.12 a comprehension is a frame of its own: one baseline must serve every version."""
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("open | only two | 1", "KIND | OWNER | OPENED IN | COUNT"),
        ("open | a | b", "KIND | OWNER | OPENED IN | COUNT"),
        ("open | a | b | 0", "'0' is not a count"),
        ("open | a | b | c | 1", "'c | 1' is not a count"),
        ("closed | test x | y in z | 1", "use one of: open, unclosed"),
        ("<<<<<<< HEAD", "conflict marker"),
        ("# pytest-sockets baseline, version 3", "reads versions 1 and 2"),
        ('{"json": true}', "KIND | OWNER | OPENED IN"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, words):
    path = tmp_path / "known.txt"
    path.write_text(f"# pytest-sockets baseline, version 2\n\nopen | test x | y in z | 2\n{line}\n")
    with pytest.raises(SettingError) as caught:
        read_baseline(path)
    assert f"{path}, line 4: " in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "known.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="not a text file"):
        read_baseline(path)
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_baseline(tmp_path / "absent")


def test_version_1_is_read_with_any_count(tmp_path):
    old = "# pytest-sockets baseline, version 1\n# mine\nopen | fixture db (session) | a.py in db\n"
    baseline = parse_baseline(old)
    assert baseline.entries == (entry("fixture db (session)", "a.py in db", count=None, above=("# mine",)),)
    assert lines(format_baseline(baseline)) == ["open | fixture db (session) | a.py in db | *"]


def test_windows_line_ends_a_byte_order_mark_and_doubled_lines_are_read(tmp_path):
    path = tmp_path / "known.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# ours\r\nopen | test x | y in z | 1\r\nopen | test x | y in z | 3  # JIRA-1\r\n"
    )
    assert read_baseline(path).entries == (
        entry("test x", "y in z", count=3, comment="JIRA-1", above=("# ours",)),
    )


def test_comments_stay_where_they_are():
    text = format_baseline(Baseline())
    text += "# the search team\nopen | test a | f in g | 2  # JIRA-12 # and more\nopen | test b | f in g | *\n# the end\n"
    assert format_baseline(parse_baseline(text)) == text


words = st.text(min_size=1, max_size=30)
comments = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=9)


@busy_machine
@given(
    st.lists(
        st.builds(
            Known,
            st.builds(Key, words, words, st.sampled_from(["open", "unclosed"])),
            st.none() | st.integers(1, 999),
            comments,
        ),
        max_size=8,
        unique_by=lambda one: one.key,
    )
)
def test_whatever_a_test_is_called_it_comes_back(entries):
    text = format_baseline(Baseline(tuple(entries)))
    assert all(line.isprintable() for line in text.split("\n"))
    assert set(parse_baseline(text).entries) == set(entries)


@busy_machine
@given(st.text(max_size=200))
def test_every_text_is_read_or_refused_with_its_line(text):
    try:
        parse_baseline(text)
    except SettingError as error:
        assert "line " in str(error)  # noqa: PT017


def test_two_branches_that_fix_different_leaks_merge_without_a_conflict(tmp_path, finding_factory):
    def git(*command):
        environment = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", *environment, *command], cwd=tmp_path, check=True, capture_output=True, text=True
        )

    everything = [finding_factory(owner=f"tests/test_{n}.py::test_x{'y' * n}") for n in range(9)]
    path = tmp_path / "known.txt"

    def commit(findings, *branch):
        git("checkout", "-q", *branch) if branch else git("init", "-q")
        path.write_text(format_baseline(listed(*findings)))
        git("add", "."), git("commit", "-q", "-m", "x")

    commit(everything)
    git("branch", "-M", "main")
    commit(everything[:2] + everything[3:], "-b", "left")
    commit(everything[:6] + everything[7:], "-b", "right", "main")
    git("merge", "-q", "left", "-m", "both")
    left = {key_of(finding) for finding in everything} - {key_of(everything[2]), key_of(everything[6])}
    assert {one.key for one in read_baseline(path).entries} == left
