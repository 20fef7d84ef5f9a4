"""What is printed says whose, what, where and what to do; the summary line first, and never without bounds."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sockets.leaks.findings import OPEN, UNCLOSED, Finding, Frame
from pytest_sockets.model import STATUSES, Endpoint, SocketEntry
from pytest_sockets.reports import text
from pytest_sockets.reports.run import Run
from pytest_sockets.reports.status_text import STATUS_WORDS

FINDING = Finding(
    kind=OPEN,
    nodeid="tests/test_a.py::test_one",
    owner_kind="test",
    owner_name="tests/test_a.py::test_one",
    owner_scope="function",
    phase="call",
    socket=SocketEntry(
        "tcp", "AF_INET", Endpoint("127.0.0.1", 4001), Endpoint("127.0.0.1", 80), "CLOSE_WAIT", 7, 1, 2
    ),
    opened_at=Frame("tests/test_a.py", 12, "test_one"),
    stack=(
        Frame("/x/lib/python3.12/socket.py", 233, "__init__"),
        Frame("/x/site-packages/urllib3/connection.py", 90, "connect"),
        Frame("tests/test_a.py", 12, "test_one"),
    ),
    held_by=("module global `KEPT` of tests/test_a.py",),
)


def many(count, **changes):
    return [
        dataclasses.replace(FINDING, opened_at=Frame(f"tests/test_{number}.py", number, "f"), **changes)
        for number in range(count)
    ]


class TestMessage:
    def test_the_first_line_says_how_many_and_whose(self):
        assert (
            text.message([FINDING]).splitlines()[0] == "1 socket left open by test tests/test_a.py::test_one"
        )
        assert text.message(many(3)).splitlines()[0].startswith("3 sockets left open by test")

    def test_it_has_the_tuple_the_status_in_words_the_line_the_holder_and_a_fix(self):
        message = text.message([FINDING])
        assert "tcp 127.0.0.1:4001 -> 127.0.0.1:80 CLOSE_WAIT (fd 7)" in message
        assert "CLOSE_WAIT: the peer closed, this side did not" in message
        assert "opened at  tests/test_a.py:12 in test_one" in message
        assert "urllib3/connection.py:90 in connect" in message
        assert "held by    module global `KEPT` of tests/test_a.py" in message
        assert "fix        close it" in message

    def test_library_paths_are_short_and_own_ones_whole(self):
        message = text.message([FINDING])
        assert "site-packages" not in message
        assert "/x/lib" not in message

    def test_several_owners_are_each_named(self):
        other = dataclasses.replace(FINDING, owner_kind="fixture", owner_name="pool", owner_scope="session")
        message = text.message([FINDING, other])
        assert message.splitlines()[0].startswith("2 sockets left open by 2 owners, first test")
        assert "owner      fixture 'pool' (scope session), during call" in message

    @pytest.mark.parametrize(
        ("changes", "fix"),
        [
            ({"owner_kind": "fixture", "owner_name": "pool"}, "after the `yield` of fixture 'pool'"),
            ({"owner_kind": "class"}, "in the teardown of the class"),
            ({"owner_kind": "import"}, "in a fixture instead of at import time"),
            ({"process": "python server.py"}, "proc.terminate(); proc.wait()"),
            ({"opened_at": None, "stack": ()}, "--sockets-ignore="),
        ],
    )
    def test_the_fix_fits_the_owner(self, changes, fix):
        assert fix in text.message([dataclasses.replace(FINDING, **changes)])

    def test_an_unclosed_one_is_called_so(self):
        message = text.message([dataclasses.replace(FINDING, kind=UNCLOSED)])
        assert message.splitlines()[0].startswith("1 socket never closed by")
        assert "only the interpreter did when the object died" in message

    def test_without_a_line_it_says_why(self):
        assert "no Python code opened it" in text.message(
            [dataclasses.replace(FINDING, opened_at=None, stack=())]
        )


class TestBounds:
    def test_five_thousand_lines_give_a_short_message(self):
        message = text.message(many(5000))
        assert len(message.splitlines()) < 100
        assert message.endswith(
            "... and 4992 more opening lines; --sockets-report=leaks.json lists every socket"
        )

    def test_five_thousand_sockets_of_one_line_give_one_block(self):
        message = text.message([FINDING] * 5000)
        assert len(message.splitlines()) < 15
        assert "(5000 sockets of this line; the first is shown)" in message

    def test_the_warning_is_bounded(self):
        assert len(text.short_message(many(5000)).splitlines()) == 2 + text.MOST_SOCKETS

    def test_the_summary_is_bounded(self):
        run = Run("1", "warn", findings=many(5000))
        assert len(text.summary(run)) <= 2 * text.MOST_GROUPS + 1

    def test_a_long_command_line_is_cut(self):
        child = dataclasses.replace(FINDING, process="x" * 5000)
        assert max(map(len, text.message([child]).splitlines())) < 250
        assert max(map(len, text.summary(Run("1", "warn", findings=[child])))) < 250


class TestControlCharacters:
    HOSTILE = dataclasses.replace(FINDING, process="sh\x1b[2J\r\nFORGED \u202e x", held_by=("a\x07b",))

    def test_they_are_shown_and_not_sent(self):
        for told in (
            text.message([self.HOSTILE]),
            text.short_message([self.HOSTILE]),
            "\n".join(text.summary(Run("1", "warn", findings=[self.HOSTILE]))),
        ):
            assert not set(told) & set("\x1b\r\x07\u202e")
            assert "\nFORGED" not in told
            assert "sh\\x1b[2J\\r\\nFORGED" in told

    def test_letters_of_every_language_stay(self):
        assert "grüße 端口" in text.message([dataclasses.replace(FINDING, process="/tmp/grüße 端口")])


class TestGroups:
    OTHER = dataclasses.replace(
        FINDING, socket=dataclasses.replace(FINDING.socket, status="LISTEN"), note="x"
    )

    def test_sockets_of_one_line_that_differ_in_status_are_told_apart(self):
        message = text.message([FINDING, self.OTHER])
        assert "of this line" not in message
        assert message.count("  why        ") == 2
        assert [line.split("  ")[1] for line in text.summary(Run("1", "warn", findings=[FINDING, self.OTHER]))[1:]] == [
            "tcp 127.0.0.1:4001 -> 127.0.0.1:80 CLOSE_WAIT", "tcp 127.0.0.1:4001 -> 127.0.0.1:80 LISTEN",
        ]  # fmt: skip

    def test_those_that_different_lines_of_the_test_asked_a_helper_for_are_told_apart(self):
        elsewhere = dataclasses.replace(
            FINDING, stack=(*FINDING.stack, Frame("tests/test_a.py", 99, "test_one"))
        )
        assert "tests/test_a.py:99" in text.message([FINDING, elsewhere])
        assert len(text.summary(Run("1", "warn", findings=[FINDING, elsewhere]))) == 2

    def test_the_twin_a_librarys_different_ways_to_one_line_stay_one(self):
        retried = dataclasses.replace(
            FINDING, stack=(Frame("/x/site-packages/y.py", 1, "retry"), *FINDING.stack)
        )
        assert "(2 sockets of this line; the first is shown)" in text.message([FINDING, retried])

    def test_an_accepted_socket_is_the_servers_to_close(self):
        accepted = dataclasses.replace(FINDING, stack=(Frame("/x/socket.py", 300, "accept"), *FINDING.stack))
        assert "  fix        end the server that accepted it" in text.message([accepted])
        assert "end the server that accepted it" not in text.message([FINDING])


class TestSummary:
    def test_owners_are_headings_and_lines_are_counted(self):
        lines = text.summary(Run("1", "warn", findings=[FINDING, FINDING]))
        assert lines == [
            "test tests/test_a.py::test_one",
            "  2 x tcp CLOSE_WAIT  opened at tests/test_a.py:12",
        ]

    def test_workers_are_named_once(self):
        found = [dataclasses.replace(FINDING, worker=worker) for worker in ("gw1", "gw0", "gw1")]
        assert text.summary(Run("1", "warn", findings=found))[1].endswith("[gw0, gw1]")

    def test_nothing_to_say_is_nothing(self):
        assert text.summary(Run("1", "warn")) == []

    def test_our_own_trouble_is_one_line_each(self):
        run = Run("1", "warn", troubles=["the report x was not written"])
        assert text.summary(run) == [
            "pytest-sockets could not do all of its work: the report x was not written"
        ]
        assert text.title(run) == "sockets"


def test_every_status_has_its_words():
    assert set(STATUS_WORDS) == set(STATUSES)


def test_one_is_one_and_two_are_two_in_the_line_of_totals():
    assert (
        Run("0", "warn", opened_total=1, ports_given=1).totals()
        == "sockets: 1 socket opened, 0 leaked, 1 port given"
    )
    two = Run("0", "warn", opened_total=2, servers_started=2).totals()
    assert two == "sockets: 2 sockets opened, 0 leaked, 2 servers started"


def test_no_more_sockets_leak_than_were_opened(finding_factory):
    strangers = [finding_factory(place=None), finding_factory(place=None)]
    assert Run("0", "warn", findings=strangers).totals() == "sockets: 2 sockets opened, 2 leaked"
    child = finding_factory(process="python server.py")
    run = Run("0", "warn", findings=[child], opened_total=1)
    assert run.totals() == "sockets: 1 socket opened, 1 leaked (1 by child processes)"


def test_a_long_command_line_keeps_its_program_and_its_end():
    line = f"/a/{'long/' * 30}bin/python /another/{'long/' * 30}path/server.py --port 80"
    shown = text.short_command(line, 60)
    assert len(shown) <= 60
    assert shown.startswith("python /another/")
    assert shown.endswith("server.py --port 80")
    assert text.short_command("/usr/bin/nginx -g x", 60) == "nginx -g x"
