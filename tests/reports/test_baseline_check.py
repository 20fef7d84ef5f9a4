"""The baseline ratchets: the listed number of leaks is known, and a leak is gone only if this run could have found it."""

import dataclasses

import pytest

from pytest_sockets.reports.baseline import Baseline, Known, parse_baseline
from pytest_sockets.reports.baseline_check import Found, Ran, Ratchet, compare, update
from pytest_sockets.reports.baseline_keys import Key, key_of

TEST = "tests/test_api.py::test_upload"


def whole(*tests, **more):
    """Return a run of the whole suite in which these tests passed."""
    tests = set(tests or [TEST])
    return Ran(passed=set(tests), seen=set(tests), whole=True, **more)


def found(*findings):
    return [Found(finding, number, finding.worker) for number, finding in enumerate(findings)]


def one(finding, count=1, **more):
    return Baseline((Known(key_of(finding), count, **more),))


@pytest.fixture
def client(finding_factory):
    """A leak of a function fixture that many tests use."""

    def make(test, **more):
        return finding_factory(
            owner="client", owner_kind="fixture", nodeid=test, owner_file="tests/conftest.py",
            place=("lib/net.py", 4, "open_udp"), **more,
        )  # fmt: skip

    return make


class TestCounts:
    def test_as_many_as_listed_are_known_and_one_more_is_new(self, client):
        leaks = [client(f"tests/test_a.py::test_{number}") for number in range(3)]
        assert compare(found(*leaks), one(leaks[0], 3), whole()).known == (True, True, True)
        assert sorted(compare(found(*leaks), one(leaks[0], 2), whole()).known) == [False, True, True]

    def test_fewer_is_reported(self, client):
        leak = client("tests/test_a.py::test_1")
        ran = whole(leak.nodeid, fixtures={key_of(leak).owner})
        [(entry, now)] = compare(found(leak), one(leak, 60), ran).fewer
        assert (entry.count, now) == (60, 1)
        assert compare(found(leak), one(leak, 1), ran).fewer == ()

    def test_an_update_ratchets_and_keeps_the_comment(self, client):
        leak = client("tests/test_a.py::test_1")
        before = one(leak, 60, comment="JIRA-12", above=("# search",))
        ran = whole(leak.nodeid, fixtures={key_of(leak).owner})
        assert update(found(leak), before, ran).entries == (Known(key_of(leak), 1, "JIRA-12", ("# search",)),)

    def test_an_update_by_a_part_never_lowers_a_count(self, client):
        leak = client("tests/test_a.py::test_1")
        assert update(found(leak), one(leak, 60), Ran(passed={leak.nodeid})).entries[0].count == 60

    def test_a_session_fixture_that_every_worker_sets_up_counts_once(self, client):
        leaks = [client(f"t.py::test_{n}", scope="session", worker=f"gw{n}") for n in range(4)]
        assert compare(found(*leaks), one(leaks[0], 1), whole()).known == (True,) * 4
        assert update(found(*leaks), Baseline(), whole()).entries[0].count == 1

    def test_two_sockets_of_one_worker_are_two(self, client):
        """The twin of the test before."""
        leaks = [client("t.py::test_1", scope="session", worker="gw0") for _ in range(2)]
        assert update(found(*leaks), Baseline(), whole()).entries[0].count == 2

    def test_a_module_fixture_counts_for_each_module(self, client):
        leaks = [client(f"t{n}.py::test_1", scope="module", worker=f"gw{n % 2}") for n in range(3)]
        assert update(found(*leaks), Baseline(), whole()).entries[0].count == 3

    def test_the_attempts_of_a_test_that_is_run_again_count_once(self, finding_factory):
        leak = finding_factory()
        assert update(found(leak, leak), Baseline(), whole()).entries[0].count == 1
        twice = [Found(leak, 7, None), Found(leak, 7, None)]
        assert update(twice, Baseline(), whole()).entries[0].count == 2

    def test_what_a_teardown_has_failed_for_stays_new(self, client):
        leaks = [client(f"tests/test_a.py::test_{number}") for number in range(3)]
        taken = [Found(leak, n, None, known=n != 0) for n, leak in enumerate(leaks)]
        assert compare(taken, one(leaks[0], 2), whole()).known == (False, True, True)

    def test_a_worker_counts_as_the_controller_does(self, client):
        leaks = [client(f"tests/test_a.py::test_{number}") for number in range(3)]
        ratchet = Ratchet(one(leaks[0], 2))
        assert [ratchet.add(leak, number, None) for number, leak in enumerate(leaks)] == [True, True, False]


class TestVersion1:
    OLD = "# pytest-sockets baseline, version 1\nopen | fixture db (session) | /x/site-packages/redis/pool.py in connect\n"

    @pytest.fixture
    def leak(self, finding_factory):
        return finding_factory(
            owner="db", owner_kind="fixture", scope="session", owner_file="tests/conftest.py", nodeid=TEST,
            place=("/x/site-packages/redis/pool.py", 3, "connect"),
        )  # fmt: skip

    def test_its_entries_cover_any_number(self, leak):
        assert compare(found(leak, leak), parse_baseline(self.OLD), whole()).known == (True, True)

    def test_an_update_writes_version_2(self, leak):
        entries = update(found(leak, leak), parse_baseline(self.OLD), whole()).entries
        assert [str(entry) for entry in entries] == [
            "open | fixture db (tests/conftest.py) | site-packages/redis/pool.py in connect | 2"
        ]

    def test_what_did_not_run_is_kept_with_any_number(self):
        [entry] = update([], parse_baseline(self.OLD), Ran()).entries
        assert str(entry).endswith(" | *")


class TestGone:
    def known(self, *owners, place="f in g", kind="open"):
        return Baseline(tuple(Known(Key(owner, place, kind)) for owner in owners))

    def gone(self, baseline, ran):
        gone = [entry.key.owner for entry in compare([], baseline, ran).gone]
        kept = [entry.key.owner for entry in update([], baseline, ran).entries]
        assert sorted(gone + kept) == sorted(entry.key.owner for entry in baseline.entries)
        return gone

    def test_a_part_of_the_suite_says_nothing_of_the_rest(self):
        ran = ["tests/test_a.py::TestX::test_1[a::b]", "tests/test_b.py::test_2"]
        fixed = [f"test {ran[0]}", "class tests/test_a.py::TestX", "module tests/test_b.py"]
        unknown = [
            "test tests/test_b.py::test_3",
            "class tests/test_a.py::TestY",
            "fixture db (tests/conftest.py)",
            "session",
        ]
        baseline = self.known(*fixed, *unknown)
        assert self.gone(baseline, Ran(passed=set(ran), seen=set(ran))) == fixed

    @pytest.mark.parametrize(
        "change",
        [
            {"failed_files": {"tests/test_a.py"}},
            {"cut_files": {"tests/test_a.py"}},
            {"cut_files": {"tests"}},
            {"whole": False},
            {"fixtures": set()},
            {"kinds": ("tcp",)},
            {"leaks": False},
        ],
        ids=str,
    )
    def test_a_fixture_is_gone_only_if_every_test_that_can_use_it_passed(self, change):
        owner = "fixture db (tests/conftest.py)"
        ran = whole("tests/test_a.py::test_1", fixtures={owner})
        assert self.gone(self.known(owner), ran) == [owner]
        assert self.gone(self.known(owner), dataclasses.replace(ran, **change)) == []

    def test_a_cut_elsewhere_does_not_matter_to_it(self):
        owner = "fixture db (tests/search/conftest.py)"
        ran = whole("tests/search/test_a.py::test_1", fixtures={owner}, cut_files={"tests/other/test_b.py"})
        assert self.gone(self.known(owner), ran) == [owner]

    def test_an_unclosed_one_is_gone_only_if_those_were_looked_for(self):
        baseline = self.known(f"test {TEST}", kind="unclosed")
        assert self.gone(baseline, whole()) == []
        assert self.gone(baseline, whole(unclosed=True)) == [f"test {TEST}"]

    def test_a_childs_one_is_gone_only_if_children_were_looked_at(self):
        baseline = self.known(f"test {TEST}", place="process redis-server")
        assert self.gone(baseline, whole(children=False)) == []
        assert self.gone(baseline, whole()) == [f"test {TEST}"]

    def test_a_test_that_failed_or_was_skipped_is_not_gone(self):
        assert self.gone(self.known(f"test {TEST}"), Ran(seen={TEST}, whole=True)) == []

    def test_a_removed_test_is_gone_after_a_whole_run_only(self):
        baseline = self.known("test tests/test_api.py::test_old")
        ran = whole(existing_files=frozenset(["tests/test_api.py"]))
        assert self.gone(baseline, ran) == ["test tests/test_api.py::test_old"]
        assert self.gone(baseline, dataclasses.replace(ran, whole=False)) == []
        assert self.gone(baseline, dataclasses.replace(ran, cut_files={"tests/test_api.py"})) == []

    def test_a_removed_file_is_gone_and_one_that_is_not_collected_is_not(self):
        baseline = self.known("test tests/test_old.py::test_x")
        assert self.gone(baseline, whole()) == ["test tests/test_old.py::test_x"]
        assert self.gone(baseline, whole(existing_files=frozenset(["tests/test_old.py"]))) == []


class TestMoved:
    def test_a_renamed_test_is_one_line_and_keeps_its_comment(self, finding_factory):
        old = one(finding_factory(), comment="JIRA-1")
        new = finding_factory(
            owner="tests/test_api.py::test_put", place=("tests/test_api.py", 41, "test_put")
        )
        ran = whole(new.nodeid, existing_files=frozenset(["tests/test_api.py"]))
        comparison = compare(found(new), old, ran)
        assert comparison.gone == ()
        assert comparison.known == (False,)
        assert comparison.changes[0].startswith(
            f"moved, update the baseline: {old.entries[0]} -> open | test tests/te"
        )
        assert update(found(new), old, ran).entries == (Known(key_of(new), 1, "JIRA-1"),)

    def test_a_moved_file_is_one_line(self, finding_factory):
        new = finding_factory(
            owner="tests/new/test_api.py::test_upload", place=("tests/new/test_api.py", 41, "test_upload")
        )
        comparison = compare(found(new), one(finding_factory()), whole(new.nodeid))
        assert len(comparison.moved) == 1

    def test_the_twin_another_leak_elsewhere_is_not_a_move(self, finding_factory):
        new = finding_factory(owner="tests/test_b.py::test_other", place=("tests/test_b.py", 1, "other"))
        comparison = compare(found(new), one(finding_factory()), whole(new.nodeid))
        assert comparison.moved == ()
        assert len(comparison.gone) == 1


def test_many_differences_are_bounded():
    baseline = Baseline(tuple(Known(Key(f"test {TEST}{n}", "f in g", "open")) for n in range(300)))
    changes = compare([], baseline, whole()).changes
    assert len(changes) == 12
    assert changes[10] == "... and 290 more differences from the baseline"


def test_an_update_keeps_the_kinds_that_other_runs_looked_for():
    before = Baseline((Known(Key("session", "f in g", "open")),), kinds=("tcp", "unix"))
    assert update([], before, Ran(kinds=("tcp", "udp"))).kinds == ("tcp", "udp", "unix")
