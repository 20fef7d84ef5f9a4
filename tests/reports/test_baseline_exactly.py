"""Keys, counts, gone, moved and merged entries of the baseline, each at the edge where it becomes another one."""

from __future__ import annotations

import dataclasses
import sysconfig

import pytest

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.baseline import Baseline, Known, format_baseline, parse_baseline
from pytest_sockets.reports.baseline_check import Comparison, Found, Ran, Ratchet, compare, update
from pytest_sockets.reports.baseline_keys import (
    Key,
    instance_of,
    is_narrow,
    key_of,
    old_key_of,
    owner_of,
    portable,
)

TEST = "tests/test_api.py::test_upload"
HEAD = "# pytest-sockets baseline, version 2\n"


def whole(*tests, **more):
    return Ran(passed=set(tests), seen=set(tests), whole=True, **more)


def line(text):
    (entry,) = parse_baseline(HEAD + text).entries
    return entry


def names(comparison):
    return [entry.key.owner for entry in comparison.gone]


class TestKeys:
    def test_a_fixture_is_named_with_its_file_or_else_its_scope(self, finding_factory):
        fixture = {"owner": "pool", "owner_kind": "fixture", "scope": "session"}
        assert owner_of(finding_factory(owner_file="tests/conftest.py", **fixture)) == (
            "fixture pool (tests/conftest.py)"
        )
        assert owner_of(finding_factory(**fixture)) == "fixture pool (session)"
        assert owner_of(finding_factory(owner="session", owner_kind="session")) == "session"
        assert owner_of(finding_factory(owner="a.py", owner_kind="module")) == "module a.py"

    def test_the_key_of_version_1_has_the_scope_and_the_whole_path(self, finding_factory):
        finding = finding_factory(
            owner="pool", owner_kind="fixture", scope="session", owner_file="conftest.py",
            place=("C:\\v\\site-packages\\x.py", 1, "connect"),
        )  # fmt: skip
        assert old_key_of(finding) == Key(
            "fixture pool (session)", "C:/v/site-packages/x.py in connect", "open"
        )
        assert key_of(finding).place == "site-packages/x.py in connect"
        assert old_key_of(finding_factory(place=None)).place == "not opened by Python code"

    @pytest.mark.parametrize(
        ("file", "shown"),
        [
            ("/home/bob/src/shop/net.py", ".../shop/net.py"),
            ("/shop/net.py", ".../shop/net.py"),
            ("c:\\src\\shop\\net.py", ".../shop/net.py"),
            ("a\\b.py", "a/b.py"),
            (sysconfig.get_paths()["stdlib"] + "/asyncio/streams.py", "stdlib/asyncio/streams.py"),
        ],
    )
    def test_a_path_outside_keeps_its_last_two_parts(self, file, shown):
        assert portable(file) == shown

    @pytest.mark.parametrize(
        ("command", "place"),
        [
            ("/opt/python3.12 /srv/app/run.py --port 1", "process python run.py"),
            ("python3 -u -m http.server 80", "process python -m http.server"),
            ("python -cimport socket", "process python -c"),
            ("python -m", "process python"),
            ("python", "process python"),
            ("/usr/sbin/nginx3.1 -g x", "process nginx3.1"),
        ],
    )
    def test_a_process_is_its_program_and_script(self, finding_factory, command, place):
        assert key_of(finding_factory(place=None, process=command)).place == place

    def test_a_wide_owner_is_blamed_at_its_librarys_line_when_a_test_came_first(self, finding_factory):
        library, test = Frame("/x/site-packages/redis.py", 9, "connect"), Frame("t.py", 3, "test_a")
        made = {"owner": "pool", "owner_kind": "fixture", "place": ("t.py", 3, "test_a")}
        assert (
            key_of(finding_factory(stack=(library, test), **made)).place
            == "site-packages/redis.py in connect"
        )
        assert key_of(finding_factory(stack=(test,), **made)).place == "opened for a test"
        assert (
            key_of(finding_factory(stack=(library, test), place=("t.py", 3, "test_a"))).place
            == "t.py in test_a"
        )

    @pytest.mark.parametrize("name", ["<listcomp>", "<setcomp>", "<dictcomp>"])
    def test_a_comprehension_is_its_function_in_the_same_file(self, finding_factory, name):
        inner, other, outer = Frame("a.py", 4, name), Frame("b.py", 1, "x"), Frame("a.py", 4, "make")
        finding = finding_factory(place=("a.py", 4, name), stack=(inner, other, outer))
        assert key_of(finding).place == "a.py in make"
        assert key_of(dataclasses.replace(finding, stack=(inner, other))).place == f"a.py in {name}"


class TestLives:
    @pytest.mark.parametrize(
        ("scope", "life"),
        [
            ("session", " "),
            ("package", "tests/api "),
            ("module", "tests/api/test_a.py "),
            ("class", "tests/api/test_a.py::TestX "),
            ("function", "tests/api/test_a.py::TestX::test_1[a::b] "),
        ],
    )
    def test_a_fixture_lives_once_for_each_of_its_scope(self, finding_factory, scope, life):
        finding = finding_factory(
            owner="pool", owner_kind="fixture", scope=scope, nodeid="tests/api/test_a.py::TestX::test_1[a::b]"
        )
        assert instance_of(finding) == life
        assert instance_of(dataclasses.replace(finding, owner_parameter="tcp")) == f"{life}tcp"

    @pytest.mark.parametrize("kind", ["import", "session"])
    def test_imports_and_the_session_live_once(self, finding_factory, kind):
        assert instance_of(finding_factory(owner="a.py", owner_kind=kind)) == ""

    def test_a_test_and_its_own_fixtures_are_narrow(self, finding_factory):
        assert is_narrow(finding_factory())
        assert is_narrow(finding_factory(owner="x", owner_kind="fixture", scope="function"))
        assert not is_narrow(finding_factory(owner="x", owner_kind="fixture", scope="module"))
        assert not is_narrow(finding_factory(owner="x", owner_kind="module", scope="function"))

    def test_attempts_of_a_narrow_owner_and_workers_of_a_wide_one_count_once(self, finding_factory):
        wide = finding_factory(owner="pool", owner_kind="fixture", scope="session")
        narrow = finding_factory()
        for finding, lives in (
            (wide, [(1, "gw0"), (2, "gw1"), (3, "gw1")]),
            (narrow, [(1, "a"), (2, "b"), (2, "c")]),
        ):
            ratchet = Ratchet(Baseline((Known(key_of(finding), 2),)))
            assert [ratchet.add(finding, *one) for one in lives] == [True, True, True]
            assert ratchet.total(key_of(finding)) == 2
            assert not ratchet.add(finding, *lives[-1])
            assert ratchet.total(key_of(finding)) == 3

    def test_what_is_not_listed_is_new_and_any_number_covers_all(self, finding_factory):
        finding = finding_factory()
        assert not Ratchet(Baseline()).add(finding, 1, None)
        ratchet = Ratchet(Baseline((Known(key_of(finding), None),)))
        assert [ratchet.add(finding, 1, None) for _ in range(5)] == [True] * 5


class TestOccurring:
    def could(self, owner, ran, place="f in g", kind="open"):
        return ran.could_occur(Key(owner, place, kind), ("tcp", "udp"))

    def test_a_module_or_class_is_complete_when_one_of_its_tests_passed_and_none_was_cut(self):
        ran = Ran(passed={"a.py::TestX::test_1"}, seen={"a.py::TestX::test_1"})
        assert self.could("module a.py", ran)
        assert self.could("class a.py::TestX", ran)
        assert not self.could("class a.py::Test", ran)
        assert not self.could("class a.py::TestX", dataclasses.replace(ran, cut_files={"a.py"}))
        assert not self.could("module a.py", dataclasses.replace(ran, failed_files={"a.py"}))
        assert self.could("module a.py", dataclasses.replace(ran, cut_files={"a.pyx", "b/a.py"}))

    def test_an_import_of_a_conftest_needs_the_whole_folder(self):
        ran = whole("tests/a.py::test_1")
        assert self.could("import tests/conftest.py", ran)
        assert not self.could("import tests/conftest.py", dataclasses.replace(ran, whole=False))
        assert not self.could(
            "import tests/conftest.py", dataclasses.replace(ran, cut_files={"tests/sub/b.py"})
        )
        assert self.could("import tests/conftest.py", dataclasses.replace(ran, cut_files={"other/b.py"}))

    def test_a_fixture_of_a_test_file_needs_that_file_and_one_of_a_package_needs_all(self):
        ran = whole(
            "tests/a.py::test_1", fixtures={"fixture x (tests/a.py)", "fixture x (site-packages/conftest.py)"}
        )
        ran = dataclasses.replace(ran, cut_files={"tests/b.py"})
        assert self.could("fixture x (tests/a.py)", ran)
        for folder in ("stdlib_tests", "site-packages-tests"):  # the suite's own, whatever it is called
            fixture = f"fixture x ({folder}/conftest.py)"
            assert self.could(fixture, dataclasses.replace(ran, fixtures={fixture}))
        assert not self.could("fixture x (site-packages/conftest.py)", ran)
        assert self.could("fixture x (site-packages/conftest.py)", dataclasses.replace(ran, cut_files=set()))

    def test_a_removed_class_is_gone_and_one_that_was_seen_is_not(self):
        ran = whole("a.py::test_1", existing_files=frozenset({"a.py"}))
        assert self.could("class a.py::TestGone", ran)
        assert self.could("test a.py::test_gone", ran)
        seen = dataclasses.replace(ran, seen={"a.py::test_1", "a.py::TestGone::test_2", "a.py::test_gone"})
        assert not self.could("class a.py::TestGone", seen)
        assert not self.could("test a.py::test_gone", seen)
        assert not self.could("module b.py", dataclasses.replace(ran, existing_files=frozenset({"b.py"})))
        assert self.could("module b.py", ran)

    def test_the_kind_the_protocols_and_children_must_have_been_looked_for(self):
        ran = whole(TEST)
        assert self.could(f"test {TEST}", ran)
        assert not self.could(f"test {TEST}", dataclasses.replace(ran, leaks=False))
        assert not self.could(f"test {TEST}", ran, kind="unclosed")
        assert not self.could(f"test {TEST}", dataclasses.replace(ran, kinds=("tcp",)))
        assert self.could(f"test {TEST}", dataclasses.replace(ran, kinds=("tcp", "udp", "unix")))
        child = dataclasses.replace(ran, children=False)
        assert not self.could(f"test {TEST}", child, place="process nginx")
        assert self.could(f"test {TEST}", child, place="processes.py in f")

    def test_the_session_needs_the_whole_suite_without_a_failure(self):
        assert self.could("session", whole(TEST))
        assert not self.could("session", whole(TEST, failed_files={"x.py"}))
        assert not self.could("session", Ran(passed={TEST}, seen={TEST}))


class TestChanges:
    def test_each_difference_is_one_line_and_the_last_says_what_to_do(self):
        gone, fewer, moved = (Known(Key(name, "f in g", "open"), 3) for name in ("a", "b", "c"))
        comparison = Comparison((), (gone,), ((fewer, 1),), ((moved, Key("d", "f in g", "open")),))
        assert comparison.changes == [
            "the baseline lists a leak that is gone: open | a | f in g | 3",
            "the baseline lists more than there are now (1): open | b | f in g | 3",
            "moved, update the baseline: open | c | f in g | 3 -> open | d | f in g | 3",
            "pytest --sockets-update-baseline brings the file up to date",
        ]
        assert Comparison(()).changes == []

    def test_ten_differences_are_whole_and_from_the_eleventh_on_they_are_counted(self):
        gone = tuple(Known(Key(f"{n:02}", "f in g", "open")) for n in range(12))
        assert len(Comparison((), gone[:10]).changes) == 11
        assert Comparison((), gone).changes[10:] == [
            "... and 2 more differences from the baseline",
            "pytest --sockets-update-baseline brings the file up to date",
        ]

    def test_what_a_worker_took_for_new_stays_new(self, finding_factory):
        finding = finding_factory()
        found = [Found(finding, 1, None, known=False), Found(finding, 1, None, known=True)]
        listed = Baseline((Known(key_of(finding), 1),))
        assert compare(found, listed, whole(TEST)).known == (False, True)


class TestUpdate:
    def test_a_new_leak_is_added_with_its_count(self, finding_factory):
        finding = finding_factory()
        found = [Found(finding, 1, None)] * 2
        assert update(found, Baseline(), whole(TEST)).entries == (Known(key_of(finding), 2),)

    def test_an_entry_of_version_1_is_found_and_gets_its_new_key_and_count(self, finding_factory):
        finding = finding_factory(
            owner="pool", owner_kind="fixture", scope="session", owner_file="conftest.py", nodeid=TEST
        )
        old = Known(old_key_of(finding), None, "JIRA-1")
        listed = Baseline((old,), version=1)
        assert compare([Found(finding, 1, None)], listed, Ran()).known == (True,)
        assert update([Found(finding, 1, None)], listed, Ran()).entries == (
            Known(key_of(finding), 1, "JIRA-1"),
        )

    def test_a_part_of_the_suite_raises_a_count_and_lowers_none(self, finding_factory):
        finding = finding_factory(
            owner="pool", owner_kind="fixture", scope="session", owner_file="conftest.py"
        )
        key = key_of(finding)
        for listed, found, expected in ((3, 1, 3), (1, 3, 3)):
            updated = update([Found(finding, 1, None)] * found, Baseline((Known(key, listed),)), Ran())
            assert [entry.count for entry in updated.entries] == [expected]

    def test_protocols_of_an_empty_baseline_are_those_of_the_run(self):
        assert update([], Baseline(kinds=("tcp", "udp")), Ran(kinds=("unix",))).kinds == ("unix",)

    def test_comments_below_the_last_entry_stay(self):
        assert update([], Baseline(below=("# end",)), Ran()).below == ("# end",)


class TestMoves:
    def moved(self, old, *new, ran=None):
        """The pairs of old owner and new owner; each is OWNER, PLACE."""
        from pytest_sockets.reports.baseline_check import _moves

        entries = [Known(Key(*one, "open")) for one in old]
        return [
            (entry.key.owner, key.owner) for entry, key in _moves(entries, [Key(*one, "open") for one in new])
        ]

    def test_the_same_line_with_another_owner_is_a_move(self):
        assert self.moved([("test a.py::x", "a.py in f")], ("test a.py::y", "a.py in f")) == [
            ("test a.py::x", "test a.py::y")
        ]

    def test_a_renamed_file_is_a_move_and_another_test_with_another_function_is_not(self):
        assert self.moved([("test a.py::x", "a.py in x")], ("test b.py::x", "b.py in x"))
        assert not self.moved([("test a.py::x", "a.py in x")], ("test b.py::y", "b.py in y"))
        assert not self.moved([("test a.py::x", "a.py in f")], ("fixture x (a.py)", "a.py in f"))

    def test_the_most_alike_come_first_and_each_is_used_once(self):
        old = [("test a.py::x", "a.py in x"), ("test a.py::y", "a.py in y")]
        new = [("test b.py::y", "b.py in y"), ("test b.py::x", "b.py in x")]
        assert sorted(self.moved(old, *new)) == [
            ("test a.py::x", "test b.py::x"), ("test a.py::y", "test b.py::y"),
        ]  # fmt: skip
        assert len(self.moved(old, new[0])) == 1

    def test_ties_are_broken_by_name_whatever_the_order(self):
        old = [("test a.py::x", "a.py in f"), ("test a.py::y", "a.py in f")]
        new = [("test a.py::p", "a.py in f"), ("test a.py::q", "a.py in f")]
        expected = [("test a.py::x", "test a.py::p"), ("test a.py::y", "test a.py::q")]
        assert self.moved(old, *new) == self.moved(old[::-1], *new[::-1]) == expected


class TestFile:
    def test_doubled_lines_of_a_merge_keep_the_larger_count_and_the_first_comment(self):
        assert line("open | a | f | 2\nopen | a | f | 5  # JIRA").count == 5
        assert line("open | a | f | 5  # one\nopen | a | f | 2  # two") == Known(
            Key("a", "f", "open"), 5, "one"
        )
        assert line("open | a | f | 5\nopen | a | f | *").count is None
        assert line("open | a | f | *\nopen | a | f | 5").count is None

    @pytest.mark.parametrize("count", ["0", "-1", "01", "1.0", "9999999999", "x"])
    def test_a_count_is_a_positive_number(self, count):
        with pytest.raises(
            SettingError, match="is not a count; use the number of sockets, 1 or more, or \\* for any"
        ):
            line(f"open | a | f | {count}")
        assert line("open | a | f | 999999999").count == 999_999_999

    def test_a_quoted_line_is_cut_beyond_60_characters(self):
        for length, shown in ((60, "x" * 60), (61, "x" * 57 + "...")):
            with pytest.raises(SettingError) as caught:
                line("x" * length + " | a | f | 1")
            assert f"{shown!r} is not a kind of leak; use one of: open, unclosed" in str(caught.value)

    @pytest.mark.parametrize(
        ("owner", "written"),
        [
            ("a|b", "a\\x7cb"), ("a\\b", "a\\\\b"), (" a ", "\\x20a\\x20"), ("a\nb", "a\\x0ab"), ("\u2028", "\\u2028"),
            ("\U000e0001", "\\U000e0001"), ("größe", "größe"),
        ],
    )  # fmt: skip
    def test_special_characters_are_escaped_and_come_back(self, owner, written):
        entry = Known(Key(owner, "f", "open"))
        assert str(entry) == f"open | {written} | f | 1"
        assert line(str(entry)) == entry

    def test_an_escape_beyond_unicode_stays_as_it_is(self):
        assert line("open | \\U00110000 | f | 1").key.owner == "\\U00110000"
        assert line("open | \\U0010ffff | f | 1").key.owner == "\U0010ffff"

    def test_the_protocols_that_were_looked_for_are_read(self):
        assert parse_baseline(HEAD + "# looked for: tcp,  unix\n").kinds == ("tcp", "unix")
        assert parse_baseline(HEAD).kinds == ("tcp", "udp")
        assert "# looked for: tcp, unix\n" in format_baseline(Baseline(kinds=("tcp", "unix")))

    def test_the_version_is_known_before_the_lines_are_read(self):
        assert parse_baseline(HEAD).version == 2
        old = parse_baseline("# pytest-sockets baseline, version 1\nopen | a | f\n")
        assert (old.version, old.entries[0].count) == (1, None)
        with pytest.raises(
            SettingError, match=r"^line 2: 'open \| a \| f \| 3' is not an entry; each line is KIND"
        ):
            parse_baseline("# pytest-sockets baseline, version 1\nopen | a | f | 3\n")
        with pytest.raises(SettingError, match=r"^known, line 1: this baseline has version \?; .* 1 and 2$"):
            parse_baseline("# pytest-sockets baseline, version", "known")

    @pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> x", "||||||| y"])
    def test_a_conflict_marker_is_named(self, marker):
        with pytest.raises(SettingError, match="keep the lines of both sides and delete the markers"):
            line(marker)
