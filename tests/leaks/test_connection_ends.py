"""What the note of a finding says of the socket's other descriptors, owners and ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sockets.leaks import connection_ends
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.records import Record
from pytest_sockets.model import Endpoint, SocketEntry

CLIENT = Owner("fixture", "client", "session")


class TestNotes:
    def record(self, **more):
        owner = Owner("test", "t.py::test_x", "function")
        record = Record(Scope(owner, "call"), None)
        for name, value in more.items():
            setattr(record, name, value)
        return record

    def test_a_duplicate_says_of_which_descriptor(self):
        assert connection_ends._note(self.record(duplicate_of=(7, 1))) == (
            "a duplicate of descriptor 7 (os.dup or an inherited copy)"
        )

    def test_what_another_owner_keeps_names_both(self):
        assert connection_ends._note(self.record(owner=CLIENT)) == (
            "opened by test t.py::test_x, kept by fixture 'client' (scope session)"
        )
        assert connection_ends._note(self.record()) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"on_test_thread": False},
            {"call_site": None},
            {"call_site": SimpleNamespace(called_by_user=False)},
        ],
        ids=["another thread's", "no line", "a loop's"],
    )
    def test_an_end_that_the_users_code_did_not_open_is_not_mentioned(self, finding_entry, change):
        here = self.record(call_site=SimpleNamespace(called_by_user=True))
        other = self.record(call_site=SimpleNamespace(called_by_user=True), owner=here.owner)
        verdicts = [connection_ends.Verdict(here, finding_entry(1, 2), None)]
        for name, value in change.items():
            setattr(other, name, value)
        connection_ends._add_other_end(verdicts, other, finding_entry(2, 1))
        assert verdicts[0].note is None

    @pytest.fixture
    def finding_entry(self):
        def make(local, remote):
            return SocketEntry(
                "tcp",
                "AF_INET",
                Endpoint("127.0.0.1", local),
                Endpoint("127.0.0.1", remote),
                "ESTABLISHED",
                local,
            )

        return make

    def test_it_is_added_to_the_verdict_of_the_same_connection_and_owner(self, finding_entry):
        user = SimpleNamespace(called_by_user=True)
        mine = self.record(call_site=user)
        elsewhere, foreign = (
            self.record(call_site=user, owner=mine.owner),
            self.record(call_site=user, owner=CLIENT),
        )
        verdicts = [
            connection_ends.Verdict(elsewhere, finding_entry(3, 4)),
            connection_ends.Verdict(foreign, finding_entry(1, 2)),
            connection_ends.Verdict(mine, finding_entry(1, 2), "kept"),
        ]
        other = self.record(call_site=user, owner=mine.owner)
        connection_ends._add_other_end(verdicts, other, finding_entry(2, 1))
        assert [verdict.note for verdict in verdicts] == [
            None,
            None,
            "kept; its other end (fd 2) is open, too",
        ]

    def test_ends_of_one_pair_belong_together_by_their_key(self):
        def unnamed_end(fd):
            return SocketEntry("unix", "AF_UNIX", Endpoint(""), None, "ESTABLISHED", fd)

        user = SimpleNamespace(called_by_user=True)
        one = self.record(call_site=user, pair=((3, 33), 0))
        two = self.record(call_site=user, pair=((5, 55), 0), owner=one.owner)
        other = self.record(call_site=user, pair=((5, 55), 1), owner=one.owner)
        verdicts = [
            connection_ends.Verdict(one, unnamed_end(3)),
            connection_ends.Verdict(two, unnamed_end(5)),
        ]
        connection_ends._add_other_end(verdicts, other, unnamed_end(6))
        assert [verdict.note for verdict in verdicts] == [None, "its other end (fd 6) is open, too"]
