"""Every character of the messages and the section, and each bound at its edge: n is shown, n + 1 is cut."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sockets.leaks.findings import UNCLOSED, Frame
from pytest_sockets.reports import text
from pytest_sockets.reports.grouping import by_opening_line, whole_headline
from pytest_sockets.reports.run import Mode, Run
from pytest_sockets.reports.status_text import STATUS_WORDS

LIBRARY = Frame("/x/lib/python3.12/site-packages/urllib3/connection.py", 90, "connect")
TEST = Frame("tests/test_api.py", 41, "test_upload")


@pytest.fixture
def finding(finding_factory):
    return finding_factory(
        stack=(LIBRARY, TEST), held_by=("KEPT", "module a"), note="n1", annotations={"ci": "x"}
    )


@pytest.fixture
def many(finding_factory):
    """Findings of as many opening lines."""

    def many(count, **more):
        return [finding_factory(place=(f"a{n:05}.py", n + 1, "f"), **more) for n in range(count)]

    return many


class TestMessage:
    def test_one_socket(self, finding):
        assert text.message([finding]).splitlines() == [
            "1 socket left open by test tests/test_api.py::test_upload",
            "",
            "tcp 127.0.0.1:40001 LISTEN (fd 9)",
            f"  why        LISTEN: {STATUS_WORDS['LISTEN']}",
            "  opened at  tests/test_api.py:41 in test_upload",
            "             urllib3/connection.py:90 in connect",
            "  held by    KEPT",
            "             module a",
            "  note       n1",
            "  ci         x",
            text.message([finding]).splitlines()[-1],
        ]
        assert text.message([finding]).splitlines()[-1].startswith("  fix        ")

    def test_a_listener_of_a_child_process(self, finding_factory):
        child = finding_factory(process="/usr/bin/redis-server *:6379")
        unknown = dataclasses.replace(child, opened_at=None, stack=())
        assert text.message([child]).splitlines()[2:5] == [
            "tcp 127.0.0.1:40001 LISTEN (pid 4242: redis-server *:6379)",
            f"  why        LISTEN: {STATUS_WORDS['LISTEN']}",
            "  opened at  the child process was started at tests/test_api.py:41 in test_upload",
        ]
        assert (
            "  opened at  not known: the start of the child process was not seen (C code, os.posix_spawn)"
            in text.message([unknown])
        )

    def test_an_unclosed_udp_socket_has_no_status(self, finding_factory):
        found = finding_factory(kind=UNCLOSED, protocol="udp", status="NONE")
        lines = text.message([found]).splitlines()
        assert lines[0] == (
            "1 socket never closed by test tests/test_api.py::test_upload: only the interpreter did"
        )
        assert lines[2] == "udp 127.0.0.1:40001 (fd 9)"
        assert (
            lines[3] == "  why        open; no code closed it, only the interpreter did when the object died"
        )

    def test_owners_are_counted_and_the_first_is_named(self, finding_factory):
        first, second = (
            finding_factory(),
            finding_factory(owner="pool", owner_kind="fixture", scope="session"),
        )
        expected = "2 sockets left open by 2 owners, first test tests/test_api.py::test_upload"
        assert text.headline([first, second]) == expected
        assert text.message([first, second]).splitlines()[3] == (
            "  owner      test tests/test_api.py::test_upload, during call"
        )
        assert "  owner" not in text.message([first, first])

    def test_eight_sockets_are_explained_and_the_ninth_is_counted(self, many):
        assert "more" not in text.message(many(8))
        assert text.message(many(9)).splitlines()[-2:] == [
            "",
            "... and 1 more socket of 1 opening line; --sockets-report=leaks.json lists every socket",
        ]

    def test_six_frames_are_shown(self, finding_factory):
        frames = tuple(Frame(f"/x/site-packages/{name}.py", 1, "f") for name in "abcdefg")
        message = text.message([finding_factory(stack=frames)])
        assert "             f.py:1 in f" in message
        assert "g.py" not in message

    def test_three_notes_are_shown_and_the_rest_is_counted(self, finding_factory):
        found = [finding_factory(note=f"note {n}") for n in range(5)]
        assert "... and" not in text.message(found[:3])
        lines = text.message(found).splitlines()
        assert lines[2] == "tcp 127.0.0.1:40001 LISTEN (fd 9)  (5 sockets of this line; the first is shown)"
        notes = lines.index("  note       note 0")
        assert lines[notes : notes + 4] == [
            "  note       note 0", "  note       note 1", "  note       note 2", "             ... and 2 more",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("file", "short"),
        [
            ("/usr/lib/python3.13t/asyncio/streams.py", "asyncio/streams.py"),
            ("/usr/lib/python3.12/socket.py", "socket.py"),
            ("/usr/lib/python3/dist-packages/redis/pool.py", "redis/pool.py"),
            ("/v/lib/python3.12/site-packages/redis/pool.py", "redis/pool.py"),
            ("tests/python3.12_test.py", "tests/python3.12_test.py"),
        ],
    )
    def test_a_librarys_file_loses_the_place_of_its_installation(self, file, short):
        assert text.short_file(file) == short

    def test_a_command_line_is_cut_in_the_middle_only_beyond_its_bound(self):
        assert text.short_command("/bin/x " + "a" * 8, 10) == "x aaaaaaaa"
        assert text.short_command("/bin/x " + "a" * 6 + "bbb", 9) == "x a...bbb"


class TestWarnings:
    def test_three_opening_lines_are_named_and_the_fourth_is_counted(self, many):
        assert text.short_message(many(3)).splitlines() == [
            "3 sockets left open by test tests/test_api.py::test_upload",
            *(f"  1 x tcp 127.0.0.1:40001 LISTEN a0000{n}.py:{n + 1}" for n in range(3)),
        ]
        assert text.short_message(many(5)).splitlines()[4:] == ["  ... and 2 more sockets of 2 opening lines"]

    def test_thirteen_opening_lines_are_listed_for_the_whole_run(self, many):
        lines = text.warning_of_all(many(13)).splitlines()
        assert lines[0] == "13 sockets left open by 1 owner"
        assert (
            lines[1] == "  1 x tcp 127.0.0.1:40001 LISTEN a00000.py:1 in test tests/test_api.py::test_upload"
        )
        assert len(lines) == 14
        assert text.warning_of_all(many(15)).splitlines()[14:] == [
            "  ... and 2 more sockets of 2 opening lines"
        ]

    def test_a_line_of_400_characters_is_whole_and_a_longer_one_is_cut(self, finding_factory):
        base = text.warning_of_all([finding_factory(owner="")]).splitlines()[1]
        name = "x" * (400 - len(base))
        assert text.warning_of_all([finding_factory(owner=name)]).splitlines()[1] == base + name
        cut = text.warning_of_all([finding_factory(owner=f"{name}x")]).splitlines()[1]
        assert cut == (base + name)[:397] + "..."


class TestSection:
    def test_thirteen_opening_lines_are_listed_and_the_rest_is_counted(self, many):
        assert len(text.summary(Run("1", findings=many(13)))) == 13
        assert text.summary(Run("1", findings=many(15)))[13] == (
            "... and 2 more sockets of 2 opening lines; --sockets-report=leaks.json lists every socket"
        )

    def test_each_list_is_whole_up_to_its_bound(self):
        five = [f"r{n}" for n in range(5)]
        expected = [f"the ignore rule {rule!r} matched nothing: remove it" for rule in five]
        assert text.summary(Run("1", unmatched_rules=five)) == expected
        assert text.summary(Run("1", unmatched_rules=[*five, "r5"])) == [
            *expected[:4],
            "... and 2 more like this",
        ]
        assert text.summary(Run("1", notes=five)) == five
        assert text.summary(Run("1", internal_errors=["t"])) == [
            "pytest-sockets could not do all of its work: t"
        ]

    def test_twelve_lines_of_the_baseline_are_whole(self):
        changes = [f"c{n}" for n in range(13)]
        assert text.summary(Run("1", baseline_changes=changes[:12])) == changes[:12]
        assert text.summary(Run("1", baseline_changes=changes)) == [*changes[:11], "... and 2 more like this"]

    def test_what_was_not_looked_for_is_said_when_nothing_was_or_a_worker_crashed(self):
        assert text.summary(Run("1", Mode("off"))) == ["Leaks were not looked for (--sockets-leaks=off)."]
        crashed = Run("1", Mode("warn", "warn", ("tcp", "udp", "unix")), incomplete=True)
        assert text.summary(crashed)[-1] == (
            "A worker crashed: the leaks of its last test and its session are not known."
        )
        assert text.summary(Run("1", Mode("warn", "off", ("tcp",)))) == []

    def test_a_child_process_is_named_with_its_pid(self, finding_factory):
        child = finding_factory(process="/usr/bin/redis-server *:6379")
        assert text.summary(Run("1", findings=[child])) == [
            "1 x tcp 127.0.0.1:40001 LISTEN in pid 4242 (redis-server *:6379) tests/test_api.py:41 "
            "in test tests/test_api.py::test_upload"
        ]
        unknown = dataclasses.replace(child, opened_at=None, stack=())
        assert (
            " (redis-server *:6379) a child process in test " in text.summary(Run("1", findings=[unknown]))[0]
        )
        foreign = finding_factory(place=None)
        assert " LISTEN no line of Python code in test " in text.summary(Run("1", findings=[foreign]))[0]

    def test_three_owners_are_named_most_first_and_the_rest_is_counted(self, finding_factory):
        def found(*names):
            return Run("1", findings=[finding_factory(owner=f"t.py::test_{name}") for name in names])

        assert text.summary(found("a", "b", "c", "c"))[1] == (
            "    t.py::test_c (2), t.py::test_a, t.py::test_b"
        )
        assert text.summary(found("a", "b", "c", "d", "d", "e"))[1] == (
            "    t.py::test_d (2), t.py::test_a, t.py::test_b, and 2 more"
        )

    def test_the_title_counts_new_leaks_owners_and_known_ones(self, finding_factory):
        new, known = finding_factory(), finding_factory(known=True)
        assert text.title(Run("1", findings=[new])) == "1 leaked socket of 1 owner"
        assert text.title(Run("1", findings=[new, new, known])) == "2 leaked sockets of 1 owner, 1 known"
        assert text.title(Run("1", findings=[known])) == "sockets: 1 known leak"
        assert text.title(Run("1")) == "sockets"


class TestGroups:
    def group(self, *findings):
        (group,) = by_opening_line(findings)
        return group

    def test_what_names_one_socket_whole_and_several_by_protocol_and_status(self, finding_factory):
        one, other = finding_factory(), finding_factory(status="CLOSE_WAIT")
        assert self.group(one).what == "1 x tcp 127.0.0.1:40001 LISTEN"
        assert self.group(one, one).what == "2 x tcp LISTEN"
        assert self.group(one, other).what == "2 x tcp"
        unclosed = finding_factory(kind=UNCLOSED)
        assert self.group(unclosed, unclosed).what == "2 x tcp LISTEN, never closed,"
        udp = finding_factory(protocol="udp", status="NONE")
        assert self.group(udp, udp).what == "2 x udp"

    def test_known_ones_are_marked_all_or_by_number(self, finding_factory):
        new, known = finding_factory(), finding_factory(known=True)
        assert self.group(new).mark == ""
        assert self.group(known, known).mark == " (known)"
        assert self.group(known, new, new).mark == " (1 known)"
        assert self.group(known, new).first is new

    def test_one_owner_of_several_tests_says_after_which(self, finding_factory):
        pool = [
            finding_factory(
                owner="pool", owner_kind="fixture", scope="session", nodeid=f"tests/{name}.py::test_x"
            )
            for name in "ab"
        ]
        assert self.group(pool[0]).whose == "in fixture 'pool' (scope session)"
        assert self.group(*pool).whose == "in fixture 'pool' (scope session), after 2 tests (tests/...)"

    def test_several_owners_are_counted_by_kind_with_their_common_folder(self, finding_factory):
        def made(kind, *names):
            return [finding_factory(owner=name, owner_kind=kind) for name in names]

        tests = made("test", "a.py::test_1", "a.py::test_2")
        assert self.group(*tests).whose == "in 2 tests (a.py)"
        assert self.group(*tests, *made("class", "a.py::TestX")).whose == "in 2 tests (a.py), 1 class (a.py)"
        assert self.group(*made("class", "d/a.py::A", "d/b.py::B")).whose == "in 2 classes (d/...)"
        assert self.group(*made("module", "a.py", "/x/b.py")).whose == "in 2 modules (2 files)"
        assert self.group(*made("fixture", "x", "y"), *tests[:1]).whose == "in 2 fixtures, 1 test (a.py)"

    def test_four_workers_are_named_and_five_are_counted(self, finding_factory):
        found = [finding_factory(worker=f"gw{n}") for n in range(5)]
        assert self.group(*found[:4]).workers == "  [gw0, gw1, gw2, gw3]"
        assert self.group(*found).workers == "  [5 workers]"
        assert self.group(finding_factory()).workers == ""

    def test_new_lines_come_before_known_ones_then_the_most_frequent(self, finding_factory, many):
        a, b, c = many(3)
        known = [dataclasses.replace(c, known=True)] * 9
        groups = by_opening_line([*known, a, b, b])
        assert [(group.first.place, len(group.findings)) for group in groups] == [
            ("a00001.py:2", 2), ("a00000.py:1", 1), ("a00002.py:3", 9),
        ]  # fmt: skip

    def test_the_headline_of_the_run_counts_tests_fixtures_and_other_owners(self, finding_factory):
        test = finding_factory()
        fixture = finding_factory(owner="pool", owner_kind="fixture")
        module = finding_factory(owner="a.py", owner_kind="module")
        assert whole_headline([]) == ""
        assert whole_headline([test, test]) == "2 sockets left behind by 1 test"
        assert whole_headline([test, fixture]) == "2 sockets left behind by 1 test and 1 fixture"
        assert whole_headline([test, fixture, module, module]) == (
            "4 sockets left behind by 1 test, 1 fixture and 1 other owner"
        )
