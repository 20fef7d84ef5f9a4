"""Ignore rules say what they match, and refuse what they cannot mean."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import LOOP_NOT_CLOSED, OPEN, Finding, Frame
from pytest_sockets.leaks.rules import DEFAULT_IGNORES, KEYS, Ignores, parse_rule, suggested_rule
from pytest_sockets.model import Endpoint, SocketEntry

ENTRY = SocketEntry(
    "tcp", "AF_INET", Endpoint("127.0.0.1", 4001), Endpoint("127.0.0.1", 5432), "ESTABLISHED", 7, 1, 2
)
FINDING = Finding(
    kind=OPEN,
    nodeid="tests/test_a.py::test_one",
    owner_kind="fixture",
    owner_name="db_pool",
    owner_scope="session",
    phase="setup",
    socket=ENTRY,
    opened_at=Frame("tests/conftest.py", 3, "db_pool"),
    stack=(
        Frame("/x/site-packages/psycopg/connection.py", 90, "connect"),
        Frame("tests/conftest.py", 3, "db_pool"),
    ),
)


@pytest.mark.parametrize(
    ("matching", "other"),
    [
        ("protocol=tcp", "protocol=udp"),
        ("local=127.0.0.1:4001", "local=127.0.0.1:400"),
        ("local=*:4001", "local=*:4002"),
        ("remote=127.0.0.1:5432", "remote=127.0.0.1:5433"),
        ("status=ESTAB*", "status=estab*"),
        ("opened_in=*/site-packages/psycopg/*", "opened_in=*/site-packages/redis/*"),
        ("opened_in=tests/conftest.py", "opened_in=conftest.py"),
        ("owner=fixture:db_pool", "owner=test:db_pool"),
        ("owner=db_*", "owner=other"),
        ("protocol=tcp status=ESTABLISHED remote=*:5432", "protocol=tcp status=LISTEN remote=*:5432"),
        ("local=127.0.0.?:4001", "local=127.0.0.[01]:4001"),
    ],
)
def test_a_rule_matches_the_whole_value_and_its_twin_does_not(matching, other):
    assert parse_rule(matching).matches(FINDING)
    assert not parse_rule(other).matches(FINDING)


def test_a_socket_without_a_peer_meets_no_rule_on_remote():
    unconnected = dataclasses.replace(FINDING, socket=dataclasses.replace(ENTRY, remote=None))
    assert not parse_rule("remote=*").matches(unconnected)
    assert parse_rule("remote=*").matches(FINDING)


def test_process_is_the_command_line_or_its_last_part_and_only_of_other_processes():
    child = dataclasses.replace(FINDING, process="/usr/bin/redis-server *:6379")
    assert parse_rule("process=redis-server*").matches(child)
    assert parse_rule("process=/usr/bin/redis*").matches(child)
    assert not parse_rule("process=*").matches(FINDING)


def test_brackets_stand_for_themselves():
    """Only `*` and `?` are special: addresses of IPv6 and the ids of parametrized tests have brackets."""
    sixth = dataclasses.replace(
        FINDING, socket=dataclasses.replace(ENTRY, remote=Endpoint("::ffff:127.0.0.1", 80))
    )
    assert parse_rule("remote=[::ffff:127.0.0.1]:80").matches(sixth)
    assert not parse_rule("remote=[::ffff:127.0.0.2]:80").matches(sixth)
    test = dataclasses.replace(FINDING, owner_kind="test", owner_name="test_a.py::test_x[a]")
    assert parse_rule("owner=test:*::test_x[a]").matches(test)
    assert not parse_rule("owner=test:*::test_x[ab]").matches(test)
    assert not parse_rule("owner=test:*::test_xa").matches(test)


class TestSuggestedRules:
    @given(
        name=st.text(min_size=1, max_size=30),
        kind=st.sampled_from(["test", "fixture", "import"]),
        port=st.integers(1, 65535),
        process=st.none() | st.text(min_size=1, max_size=20),
    )
    def test_a_suggested_rule_matches_its_socket(self, name, kind, port, process):
        socket = dataclasses.replace(ENTRY, remote=Endpoint("::1", port))
        finding = dataclasses.replace(
            FINDING, owner_kind=kind, owner_name=name, socket=socket, process=process
        )
        assert parse_rule(suggested_rule(finding)).matches(finding)

    def test_a_port_is_in_it_only_if_it_is_that_of_a_service(self):
        random_port = dataclasses.replace(ENTRY, remote=Endpoint("127.0.0.1", 41234))
        assert suggested_rule(FINDING) == "remote=127.0.0.1:5432"
        assert suggested_rule(dataclasses.replace(FINDING, socket=random_port)) == "owner=fixture:db_pool"

    def test_a_process_is_named_by_its_program(self):
        child = dataclasses.replace(FINDING, process="/usr/bin/redis-server *:41234")
        assert suggested_rule(child) == "process=/usr/bin/redis-server*"


def test_quoted_values_may_have_spaces():
    child = dataclasses.replace(FINDING, process="python -m http.server 8000")
    assert parse_rule("process='python -m http.server *'").matches(child)
    with pytest.raises(SettingError, match="is not a key=glob pair"):
        parse_rule("process=python -m http.server *")


def test_backslashes_are_kept_as_they_are():
    windows = dataclasses.replace(FINDING, opened_at=Frame("C:\\x\\a.py", 1, "f"), stack=())
    assert parse_rule("opened_in=C:\\x\\*").matches(windows)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an empty rule would ignore everything"),
        ("   ", "an empty rule would ignore everything"),
        ("remote", "'remote' is not a key=glob pair"),
        ("remote=", "'remote=' is not a key=glob pair"),
        ("=x", "unknown key ''"),
        ("port=5432", "unknown key 'port'; use one of: protocol, local, remote"),
        ("Remote=x", "unknown key 'Remote'"),
        ("remote='x", "a quotation mark is not closed"),
        ("remote=x and local=y", "'and' is not a key=glob pair"),
    ],
)
def test_a_malformed_rule_is_refused_with_its_text(text, problem):
    with pytest.raises(SettingError) as refused:
        parse_rule(text)
    assert problem in str(refused.value)


def test_every_key_of_the_interface_is_known():
    assert KEYS == ("protocol", "local", "remote", "status", "opened_in", "owner", "process")


class TestCounting:
    def test_the_first_rule_that_matches_is_counted_and_unmatched_ones_stay_at_zero(self):
        ignores = Ignores(["remote=*:5432", "protocol=tcp", "protocol=udp"])
        assert ignores.cover(FINDING)
        assert ignores.hits == {"remote=*:5432": 1, "protocol=tcp": 0, "protocol=udp": 0}

    def test_nothing_is_covered_without_a_rule(self):
        assert not Ignores([]).cover(FINDING)

    def test_every_ignored_finding_is_counted_by_what_ignored_it(self):
        ignores = Ignores(["protocol=udp"])
        ignores.cover(dataclasses.replace(FINDING, socket=dataclasses.replace(ENTRY, protocol="udp")))
        ignores.cover(FINDING, [parse_rule("protocol=tcp")])
        ignores.cover(TestDefaults.PIPE)
        ignores.cover(FINDING)
        assert ignores.ignored == {
            "protocol=udp": 1,
            "protocol=tcp (a mark's)": 1,
            "by default: event loop self pipe": 1,
        }

    def test_a_marks_rules_count_beside_those_of_the_run(self):
        assert Ignores([]).cover(FINDING, [parse_rule("protocol=tcp")])
        assert not Ignores([]).cover(FINDING, [parse_rule("protocol=udp")])


class TestDefaults:
    PIPE = dataclasses.replace(
        FINDING,
        socket=SocketEntry("unix", "AF_UNIX", Endpoint("")),
        stack=(
            Frame("/lib/socket.py", 600, "socketpair"),
            Frame("/lib/asyncio/selector_events.py", 120, "_make_self_pipe"),
        ),
    )

    def test_a_loops_self_pipe_is_ignored(self):
        assert Ignores([]).cover(self.PIPE)

    def test_a_users_socketpair_is_not(self):
        users = dataclasses.replace(
            self.PIPE,
            stack=(self.PIPE.stack[0], Frame("tests/asyncio_selector_events.py", 1, "_make_self_pipe")),
        )
        assert not Ignores([]).cover(users)

    def test_multiprocessings_unix_pipes_are_ignored_and_its_tcp_listeners_are_not(self):
        frame = Frame("/lib/multiprocessing/connection.py", 500, "__init__")
        assert Ignores([]).cover(dataclasses.replace(self.PIPE, stack=(frame,)))
        assert not Ignores([]).cover(dataclasses.replace(FINDING, stack=(frame,)))

    @pytest.mark.parametrize(
        ("caller", "ignored"),
        [
            ("/lib/multiprocessing/managers.py", True),
            ("/lib/multiprocessing/resource_sharer.py", True),
            ("/lib/multiprocessing/forkserver.py", True),
            ("tests/test_a.py", False),
            ("/x/site-packages/workers/pool.py", False),
            ("tests/multiprocessing_helpers/connection.py", False),
        ],
    )
    def test_a_listener_client_or_pipe_is_its_callers(self, caller, ignored):
        doors = {
            "socket.py": ["__init__"],
            "multiprocessing/connection.py": ["__init__", "__init__"],
            "multiprocessing/context.py": ["Pipe"],
        }
        frames = [Frame(f"/lib/{file}", 1, name) for file, names in doors.items() for name in names]
        stack = (*frames, Frame(caller, 3, "opens"), Frame("tests/test_a.py", 9, "test_one"))
        assert Ignores([]).cover(dataclasses.replace(self.PIPE, stack=stack)) is ignored

    @pytest.mark.parametrize(
        ("path", "line", "ignored"),
        [
            ("/dev/log", None, True),
            ("/var/lib/sss/pipes/nss", None, True),
            ("/dev/log", Frame("tests/test_a.py", 3, "test_one"), False),
            ("/var/run/docker.sock", None, False),
        ],
    )
    def test_what_the_c_library_asks_the_system_is_ignored_and_the_users_own_is_not(
        self, path, line, ignored
    ):
        entry = SocketEntry("unix", "AF_UNIX", Endpoint(""), Endpoint(path), "NONE", 7, 1, 2)
        finding = dataclasses.replace(FINDING, socket=entry, opened_at=line, stack=())
        assert any(default(finding) for default in DEFAULT_IGNORES) is ignored

    def test_a_forkserver_opens_its_own_without_those_doors(self):
        stack = (
            Frame("/lib/socket.py", 1, "__init__"),
            Frame("/lib/multiprocessing/forkserver.py", 1, "connect"),
        )
        assert Ignores([]).cover(dataclasses.replace(self.PIPE, stack=stack))

    def test_each_names_its_cause(self):
        assert all(len(ignored.__doc__ or "") > 40 for ignored in DEFAULT_IGNORES)


def test_a_rule_never_runs_code():
    parse_rule("owner=`touch_x` remote=$(touch_x) local=__import__('os').system(1)")


class TestSuggestedExactly:
    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"process": "python -m http.server"}, "process=python*"),
            ({"owner_kind": "test", "owner_name": "a.py::test_x[a b]"}, 'owner="test:a.py::test_x[a b]"'),
            ({"owner_name": "a\"b'c\td"}, "owner=fixture:a?b?c?d"),
        ],
    )
    def test_a_value_is_quoted_only_if_it_must_be(self, change, rule):
        elsewhere = dataclasses.replace(ENTRY, remote=None)
        assert suggested_rule(dataclasses.replace(FINDING, socket=elsewhere, **change)) == rule

    @pytest.mark.parametrize("remote", [None, Endpoint("/run/x.sock"), Endpoint("127.0.0.1", 41234)])
    def test_without_the_port_of_a_service_the_owner_is_suggested(self, remote):
        finding = dataclasses.replace(FINDING, socket=dataclasses.replace(ENTRY, remote=remote))
        assert suggested_rule(finding) == "owner=fixture:db_pool"


class TestWhereItWasOpened:
    def test_every_line_of_the_stack_and_the_suites_own_folder_count(self):
        assert parse_rule("opened_in=*/tests/*").matches(FINDING)
        assert parse_rule("opened_in=./tests/conftest.py").matches(FINDING)
        assert not parse_rule("opened_in=.//x/*").matches(FINDING)
        bare = dataclasses.replace(FINDING, stack=(), opened_at=None)
        assert not parse_rule("opened_in=*").matches(bare)
        assert parse_rule("opened_in=a.py").matches(
            dataclasses.replace(bare, opened_at=Frame("a.py", 1, "f"))
        )


class TestDefaultsExactly:
    def test_the_self_pipe_is_looked_for_in_the_five_innermost_frames(self):
        pipe = TestDefaults.PIPE.stack[1]
        inner = [Frame("/lib/x.py", number, "f") for number in range(5)]
        for count, ignored in ((4, True), (5, False)):
            finding = dataclasses.replace(TestDefaults.PIPE, stack=(*inner[:count], pipe))
            assert Ignores([]).cover(finding) is ignored

    @pytest.mark.parametrize(
        ("file", "function"),
        [
            ("asyncio/selector_events.py", "_make_self_pipe"),
            ("asyncio/proactor_events.py", "_make_self_pipe"),
            ("trio/_core/_wakeup_socketpair.py", "__init__"),
            ("tornado/platform/asyncio.py", "__init__"),
        ],
    )
    def test_each_loop_is_known_by_file_and_function(self, file, function):
        for name, ignored in ((function, True), ("another", False)):
            stack = (Frame(f"/lib/{file}", 1, name),)
            assert Ignores([]).cover(dataclasses.replace(TestDefaults.PIPE, stack=stack)) is ignored

    def test_a_loop_that_the_users_line_made_is_not_ignored(self):
        assert not Ignores([]).cover(dataclasses.replace(TestDefaults.PIPE, note=f"x; {LOOP_NOT_CLOSED}"))
        assert Ignores([]).cover(dataclasses.replace(TestDefaults.PIPE, note="x"))

    def test_windows_paths_of_multiprocessing_are_known(self):
        stack = (Frame("C:\\py\\Lib\\multiprocessing\\managers.py", 1, "f"),)
        assert Ignores([]).cover(dataclasses.replace(TestDefaults.PIPE, stack=stack))
        assert not Ignores([]).cover(dataclasses.replace(TestDefaults.PIPE, stack=()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty rule would ignore everything; use key=glob pairs, such as remote=127.0.0.1:5432"),
        ("remote", "rule 'remote': 'remote' is not a key=glob pair, such as remote=127.0.0.1:5432"),
        ("a=b", f"rule 'a=b': unknown key 'a'; use one of: {', '.join(KEYS)}"),
        ("a='b", 'rule "a=\'b": a quotation mark is not closed'),
    ],
)
def test_a_refusal_says_what_to_write(text, message):
    with pytest.raises(SettingError) as refused:
        parse_rule(text)
    assert str(refused.value) == message
