"""A message names the owner, the socket, the line and the fix; its first line is a summary, and its length is bounded."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sockets.leaks.findings import LEFT_BEHIND, OPEN, SETUP_RAISED, UNCLOSED, Finding, Frame
from pytest_sockets.model import STATUSES, Endpoint, SocketEntry
from pytest_sockets.reports import overview, text
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.run import Mode, Run
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
        assert "fix        close the client or shut its pool down" in message

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
            "... and 4,992 more sockets of 4,992 opening lines; --sockets-report=leaks.json lists every socket"
        )

    def test_five_thousand_sockets_of_one_line_give_one_block(self):
        message = text.message([FINDING] * 5000)
        assert len(message.splitlines()) < 15
        assert "(5000 sockets of this line; the first is shown)" in message

    def test_the_warning_is_bounded(self):
        assert len(text.short_message(many(5000)).splitlines()) == 2 + text.MOST_WARNED

    def test_what_is_left_out_is_counted_by_sockets_and_by_lines(self):
        """Nine lines, the last one with two statuses: one more line with two sockets, not two lines."""
        last = many(9)[8]
        other = dataclasses.replace(last, socket=dataclasses.replace(last.socket, status="LISTEN"))
        told = text.message([*many(9), other])
        assert "... and 2 more sockets of 1 opening line;" in told
        assert text.short_message([*many(3), last, other]).endswith("... and 1 more socket of 1 opening line")

    def test_300_leaks_of_200_owners_at_12_lines_are_at_most_40_lines(self):
        findings = [
            dataclasses.replace(
                FINDING,
                owner_name=f"tests/dir{n % 200 // 50}/test_{n % 200 // 10}.py::test_{n % 200}",
                nodeid=f"tests/dir{n % 200 // 50}/test_{n % 200 // 10}.py::test_{n % 200}",
                opened_at=Frame(f"lib/net{n % 12}.py", 4, "f"),
            )
            for n in range(300)
        ]
        run = Run("1", findings=findings, unmatched_rules=["x=y"] * 9, baseline_changes=["gone"] * 12)
        section = text.summary(Run("1", findings=findings))
        assert len(section) == 24
        assert section[0] == "25 x tcp CLOSE_WAIT lib/net0.py:4 in 25 tests (tests/...)"
        assert section[1].endswith(", and 22 more")
        assert len(text.summary(run)) < 60
        assert len(text.warning_of_all(findings).splitlines()) == 13

    def test_every_list_of_the_section_is_bounded(self):
        run = Run(
            "1", findings=many(5000), unmatched_rules=["x=y"] * 900, baseline_changes=["gone"] * 12,
            notes=["n"] * 900, internal_errors=["t"] * 900, ignored={f"owner={n}": 1 for n in range(900)},
        )  # fmt: skip
        assert len(text.summary(run)) <= 2 * text.MOST_GROUPS + 35

    def test_a_long_command_line_is_cut(self):
        child = dataclasses.replace(FINDING, process="x" * 5000)
        assert max(map(len, text.message([child]).splitlines())) < 250
        assert max(map(len, text.summary(Run("1", findings=[child])))) < 250


class TestControlCharacters:
    HOSTILE = dataclasses.replace(FINDING, process="sh\x1b[2J\r\nFORGED \u202e x", held_by=("a\x07b",))

    def test_they_are_shown_and_not_sent(self):
        for told in (
            text.message([self.HOSTILE]),
            text.short_message([dataclasses.replace(self.HOSTILE, opened_at=None)]),
            "\n".join(text.summary(Run("1", findings=[self.HOSTILE]))),
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
        assert text.summary(Run("1", findings=[FINDING, self.OTHER])) == [
            "2 x tcp tests/test_a.py:12 in test tests/test_a.py::test_one"
        ]

    def test_those_that_different_lines_of_the_test_asked_a_helper_for_are_told_apart(self):
        elsewhere = dataclasses.replace(
            FINDING, stack=(*FINDING.stack, Frame("tests/test_a.py", 99, "test_one"))
        )
        assert "tests/test_a.py:99" in text.message([FINDING, elsewhere])
        assert len(text.summary(Run("1", findings=[FINDING, elsewhere]))) == 1

    def test_the_twin_a_librarys_different_ways_to_one_line_stay_one(self):
        retried = dataclasses.replace(
            FINDING, stack=(Frame("/x/site-packages/y.py", 1, "retry"), *FINDING.stack)
        )
        assert "(2 sockets of this line; the first is shown)" in text.message([FINDING, retried])

    def test_an_accepted_socket_is_the_servers_to_close(self):
        accepted = dataclasses.replace(FINDING, stack=(Frame("/x/socket.py", 300, "accept"), *FINDING.stack))
        assert "  fix        stop the server that accepted it" in text.message([accepted])
        assert "stop the server that accepted it" not in text.message([FINDING])


class TestSummary:
    def test_the_most_frequent_opening_line_comes_first(self):
        rare = dataclasses.replace(FINDING, opened_at=Frame("a.py", 1, "f"))
        assert text.summary(Run("1", findings=[rare, FINDING, FINDING])) == [
            "2 x tcp CLOSE_WAIT tests/test_a.py:12 in test tests/test_a.py::test_one",
            "1 x tcp 127.0.0.1:4001 -> 127.0.0.1:80 CLOSE_WAIT a.py:1 in test tests/test_a.py::test_one",
        ]

    def test_the_parameters_of_one_test_are_one_owner_with_the_right_count(self):
        found = [dataclasses.replace(FINDING, owner_name=f"t.py::test_x[{n}]") for n in "aabc"]
        found.append(dataclasses.replace(FINDING, owner_name="t.py::test_y[a]"))
        assert text.summary(Run("1", findings=found)) == [
            "5 x tcp CLOSE_WAIT tests/test_a.py:12 in 4 tests (t.py)",
            "    t.py::test_x[...] (4), t.py::test_y[a]",
        ]

    def test_known_leaks_stay_and_are_marked(self):
        known = dataclasses.replace(FINDING, known=True)
        run = Run("1", findings=[known, known, dataclasses.replace(FINDING, opened_at=Frame("a.py", 1, "f"))])
        assert text.title(run) == "1 leaked socket of 1 owner, 2 known"
        lines = text.summary(run)
        assert "known" not in lines[0]
        assert lines[1].endswith("(known)")
        assert lines[2] == "2 known leaks of the baseline are not new."

    def test_ignored_leaks_are_counted_by_rule(self):
        run = Run("1", findings=[FINDING], ignored={"remote=*": 3, "hook pytest_sockets_finding": 1})
        assert "4 leaks ignored: 3 by 'remote=*', 1 by 'hook pytest_sockets_finding'." in text.summary(run)

    def test_workers_are_named_once(self):
        found = [dataclasses.replace(FINDING, worker=worker) for worker in ("gw1", "gw0", "gw1")]
        assert text.summary(Run("1", findings=found))[0].endswith("[gw0, gw1]")

    def test_an_empty_run_has_an_empty_section(self):
        assert text.summary(Run("1")) == []

    def test_each_internal_error_is_one_line(self):
        run = Run("1", internal_errors=["the report x was not written"])
        assert text.summary(run) == [
            "pytest-sockets could not do all of its work: the report x was not written"
        ]
        assert text.title(run) == "sockets"


def test_every_status_has_a_text():
    assert set(STATUS_WORDS) == set(STATUSES)


def test_the_line_of_totals_has_singular_and_plural():
    assert (
        Run("0", opened_total=1, ports_given=1).totals() == "sockets: 1 socket opened, 0 leaked, 1 port given"
    )
    two = Run("0", opened_total=2, servers_started=2).totals()
    assert two == "sockets: 2 sockets opened, 0 leaked, 2 servers started"


def test_no_more_sockets_leak_than_were_opened(finding_factory):
    untracked = [finding_factory(place=None), finding_factory(place=None)]
    assert Run("0", findings=untracked).totals() == "sockets: 2 sockets opened, 2 leaked"
    child = finding_factory(process="python server.py")
    run = Run("0", findings=[child], opened_total=1)
    assert run.totals() == "sockets: 1 socket opened, 1 leaked (1 by child processes)"


class TestNoFalseAllClear:
    def test_a_run_that_was_off_says_so(self):
        run = Run("1", Mode("off"), ports_given=1)
        assert run.totals() == "sockets: leaks not looked for (--sockets-leaks=off), 1 port given"
        assert overview.headline(run) == "Leaks were not looked for"
        assert not overview.is_good(run)

    def test_a_clean_run_names_what_was_not_looked_for(self):
        run = Run("1", Mode("warn", "off", ("tcp",), "process"))
        assert overview.headline(run) == "No leaked socket was found"
        assert run.not_looked_for == [
            "UDP sockets and unix sockets were not looked for (--sockets-kinds=tcp).",
            "Sockets that only the interpreter closed were not named (--sockets-unclosed=off).",
            "Sockets that child processes left listening were not looked for (--sockets-scope=process).",
        ]

    def test_the_twin_a_run_that_looked_for_everything_has_nothing_to_say(self):
        run = Run("1", Mode("warn", "warn", ("tcp", "udp", "unix"), "tree"))
        assert run.not_looked_for == []
        assert overview.is_good(run)

    def test_windows_a_crashed_worker_and_marks_are_named(self):
        run = Run("1", Mode("off", "warn", ("tcp", "udp", "unix")), marked=True, incomplete=True)
        run.environment.platform = "win32"
        assert [line.split(" ", 3)[:2] for line in run.not_looked_for] == [
            ["Sockets", "left"], ["Sockets", "of"], ["A", "worker"],
        ]  # fmt: skip

    def test_only_known_leaks_are_not_good_news(self):
        run = Run("1", findings=[dataclasses.replace(FINDING, known=True)])
        assert overview.headline(run) == "No new leak; all sockets left behind are known"
        assert not overview.is_good(run)
        assert run.totals().endswith("0 leaked, 1 known")


class TestAdvice:
    """One fix for each type of owner and of code."""

    LIBRARY = "/x/site-packages"

    @pytest.mark.parametrize(
        ("changes", "files", "words"),
        [
            ({}, ["aiohttp/connector.py"], "`async with`, or await its aclose()"),
            (
                {"owner_kind": "fixture", "owner_name": "client"},
                ["asyncio/base_events.py"],
                "`async with` around the `yield`",
            ),
            ({}, ["/x/lib/python3.12/unittest/case.py"], "self.addCleanup(sock.close)"),
            (
                {"owner_kind": "class"},
                ["/x/lib/python3.12/unittest/case.py"],
                "cls.addClassCleanup(sock.close)",
            ),
            ({}, ["urllib3/connection.py"], "shut its pool down"),
            ({"process": "nginx"}, [], "proc.terminate(); proc.wait()"),
            ({"owner_kind": "session"}, [], "pytest_sessionfinish"),
            ({"owner_kind": "module"}, [], "in the teardown of the module"),
            ({"note": SETUP_RAISED, "owner_kind": "fixture"}, [], "reaches over the `yield`"),
            ({"note": LEFT_BEHIND, "process": "x"}, [], "os.killpg()"),
            ({"opened_at": None}, [], "--sockets-ignore=remote=127.0.0.1:80"),
            ({}, [], "contextlib.closing"),
        ],
    )
    def test_it_fits_the_owner_and_the_code(self, changes, files, words):
        stack = tuple(Frame(f"{self.LIBRARY}/{file}", 1, "f") for file in files)
        assert words in advice(dataclasses.replace(FINDING, stack=stack, **changes))
