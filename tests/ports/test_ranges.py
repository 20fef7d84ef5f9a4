"""Which ports are given out: arithmetic on spans, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.ports.ranges import (
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
