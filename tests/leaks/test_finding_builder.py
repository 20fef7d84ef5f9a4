"""From a record to a finding: whose it is, every note, and what it looks like after a journey as JSON."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from types import SimpleNamespace

import pytest

from pytest_sockets.leaks import finding_builder
from pytest_sockets.leaks.child_listeners import ChildListener
from pytest_sockets.leaks.children import Child
from pytest_sockets.leaks.connection_ends import Verdict
from pytest_sockets.leaks.finding_builder import MOST_EXPLAINED, FindingBuilder
from pytest_sockets.leaks.findings import LEFT_BEHIND, LOOP_NOT_CLOSED, SETUP_RAISED, Finding, Frame
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.model import Endpoint, SocketEntry

ENTRY = SocketEntry("tcp", "AF_INET", Endpoint("127.0.0.1", 80), None, "LISTEN", 7, 8, 9, 10)


@pytest.fixture
def explainer(ledger):
    return FindingBuilder(ledger, "gw1")


@pytest.fixture
def kept():
    """Closes what a test leaves in it."""
    kept = []
    yield kept
    for sock in kept:
        sock.close()


@pytest.fixture
def record(ledger, test_owner, kept):
    """Of a socket that the test opened."""
    kept.append(socket.socket())
    ledger.checkpoint()
    return next(one for one in ledger.open_records() if one.key[0] == kept[0].fileno())


def verdict(record, note=None):
    return Verdict(record, ENTRY, note)


class TestOpen:
    def test_every_field_comes_from_the_record(self, explainer, record, test_owner):
        finding = explainer.open(verdict(record, "n"))
        assert (finding.kind, finding.nodeid, finding.phase, finding.worker) == ("open", "", "call", "gw1")
        assert (finding.owner_kind, finding.owner_name, finding.owner_scope) == (
            "test",
            test_owner.name,
            "function",
        )
        assert (finding.socket, finding.process, finding.note) == (ENTRY, None, "n")
        assert finding.opened_at.function == "record"
        assert finding.opened_at in finding.stack
        assert finding.held_by

    def test_an_unclosed_one_has_no_note_and_no_holder(self, explainer, record):
        finding = explainer.unclosed(record, ENTRY)
        assert (finding.kind, finding.note, finding.held_by) == ("unclosed", None, ())
        assert finding.opened_at.function == "record"

    def test_who_opened_it_is_blamed_when_the_session_only_waited_for_its_end(
        self, explainer, record, ledger
    ):
        fixture = Owner("fixture", "pool", "module")
        ledger.reassign(record, ledger.session)
        assert explainer.named_owner(record) is record.opener
        ledger.reassign(record, fixture)
        assert explainer.named_owner(record) is fixture
        assert explainer.open(verdict(record)).owner_name == "pool"

    def test_notes_are_joined_in_their_order(self, explainer, record, test_owner):
        test_owner.raised = True
        record.concurrent_owner = Owner("test", "t.py::test_other", "function")
        assert explainer.open(verdict(record, "first")).note == (
            f"first; {SETUP_RAISED}; opened while test t.py::test_other ran"
        )
        record.concurrent_owner = Owner("fixture", "x", "function")
        test_owner.raised = False
        assert explainer.open(verdict(record)).note is None

    def test_a_parametrized_fixture_names_its_parameter_first(self, explainer, record):
        record.owner = Owner("fixture", "db", "module")
        record.owner.parameter = "'tcp'"
        assert explainer.open(verdict(record, "n")).note == "with parameter 'tcp'; n"
        assert explainer.open(verdict(record)).note == "with parameter 'tcp'"

    def test_the_start_of_a_librarys_thread_is_named_only_without_a_line_of_the_user(
        self, explainer, record, ledger
    ):
        place = Frame("t.py", 3, "starts")
        thread = SimpleNamespace(in_users_code=True, opened_at=lambda places: place)
        record.thread = thread
        assert explainer._in_thread(record) is None
        record.call_site = None
        assert explainer._in_thread(record) == "opened in a thread that was started at t.py:3 in starts"
        thread.in_users_code = False
        assert explainer._in_thread(record) is None

    def test_a_loop_that_the_users_line_made_says_to_close_it(self, explainer, ledger, test_owner):
        import asyncio

        loop = asyncio.new_event_loop()
        ledger.checkpoint()
        pipe = next(one for one in ledger.open_records() if one.pair is not None)
        found = explainer.open(verdict(pipe))
        loop.close()
        assert found.note == LOOP_NOT_CLOSED

    def test_the_twin_a_pair_of_the_users_own_does_not(self, explainer, ledger, test_owner, kept):
        kept += socket.socketpair()
        ledger.checkpoint()
        pairs = [one for one in ledger.open_records() if one.pair is not None]
        assert [explainer.open(verdict(one)).note for one in pairs] == [None, None]


class TestHolders:
    def test_each_line_is_searched_once_and_25_lines_at_most(self, explainer, record, monkeypatch):
        asked = []
        monkeypatch.setattr(finding_builder, "holders", lambda sock, *_: asked.append(sock) or ("held",))
        assert explainer._holders(record) == explainer._holders(record) == ("held",)
        assert len(asked) == 1
        for number in range(MOST_EXPLAINED - 1):
            record.call_site = number
            assert explainer._holders(record) == ("held",)
        record.call_site = "one more"
        assert explainer._holders(record) == ()
        assert len(asked) == MOST_EXPLAINED == 25
        record.call_site = 3
        assert explainer._holders(record) == ("held",)

    def test_real_holders_are_searched_for_so_many_lines_and_remembered_for_each(
        self, explainer, ledger, test_owner, kept, monkeypatch
    ):
        monkeypatch.setattr(finding_builder, "MOST_EXPLAINED", 2)
        for _ in range(2):
            kept.append(socket.socket())
        kept.append(socket.socket())
        kept.append(socket.socket())
        ledger.checkpoint()
        records = sorted(ledger.open_records(), key=lambda one: one.number)
        found = [bool(explainer.open(Verdict(one, one.entry)).held_by) for one in records]
        assert found == [True, True, True, False]

    def test_without_an_object_nothing_holds_it(self, explainer, record):
        record.ref = lambda: None
        assert explainer._holders(record) == ()


class TestChild:
    @pytest.fixture
    def child(self, test_owner):
        opener = Owner("test", "t.py::opener", "function")
        return SimpleNamespace(pid=42, opener=opener, scope=Scope(test_owner, "setup"), call_site=None)

    def test_it_is_its_owners_with_the_command_line_masked(self, explainer, child, test_owner):
        finding = explainer.child(ChildListener(child, ENTRY, "redis --password=secret"))
        assert (finding.kind, finding.process, finding.phase) == ("open", "redis --password=***", "setup")
        assert (finding.owner_name, finding.note, finding.opened_at, finding.stack) == (
            test_owner.name,
            None,
            None,
            (),
        )
        assert explainer.child(ChildListener(child, ENTRY, None)).process == "pid 42"

    def test_who_started_it_is_blamed_when_the_session_has_it(self, explainer, child, ledger):
        child.scope = Scope(ledger.session, "call")
        assert explainer.owner_of_child(child) is child.opener
        assert explainer.child(ChildListener(child, ENTRY, "x")).owner_name == "t.py::opener"

    def test_notes_say_what_was_left_behind_and_the_first_five_that_share_it(self, explainer, child):
        listener = ChildListener(child, ENTRY, "x", left_behind=True, sharers=(1, 2, 3, 4, 5, 6))
        assert (
            explainer.child(listener).note
            == f"{LEFT_BEHIND}; open also in pid 1, 2, 3, 4, 5 and 1 more, by fork"
        )
        assert (
            explainer.child(listener._replace(left_behind=False, sharers=(1,))).note
            == "open also in pid 1, by fork"
        )
        assert explainer.child(listener._replace(sharers=())).note == LEFT_BEHIND

    def test_the_first_five_sharers_of_a_listener_are_named_and_the_others_counted(self, explainer):
        child = Child(10, Scope(Owner("test", "test_a.py::test_one", "function"), "call"), None)

        def note(sharers):
            return explainer.child(ChildListener(child, ENTRY, "server", sharers=tuple(sharers))).note

        assert note(range(11, 16)) == "open also in pid 11, 12, 13, 14, 15, by fork"
        assert note(range(11, 18)) == "open also in pid 11, 12, 13, 14, 15 and 2 more, by fork"
        assert note(()) is None


class TestFinding:
    FULL = Finding(
        "open", "t.py::test_x", "fixture", "pool", "session", "setup", ENTRY, "nginx", Frame("a.py", 1, "f"),
        (Frame("a.py", 1, "f"), Frame("b.py", 2, "g")), ("h1", "h2"), "note", "gw1", "conftest.py", 3, "'tcp'", 1.5, 2.5,
        True, {"ci": "x"},
    )  # fmt: skip
    BARE = dataclasses.replace(FULL, process=None, opened_at=None, stack=(), held_by=())

    @pytest.mark.parametrize(
        "finding",
        [FULL, BARE, dataclasses.replace(FULL, socket=dataclasses.replace(ENTRY, remote=Endpoint("::1", 5)))],
    )
    def test_it_comes_back_from_json_as_it_was(self, finding):
        back = Finding.from_json(json.loads(json.dumps(finding.as_json())))
        assert back == finding
        assert dataclasses.asdict(back) == dataclasses.asdict(finding)
        assert type(back.stack) is type(back.held_by) is tuple

    @pytest.mark.parametrize(
        "change", [{"socket": {}}, {"more": 1}, {"stack": [1]}, {"opened_at": {"file": "a"}}]
    )
    def test_another_shape_is_refused(self, change):
        with pytest.raises((KeyError, TypeError)):
            Finding.from_json(self.FULL.as_json() | change)

    def test_its_words(self):
        assert str(Frame("a.py", 1, "f")) == "a.py:1 in f"
        assert self.FULL.owner == "fixture 'pool' (scope session)"
        assert self.FULL.place == "a.py:1"
        assert self.BARE.place == "no line of Python code"
        assert dataclasses.replace(self.BARE, process="nginx").place == "nginx"


def test_a_finding_of_another_thread_is_complete(explainer, ledger, test_owner, kept):
    thread = threading.Thread(target=lambda: kept.append(socket.socket()))
    thread.start()
    thread.join()
    ledger.checkpoint()
    record = next(one for one in ledger.open_records() if one.key[0] == kept[0].fileno())
    finding = explainer.open(verdict(record))
    assert finding.owner_name == test_owner.name
    assert finding.opened_at.function == "<lambda>"
