"""A stage alone: bytes and an ending go in, and what comes out, and when, is exact. The clock is the test's.

`test_stream_faults.py` has the same faults on real connections.
"""

from __future__ import annotations

import random

import pytest

from pytest_sockets import faults
from pytest_sockets.errors import SettingError
from pytest_sockets.servers.faults.base import (
    ActiveFault,
    Datagram,
    DatagramPlace,
    Ending,
    Place,
    Stage,
    check_faults,
)

END = Ending("close", "client")


class Line:
    """One direction of a connection: `out` is what the stage passed on, with the time."""

    def __init__(self, fault, *, acts=True, direction="out", datagrams=False):
        self.now, self.calls, self.out, self.reading = 0.0, [], [], True
        self.acts = acts
        rng = ActiveFault(fault).rng("0/out")
        if datagrams:
            self.stage = fault.datagram_stage(DatagramPlace(self, lambda: self.acts, rng))
        else:
            self.stage = fault.stage(Place(self, lambda: self.acts, rng, direction))
            self.stage.pass_end = self.passed
        self.stage.pass_on = self.passed

    def passed(self, item):
        self.out.append(item)

    def time(self):
        return self.now

    def later(self, seconds, call):
        assert seconds >= 0
        self.calls.append((self.now + seconds, call))

    def hold_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def start(self):
        self.stage.started()
        return self

    def send(self, *items):
        for item in items:
            self.stage.end(item) if isinstance(item, Ending) else self.stage.data(item)
        return self

    def until(self, moment):
        """Let the clock run; returns what came out meanwhile."""
        before = len(self.out)
        while due := sorted(
            (call for call in self.calls if call[0] <= moment + 1e-9), key=lambda call: call[0]
        ):
            self.calls.remove(due[0])
            self.now = max(self.now, due[0][0])
            due[0][1]()
        self.now = moment
        return self.out[before:]


class TestEndings:
    @pytest.mark.parametrize(
        ("fault", "ending"),
        [
            (faults.Reset, Ending("reset", "fault:Reset")),
            (faults.Close, Ending("close", "fault:Close")),
            (faults.HalfClose, Ending("half", "fault:HalfClose")),
        ],
    )
    def test_after_exactly_so_many_bytes_the_end_comes_once_and_nothing_more(self, fault, ending):
        assert Line(fault(after=3)).start().send(b"ab", b"cde", b"f").out == [b"ab", b"c", ending]
        assert Line(fault(after=3)).start().send(b"ab", b"c", b"f").out == [b"ab", b"c", ending]
        assert Line(fault(after=3)).start().send(b"ab").out == [b"ab"]
        assert Line(fault()).start().out == [ending]

    @pytest.mark.parametrize("fault", [faults.Reset, faults.Close, faults.HalfClose])
    def test_one_that_may_not_act_any_more_passes_everything(self, fault):
        line = Line(fault(after=3), acts=False).start().send(b"abcde", b"f", END)
        assert b"".join(line.out[:-1]) == b"abcdef"
        assert line.out[-1] == END
        assert Line(fault(), acts=False).start().send(b"a").out == [b"a"]

    def test_limit_data_lets_its_size_pass_and_cuts_at_the_next_byte(self):
        cut = Ending("cut", "fault:LimitData")
        assert Line(faults.LimitData(3)).send(b"ab", b"c", END).out == [b"ab", b"c", END]
        assert Line(faults.LimitData(3)).send(b"ab", b"cd", b"e").out == [b"ab", b"c", cut]
        assert Line(faults.LimitData(3)).send(b"abc", b"d", b"e").out == [b"abc", cut]
        assert Line(faults.LimitData(3), acts=False).send(b"abcde").out == [b"abcde"]

    @pytest.mark.parametrize("after", [0, 2])
    def test_hang_keeps_all_back_and_then_everything_comes_in_order(self, after):
        line = Line(faults.Hang(after=after, seconds=5)).start().send(b"abc", b"d", END)
        assert b"".join(line.out) == b"abcd"[:after]
        assert line.stage.held == 4 - after
        assert line.until(4.9) == []
        out = line.until(5)
        assert (b"".join(out[:-1]), out[-1], line.stage.held) == (b"abcd"[after:], END, 0)
        assert line.send(b"e").out[-1] == b"e"

    def test_hang_stops_reading_only_in_the_direction_of_the_client(self):
        for direction, reads in (("in", False), ("out", True)):
            line = Line(faults.Hang(), direction=direction).start()
            assert line.reading is reads
            line.stage.release()
            assert line.reading

    def test_a_hang_that_may_not_act_or_is_taken_away_first_passes_everything(self):
        assert Line(faults.Hang(after=2), acts=False).start().send(b"abc", b"d", END).out == [
            b"ab",
            b"c",
            b"d",
            END,
        ]
        line = Line(faults.Hang(after=2)).start()
        line.stage.release()
        assert line.send(b"abc", b"d").out == [b"abc", b"d"]

    def test_slow_close_holds_the_end_and_no_byte(self):
        line = Line(faults.SlowClose(2)).send(b"a", END)
        assert (line.out[:], line.until(1.9), line.until(2)) == ([b"a"], [], [END])
        reset = Ending("reset", "x")
        assert Line(faults.SlowClose(2)).send(reset).out == [reset]
        assert Line(faults.SlowClose(2), acts=False).send(END).out == [END]
        line = Line(faults.SlowClose(2)).send(END)
        line.stage.release()
        assert (line.out, line.until(9)) == ([END], [])
        assert faults.SlowClose(2).works_in("out")
        assert not faults.SlowClose(2, direction="in").works_in("in")


class TestTime:
    def test_latency_delays_each_piece_and_the_end_by_its_seconds(self):
        line = Line(faults.Latency(2)).send(b"a")
        assert line.until(1) == []
        line.send(b"b", END)
        assert line.stage.held == 2
        assert (line.until(1.9), line.until(2), line.stage.held) == ([], [b"a"], 1)
        assert (line.until(2.9), line.until(3), line.stage.held) == ([], [b"b", END], 0)

    def test_without_leave_to_act_or_when_taken_away_nothing_is_late(self):
        assert Line(faults.Latency(2), acts=False).send(b"a", END).out == [b"a", END]
        line = Line(faults.Latency(2)).send(b"a", END)
        line.stage.release()
        assert (line.out, line.stage.held, line.until(9)) == ([b"a", END], 0, [])

    def test_jitter_is_drawn_from_the_seed_and_a_stream_stays_in_order(self):
        numbers = random.Random("7/0/out")
        line = Line(faults.Latency(1, jitter=2, seed=7)).send(*(bytes([n]) for n in range(20)))
        first = 1 + 2 * numbers.random()
        assert line.until(first - 0.001) == []
        assert line.until(first)[0] == b"\0"
        assert b"".join([*line.out, *line.until(3)]) == bytes(range(20))
        assert faults.Latency(1, jitter=2).seed is not None
        assert faults.Latency(1).seed is None

    def test_datagrams_with_jitter_overtake_each_other_and_none_is_lost(self):
        line = Line(faults.Latency(1, jitter=2, seed=7), datagrams=True)
        sent = [Datagram(bytes([n]), None) for n in range(20)]
        for one in sent:
            line.stage.datagram(one)
        assert line.until(0.99) == []
        came = line.until(3)
        assert sorted(came) == sent
        assert came != sent
        line.acts = False
        line.stage.datagram(sent[0])
        assert line.out[-1] == sent[0]

    def test_bandwidth_passes_evenly_and_the_end_last(self):
        line = Line(faults.Bandwidth(1000)).send(b"x" * 100, END)
        assert line.out == []
        assert (len(b"".join(line.until(0.0049))), len(b"".join(line.until(0.0051)))) == (0, 5)
        assert len(b"".join(line.until(0.0499))) == 40
        assert line.stage.held == 55
        rest = line.until(0.1001)
        assert (len(b"".join(rest[:-1])), rest[-1], line.stage.held) == (55, END, 0)

    def test_an_idle_line_saves_nothing_up(self):
        line = Line(faults.Bandwidth(1000)).send(b"x" * 10)
        line.until(5)
        line.send(b"y" * 10)
        assert line.out[-1][:1] == b"x"
        assert b"".join(line.until(5.0101)) == b"y" * 10

    def test_less_than_a_byte_in_a_step_still_arrives(self):
        line = Line(faults.Bandwidth(0.5)).send(b"ab")
        assert (line.until(1.99), line.until(2.01), line.until(4.01)) == ([], [b"a"], [b"b"])

    def test_slice_passes_portions_with_a_pause_between(self):
        line = Line(faults.Slice(2, pause=1)).send(b"abcde", END)
        assert line.out == [b"ab"]
        assert line.stage.held == 3
        assert (line.until(0.99), line.until(1), line.until(2)) == ([], [b"cd"], [b"e", END])
        assert Line(faults.Slice(2, pause=0)).send(b"abcde").out == [b"ab", b"cd", b"e"]
        assert faults.Slice(1).pause == 0.001

    @pytest.mark.parametrize("fault", [faults.Slice(1, pause=9), faults.Bandwidth(0.1)])
    def test_paced_bytes_come_at_once_when_the_fault_is_taken_away(self, fault):
        line = Line(fault).send(b"abc", END)
        line.stage.release()
        assert (b"".join(line.out[:-1]), line.out[-1], line.stage.held) == (b"abc", END, 0)
        assert Line(fault, acts=False).send(b"abc", END).out == [b"abc", END]


class TestWhichAndHowOften:
    def test_times_bounds_how_often_it_acts(self):
        active = ActiveFault(faults.Reset(times=2))
        assert [active.take() for _ in range(4)] == [True, True, False, False]
        assert [ActiveFault(faults.Reset()).take() for _ in range(3)] == [True, True, True]

    def test_a_connection_asks_once_for_both_directions(self):
        active = ActiveFault(faults.Reset(times=1))
        first, second = active.claim(), active.claim()
        assert [first(), first(), second(), first()] == [True, True, False, True]

    def test_a_number_means_the_first_so_many_and_a_collection_exactly_those(self):
        assert [faults.Reset(connections=2).is_for(number) for number in range(4)] == [
            True,
            True,
            False,
            False,
        ]
        assert [faults.Reset(connections={0, 2}).is_for(number) for number in range(4)] == [
            True,
            False,
            True,
            False,
        ]
        assert all(faults.Reset().is_for(number) for number in range(4))

    def test_a_rate_is_drawn_from_the_seed_for_each_connection(self):
        fault = faults.Reset(rate=0.5, seed=3)
        expected = [random.Random(f"3/{number}/chosen").random() < 0.5 for number in range(40)]
        assert [fault.is_for(number) for number in range(40)] == expected
        assert set(expected) == {True, False}
        assert not any(faults.Reset(rate=0, seed=1).is_for(number) for number in range(9))
        assert faults.Reset(rate=0).seed is not None
        assert faults.Reset().seed is None

    def test_without_a_seed_the_numbers_are_those_of_seed_0(self):
        assert faults.Reset().random("x").random() == random.Random("0/x").random()
        assert faults.Reset(seed=5).random("x").random() == random.Random("5/x").random()

    def test_datagrams_are_drawn_one_by_one_and_only_the_chosen_ones_count(self):
        active = ActiveFault(faults.Drop(0.5, seed=3, times=5))
        draw = random.Random("3/x").random
        chance = active.chance("x")
        chosen = [draw() < 0.5 for _ in range(40)]
        seen = [chance() for _ in range(40)]
        fifth = [number for number, one in enumerate(chosen) if one][4]
        assert seen == [one and number <= fifth for number, one in enumerate(chosen)]
        sure = ActiveFault(faults.Drop(times=2)).chance("x")
        assert [sure() for _ in range(3)] == [True, True, False]

    @pytest.mark.parametrize(
        ("direction", "ways"), [("in", ["in"]), ("out", ["out"]), ("both", ["in", "out"])]
    )
    def test_a_direction_is_one_way_or_both(self, direction, ways):
        assert [way for way in ("in", "out") if faults.Close(direction=direction).works_in(way)] == ways


class TestSettings:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: faults.Reset(connections=[1.5]),
            lambda: faults.Reset(connections=[True]),
            lambda: faults.Reset(connections=["1"]),
            lambda: faults.Reset(connections=b"1"),
            lambda: faults.Reset(connections=1.5),
            lambda: faults.Reset(connections=True),
        ],
    )
    def test_connections_are_whole_numbers(self, make):
        with pytest.raises(
            SettingError, match=r"use a number from 1 \(the first so many\), or a collection of numbers"
        ):
            make()

    @pytest.mark.parametrize("rate", ["0.5", None, True, float("nan"), -0.01, 1.01])
    def test_a_rate_is_a_share(self, rate):
        with pytest.raises(SettingError, match=r"use a share from 0 to 1, such as 0\.3$"):
            faults.Reset(rate=rate)

    def test_the_smallest_values_are_taken(self):
        faults.Reset(times=1, connections=1, rate=0)
        faults.Reset(connections=[0], rate=1)
        faults.Slice(1, pause=0)
        faults.LimitData(0)
        faults.Hang(after=0, seconds=0.001)
        faults.Latency(0, jitter=0)

    def test_one_fault_or_any_iterable_of_them_is_taken(self):
        one = faults.Reset()
        assert (
            check_faults(one, "tcp")
            == check_faults([one], "tcp")
            == check_faults(iter([one]), "tcp")
            == (one,)
        )
        assert check_faults((), "tcp") == ()

    @pytest.mark.parametrize("wrong", ["Reset", b"Reset", 7, None, [None]])
    def test_anything_else_is_named(self, wrong):
        with pytest.raises(SettingError, match=r"is not a fault; they are in pytest_sockets\.faults$"):
            check_faults(wrong, "tcp")

    def test_connections_are_refused_on_udp_only(self):
        with pytest.raises(SettingError, match=r"UDP has no connections; use times="):
            check_faults(faults.Latency(1, connections=1), "udp")
        check_faults(faults.Latency(1, connections=1), "tcp")
        check_faults(faults.Latency(1), "udp")

    def test_a_stage_that_does_nothing_passes_both_on(self):
        out = []
        stage = Stage(Place(None, lambda: True, random.Random, "out"))
        with pytest.raises(AssertionError, match="before it was linked"):
            stage.data(b"a")
        stage.pass_on = stage.pass_end = out.append
        stage.started()
        stage.data(b"a")
        stage.end(END)
        stage.release()
        assert out == [b"a", END]
