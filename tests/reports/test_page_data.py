"""What the HTML page draws: each bar of the timeline, each fact of a leak, each figure, and what is left out."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from pytest_sockets.leaks.findings import UNCLOSED, Frame
from pytest_sockets.model import STATUSES
from pytest_sockets.reports import html_report, page_data
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.page_data import as_script, when
from pytest_sockets.reports.run import Mode, Run
from pytest_sockets.reports.spans import SocketLife, TestSpan

START = 1_790_000_000.0
TEST = "tests/test_api.py::test_upload"
PLACE = Frame("tests/test_api.py", 41, "test_upload")


def span(nodeid=TEST, start=0.0, stop=1.0, outcome="passed", worker=None):
    return TestSpan(nodeid, START + start, START + stop, outcome, worker)


def life(opened=0.0, closed=None, **more):
    more = {"owner": f"test {TEST}", "opened_at": PLACE} | more
    closed = None if closed is None else START + closed
    return SocketLife("tcp 127.0.0.1:1", "tcp", "LISTEN", START + opened, closed, **more)


class Page:
    """The data of a run, with its tables resolved."""

    def __init__(self, run):
        self.data = json.loads(json.dumps(page_data.page_data(run)))

    def text(self, number):
        return None if number == -1 else self.data["texts"][number]

    def frame(self, number):
        if number == -1:
            return None
        file, line, function = self.data["frames"][number]
        return self.text(file), line, self.text(function)

    def nodeid(self, number):
        file, rest = self.data["ids"][number]
        return self.text(file) if rest is None else f"{self.text(file)}::{rest}"

    def owner(self, number):
        owner = self.data["owners"][number]
        return owner if isinstance(owner, str) else f"test {self.nodeid(owner)}"

    @property
    def tests(self):
        return [(self.nodeid(row[0]), *row[1:4], self.data["lanes"][row[4]]) for row in self.data["tests"]]

    @property
    def lives(self):
        return [
            (
                row[0], self.text(row[1]), self.text(row[2]), row[3], row[4], self.owner(row[5]), self.frame(row[6]),
                row[7], self.data["lanes"][row[8]], row[9],
            )
            for row in self.data["lives"]
        ]  # fmt: skip


class TestTimeline:
    def test_a_test_is_a_bar_from_its_start_in_tenths_of_a_millisecond(self):
        page = Page(Run("1", tests=[span(start=0), span("a.py::test_b", 1.5, 1.5012, "failed", "gw1")]))
        assert page.tests == [(TEST, 0, 10_000, 0, ""), ("a.py::test_b", 15_000, 12, 1, "gw1")]
        assert page.data["stop"] == 15_012

    @pytest.mark.parametrize(
        ("outcome", "number"),
        [
            ("passed", 0), ("failed", 1), ("skipped", 2), ("error", 3), ("xfailed", 4), ("xpassed", 5), ("rerun", 6),
            ("unheard of", 0),
        ],
    )  # fmt: skip
    def test_an_outcome_is_its_number(self, outcome, number):
        assert Page(Run("1", tests=[span(outcome=outcome)])).tests[0][3] == number

    def test_a_clock_that_goes_back_gives_no_negative_bar(self):
        assert Page(Run("1", tests=[span(stop=-1.0)])).tests[0][1:3] == (0, 0)

    def test_bars_are_sorted_by_their_start(self):
        page = Page(Run("1", tests=[span("b", 2, 3), span("a", 1, 2)], lives=[life(5), life(1.5)]))
        assert [row[0] for row in page.tests] == ["a", "b"]
        assert [row[3] for row in page.lives] == [5_000, 40_000]

    def test_workers_are_lanes_in_the_order_of_their_numbers(self):
        names = ["gw10", "gw2", None, "gw1"]
        run = Run("1", tests=[span(worker=name) for name in names], lives=[life(worker="gw3")])
        assert Page(run).data["lanes"] == ["", "gw1", "gw2", "gw3", "gw10"]
        assert [row[4] for row in Page(run).tests] == ["gw10", "gw2", "", "gw1"]

    def test_a_life_has_its_ends_its_owner_and_its_line(self):
        run = Run("1", tests=[span()], lives=[life(0.5, 0.75, worker="gw1")])
        assert Page(run).lives == [
            ("tcp 127.0.0.1:1", "tcp", "LISTEN", 5_000, 7_500, f"test {TEST}",
             ("tests/test_api.py", 41, "test_upload"), 0, "gw1", -1),
        ]  # fmt: skip

    def test_a_leak_stays_open_and_says_from_when_on_it_was_one(self):
        leaks = [
            life(leak="open", judged=START + 1.0), life(leak="unclosed"), life(leak="another"), life(leak=None),
        ]  # fmt: skip
        page = Page(Run("1", tests=[span()], lives=leaks))
        assert [(row[4], row[7], row[9]) for row in page.lives] == [
            (-1, 2, 10_000), (-1, 1, -1), (-1, 2, -1), (-1, 0, -1),
        ]  # fmt: skip

    def test_an_owner_that_is_a_known_test_is_its_id_and_another_one_is_text(self):
        owners = [f"test {TEST}", "test gone.py::test_x", "fixture 'pool' (scope session)"]
        page = Page(Run("1", tests=[span()], lives=[life(owner=owner) for owner in owners]))
        assert page.data["owners"] == [0, *owners[1:]]

    def test_the_picture_ends_with_the_last_test_or_socket(self):
        assert Page(Run("1", tests=[span()], lives=[life(0.5, 3.0)])).data["stop"] == 30_000
        assert Page(Run("1", tests=[span()], lives=[life(2.0)])).data["stop"] == 20_000
        assert Page(Run("1")).data["stop"] == 0

    def test_a_line_that_is_not_known_is_none(self):
        assert Page(Run("1", lives=[life(opened_at=None)])).lives[0][6] is None


class TestLeaks:
    def test_each_fact_is_in_its_row(self, finding_factory):
        finding = finding_factory(
            remote=("127.0.0.1", 80), status="CLOSE_WAIT", worker="gw1", note="n", held_by=("KEPT", "module a"),
            process="nginx", annotations={"ci": "x"}, known=True, kind=UNCLOSED, stack=(PLACE, Frame("b.py", 2, "g")),
        )  # fmt: skip
        page = Page(Run("1", findings=[finding], tests=[span(worker="gw0"), span(worker="gw1")]))
        (row,) = page.data["leaks"]
        assert (row[0], page.nodeid(row[1]), page.owner(row[2]), page.text(row[3])) == (
            1, TEST, f"test {TEST}", "call",
        )  # fmt: skip
        assert page.frame(row[4]) == ("tests/test_api.py", 41, "test_upload")
        stack = page.data["stacks"][row[5]]
        assert [page.frame(frame) for frame in stack] == [page.frame(row[4]), ("b.py", 2, "g")]
        assert row[6] == "tcp 127.0.0.1:40001 -> 127.0.0.1:80"
        assert (page.text(row[7]), row[8], page.text(row[9])) == ("CLOSE_WAIT", [9, 12345, 4242], "nginx")
        assert [page.text(number) for number in row[10]] == ["KEPT", "module a"]
        assert (page.text(row[11]), page.data["lanes"][row[12]]) == ("n", "gw1")
        assert [page.text(row[number]) for number in (13, 14)] == ["tcp", "test"]
        assert (row[15], page.text(row[16])) == (1, advice(finding))
        assert [page.text(number) for number in row[17]] == ["ci: x"]

    def test_what_is_not_known_is_minus_one(self, finding_factory):
        (row,) = Page(Run("1", findings=[finding_factory(place=None)])).data["leaks"]
        assert (row[0], row[4], row[9], row[11], row[15]) == (2, -1, -1, -1, 0)
        assert row[6] == "tcp 127.0.0.1:40001"

    def test_new_leaks_come_before_known_ones(self, finding_factory):
        found = [finding_factory(known=True, note="old"), finding_factory(note="new")]
        page = Page(Run("1", findings=found))
        assert [page.text(row[11]) for row in page.data["leaks"]] == ["new", "old"]

    def test_a_deep_stack_has_30_frames_and_many_holders_are_20(self, finding_factory):
        stack = tuple(Frame("a.py", number, "f") for number in range(31))
        finding = finding_factory(stack=stack, held_by=tuple(f"h{n}" for n in range(21)))
        page = Page(Run("1", findings=[finding]))
        assert (len(page.data["stacks"][0]), len(page.data["leaks"][0][10])) == (30, 20)

    def test_a_text_of_600_characters_is_whole(self, finding_factory):
        page = Page(Run("1", findings=[finding_factory(note="x" * 600), finding_factory(note="y" * 601)]))
        assert "x" * 600 in page.data["texts"]
        assert "y" * 597 + "..." in page.data["texts"]

    def test_every_status_has_its_words(self):
        assert set(page_data.page_data(Run("1"))["words"]) == set(STATUSES)

    def test_every_text_is_written_once(self, finding_factory):
        page = Page(Run("1", findings=[finding_factory()] * 3, tests=[span()] * 3))
        for table in ("texts", "owners", "ids", "frames", "stacks"):
            rows = list(map(json.dumps, page.data[table]))
            assert len(set(rows)) == len(rows), table


class TestBounds:
    def test_what_goes_over_a_bound_is_counted_and_leaks_are_kept_first(self, finding_factory, monkeypatch):
        monkeypatch.setattr(page_data, "MAX_TESTS", 2)
        monkeypatch.setattr(page_data, "MAX_LIVES", 1)
        monkeypatch.setattr(page_data, "MAX_FINDINGS", 2)
        run = Run(
            "1", tests=[span(str(n), n, n + 1) for n in range(3)], findings=[finding_factory()] * 4,
            lives=[life(0, 0.1), life(0.2, 0.3), life(5, leak="open")],
        )  # fmt: skip
        page = Page(run)
        assert page.data["omitted"] == [1, 2, 2]
        assert [row[0] for row in page.tests] == ["0", "1"]
        assert [row[7] for row in page.lives] == [2]
        assert Page(dataclasses.replace(run, tests=[], lives=[], findings=[])).data["omitted"] == [0, 0, 0]

    def test_they_are_generous(self):
        assert (page_data.MAX_TESTS, page_data.MAX_LIVES, page_data.MAX_FINDINGS) == (50_000, 20_000, 5_000)

    def test_what_is_left_out_is_said(self):
        assert html_report._notes(Run("1", notes=["first"], troubles=["disk full"]), [1, 2, 1]) == [
            "first",
            "pytest-sockets could not do everything: disk full",
            "1 more test is counted above, but not shown here.",
            "2 more sockets are counted above, but not shown here.",
            "1 more leak is counted above, but not shown here.",
        ]
        assert html_report._notes(Run("1"), [0, 0, 0]) == []


class TestHead:
    def test_figures_are_named_by_their_number_and_zeros_are_left_out(self, finding_factory):
        run = Run(
            "1", tests_seen=1, opened_total=1200, ports_given=1, servers_started=2, ignored={"a=b": 1, "c=d": 1},
            findings=[finding_factory(), finding_factory(kind=UNCLOSED), finding_factory(known=True)],
        )  # fmt: skip
        assert html_report._figures(run) == [
            {"name": "test", "value": "1", "tone": ""},
            {"name": "sockets opened", "value": "1,200", "tone": ""},
            {"name": "left open", "value": "1", "tone": "open"},
            {"name": "closed by the interpreter", "value": "1", "tone": "unclosed"},
            {"name": "known, in the baseline", "value": "1", "tone": ""},
            {"name": "ignored by rules", "value": "2", "tone": ""},
            {"name": "port given", "value": "1", "tone": ""},
            {"name": "servers started", "value": "2", "tone": ""},
        ]
        assert html_report._figures(Run("1")) == [
            {"name": "tests", "value": "0", "tone": "none"},
            {"name": "sockets opened", "value": "0", "tone": "none"},
            {"name": "left open", "value": "0", "tone": "none"},
        ]
        assert [one["name"] for one in html_report._figures(Run("1", Mode("off"), opened_total=0))] == [
            "tests"
        ]

    @pytest.mark.parametrize(
        ("run", "words"),
        [
            (Run("1", Mode("off"), tests_seen=1), "Leaks were not looked for in this run: --sockets-leaks=warn"),
            (Run("1"), "No test ran."),
            (Run("1", tests_seen=1), "No test opened a socket."),
            (Run("1", tests_seen=1, opened_total=1),
             "No leaked socket was found among those that were looked for"),
        ],
    )  # fmt: skip
    def test_an_empty_page_says_why(self, run, words):
        assert html_report._empty(run).startswith(words)

    def test_the_start_is_local_time_and_the_length_that_of_the_timeline(self):
        started, seconds = when(Run("1", tests=[span(stop=2.5)]))
        assert datetime.datetime.strptime(started, "%Y-%m-%d %H:%M:%S %z").timestamp() == START
        assert seconds == 2.5
        assert when(Run("1", lives=[life(0, 4)]))[1] == 4.0
        assert when(Run("1")) == ("", 0.0)

    def test_ports_left_listening_are_listed_by_process(self):
        listening = [("b:2", "nginx"), ("a:1", "nginx"), ("c:3", "echo")]
        assert html_report._by_process(listening) == [("echo", ["c:3"]), ("nginx", ["a:1", "b:2"])]

    def test_the_leaks_of_a_page_without_scripts_are_a_hundred(self, finding_factory):
        pytest.importorskip("jinja2")
        found = [finding_factory(place=(f"only_here_{n:03}.py", 1, "f")) for n in range(101)]
        page = html_report.render_html(Run("1", findings=found, tests_seen=1))
        plain = page[page.index("<noscript>") :]
        shown = plain[: plain.index("</noscript>")]
        assert "only_here_099.py" in shown
        assert "only_here_100.py" not in shown


def test_the_script_cannot_end_its_element():
    data = {"<a>": "</script><!-- & \u2028"}
    text = as_script(data)
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == data
    assert "\\u003c/script\\u003e\\u003c!-- \\u0026" in text


def test_the_script_is_every_part_in_order_in_one_strict_function():
    script = html_report._script()
    assert script.startswith('"use strict";\n(() => {\n')
    assert script.endswith("})();\n")
    names = [f"{n}_{name}.js" for n, name in enumerate(
        ("data", "layout", "chart", "facts", "pointer", "list", "start"), 1
    )]  # fmt: skip
    parts = [html_report._page_file(name) for name in names]
    assert script == '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
