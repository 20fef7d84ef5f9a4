"""Which ports are given out: arithmetic on spans, without a socket."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.ports.ranges import (
    ENOUGH,
    NODE_PORTS,
    PORTSERVER_PORTS,
    USUAL,
    Kernel,
    PortRanges,
    Span,
    chosen_ranges,
    contains,
    default_ranges,
    parse_spans,
    read_kernel,
    without,
)
from pytest_sockets.table import port_settings

LINUX = Kernel(Span(32768, 60999))
WIDE = Kernel(Span(1024, 65535))

span = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Span(min(pair), max(pair)))
apart = st.lists(span, max_size=4).map(lambda spans: without([Span(0, 60)], spans))


@given(apart, st.lists(span, max_size=4))
def test_without_is_set_difference(spans, removed):
    def numbers(of):
        return {number for low, high in of for number in range(low, high + 1)}

    left = without(spans, removed)
    assert numbers(left) == numbers(spans) - numbers(removed)
    assert left == sorted(left)
    assert all(contains(left, number) == (number in numbers(left)) for number in range(62))


def test_the_usual_linux_leaves_14296_ports_of_which_none_needs_to_be_held():
    ranges = default_ranges(LINUX)
    assert str(ranges) == "10240-14999, 25000-29999, 61000-65535"
    assert ranges.count == len(ranges.ports()) == 14_296
    assert not ranges.needs_placeholders
    assert not any(map(ranges.is_ephemeral, ranges.ports()))


def test_ports_that_the_administrator_reserved_are_not_used():
    ranges = default_ranges(Kernel(Span(32768, 60999), parse_spans("25000-29999,61000")))
    assert str(ranges) == "10240-14999, 61001-65535"


def test_a_wide_ephemeral_range_makes_ports_held():
    ranges = default_ranges(WIDE)
    assert ranges.needs_placeholders
    assert all(map(ranges.is_ephemeral, ranges.ports()))
    assert "30000-32767" not in str(ranges)


def test_ports_just_outside_are_enough_or_not():
    assert not default_ranges(Kernel(Span(1024, 64535))).needs_placeholders
    assert default_ranges(Kernel(Span(1024, 64536))).needs_placeholders


def test_a_chosen_range_is_used_whole_and_held_where_the_kernel_could_choose_it():
    ranges = chosen_ranges(32000, 33000, LINUX)
    assert str(ranges) == "32000-33000"
    assert ranges.needs_placeholders
    assert not ranges.is_ephemeral(32767)
    assert ranges.is_ephemeral(32768)


def test_a_range_that_the_administrator_reserved_for_tests_need_not_be_held():
    kernel = Kernel(Span(32768, 60999), parse_spans("40000-40999"))
    assert not chosen_ranges(40000, 40999, kernel).needs_placeholders
    assert chosen_ranges(40000, 41000, kernel).needs_placeholders


@pytest.mark.parametrize(("low", "high"), [(1, 1023), (1023, 1023), (80, 20000)])
def test_a_privileged_range_is_an_error_that_names_the_limit(low, high):
    with pytest.raises(SettingError, match=f"^{low}-{high} reaches into the privileged ports below 1024"):
        chosen_ranges(low, high, LINUX)


def test_ports_that_the_system_made_unprivileged_are_no_error():
    assert chosen_ranges(80, 200, Kernel(Span(32768, 60999), unprivileged_start=80)).count == 121


def test_a_range_with_fewer_ports_than_workers_is_an_error_that_names_both():
    with pytest.raises(SettingError, match=r"^20000-20002 is too small: 3 ports for 4 pytest-xdist workers"):
        chosen_ranges(20000, 20002, LINUX, workers=4)
    assert chosen_ranges(20000, 20003, LINUX, workers=4).count == 4


def test_this_kernel_tells_its_ranges():
    kernel = read_kernel()
    assert 0 < kernel.ephemeral.low < kernel.ephemeral.high <= 65535
    assert default_ranges(kernel).count > 0


def test_the_kernels_notation_of_reserved_ports():
    assert parse_spans("") == ()
    assert parse_spans("9148-9150,8080") == (Span(8080, 8080), Span(9148, 9150))
    assert str(PortRanges(())) == "none"


class TestEdges:
    def test_the_ports_that_are_left_out_by_default(self):
        assert (PORTSERVER_PORTS, NODE_PORTS, USUAL, ENOUGH) == (
            (15000, 24999),
            (30000, 32767),
            (10240, 65535),
            1000,
        )
        outside = without([USUAL], default_ranges(LINUX).spans)
        assert outside == [Span(15000, 24999), Span(30000, 60999)]

    def test_contains_is_exact_at_both_ends_of_each_span(self):
        spans = [Span(10, 12), Span(20, 20)]
        assert [number for number in range(30) if contains(spans, number)] == [10, 11, 12, 20]
        assert not contains([], 1)
        assert contains([Span(65535, 65535)], 65535)

    def test_without_cuts_at_the_exact_port(self):
        for hole, left in (
            ((5, 9), [(10, 20)]), ((5, 10), [(11, 20)]), ((20, 25), [(10, 19)]), ((21, 25), [(10, 20)]),
            ((12, 13), [(10, 11), (14, 20)]), ((10, 20), []), ((0, 99), []),
        ):  # fmt: skip
            assert without([Span(10, 20)], [Span(*hole)]) == left

    def test_a_span_of_one_port_is_written_as_a_number(self):
        assert str(PortRanges((Span(1, 1), Span(3, 4)))) == "1, 3-4"
        assert PortRanges((Span(1, 1), Span(3, 4))).ports() == [1, 3, 4]
        assert PortRanges((Span(1, 1), Span(3, 4))).count == 3

    def test_ports_below_the_first_unprivileged_one_are_not_used(self):
        assert str(default_ranges(Kernel(Span(32768, 60999), unprivileged_start=11000))).startswith(
            "11000-14999, "
        )

    def test_what_the_administrator_reserved_the_kernel_does_not_choose(self):
        kernel = Kernel(Span(100, 200), (Span(150, 160),))
        assert kernel.chosen_by_itself() == (Span(100, 149), Span(161, 200))
        assert default_ranges(WIDE).ephemeral == (Span(1024, 65535),)

    def test_a_privileged_range_says_which_range_to_use(self):
        with pytest.raises(SettingError, match=r"use a range above, such as 10240-14999$"):
            chosen_ranges(80, 20000, LINUX)

    def test_a_range_that_is_too_small_says_how_small(self):
        with pytest.raises(SettingError) as caught:
            chosen_ranges(20000, 20000, LINUX, workers=2)
        assert str(caught.value).startswith(
            "20000-20000 is too small: 1 port for 2 pytest-xdist workers; each needs"
        )
        assert chosen_ranges(20000, 20000, LINUX).count == 1

    @pytest.mark.parametrize(
        ("platform", "span"),
        [
            ("darwin", (49152, 65535)), ("win32", (49152, 65535)), ("freebsd14", (10000, 65535)),
            ("openbsd7", (1024, 49151)),
        ],
    )  # fmt: skip
    def test_elsewhere_the_systems_own_default_counts(self, monkeypatch, platform, span):
        monkeypatch.setattr(sys, "platform", platform)
        assert read_kernel() == Kernel(Span(*span), (), 1024)

    def test_a_linux_that_hides_its_settings_has_the_usual_ones(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(port_settings, "_FOLDER", str(tmp_path))
        assert read_kernel() == Kernel(Span(32768, 60999), (), 1024)
        (tmp_path / "ip_local_port_range").write_text("40000\t50000\n")
        (tmp_path / "ip_local_reserved_ports").write_text("41000-41010,8080\n")
        (tmp_path / "ip_unprivileged_port_start").write_text("80\n")
        assert read_kernel() == Kernel(Span(40000, 50000), (Span(8080, 8080), Span(41000, 41010)), 80)
