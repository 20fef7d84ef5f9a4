"""Any text after `--sockets-table=` is a filter or a usage error; its words must all hold; every table can be shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sockets.errors import QueryError
from pytest_sockets.model import STATUSES, Endpoint, SocketEntry
from pytest_sockets.plugin import table_filter, table_text
from pytest_sockets.plugin.table_filter import Filter, Line

steady = settings(derandomize=True, deadline=None, max_examples=150, database=None)

numbers = st.integers(1, 65535)
names = st.text(st.characters(codec="utf-8", exclude_characters=" ,"), max_size=10)
inet = st.builds(
    SocketEntry,
    st.sampled_from(["tcp", "udp"]),
    st.just("AF_INET"),
    st.builds(Endpoint, st.sampled_from(["127.0.0.1", "::"]), st.integers(0, 65535)),
    st.none() | st.builds(Endpoint, st.just("10.0.0.1"), numbers),
    st.sampled_from(STATUSES),
    inode=st.none() | numbers,
    uid=st.none() | st.integers(0, 2**32 - 1),
)
unix = st.builds(
    SocketEntry, st.just("unix"), st.just("AF_UNIX"), st.builds(Endpoint, names), status=st.just("LISTEN")
)
lines = st.builds(Line, inet | unix, names, names)
good = st.one_of(
    st.sampled_from(["tcp", "UDP", "unix", "LISTEN", "established", "python", "redis*", "?", "[", "1"]),
    numbers.map(lambda port: f":{port}"),
)


def holds(word: str, line: Line) -> bool:
    """The meaning of the words, written another way."""
    entry = line.entry
    if word.startswith(":"):
        return int(word[1:]) in [side.port for side in (entry.local, entry.remote) if side]
    if word.lower() in ("tcp", "udp", "unix"):
        return entry.protocol == word.lower()
    if word.upper() == "LISTEN":
        return entry.is_listening or entry.status == "LISTEN"
    if word.upper() == "ESTABLISHED":
        return entry.status == "ESTABLISHED"
    if word == "1":
        return entry.pid == 1
    if word == "?":
        return len(line.process.lower()) == 1 or line.process.lower()[1:3] == ": "
    if word == "[":
        return "[" in line.process
    if word == "redis*":
        return line.process.lower().startswith("redis")
    return word in line.process.lower()


@steady
@given(st.text(max_size=40) | st.lists(good | st.text(":,ABC19x/*[]- ", max_size=6)).map(" ".join), lines)
def test_any_text_is_a_filter_or_a_query_error(text, line):
    try:
        keeps = table_filter.parse(text).holds
    except QueryError:
        return
    assert keeps(line) in (True, False)


@steady
@given(st.lists(good, max_size=3), st.sampled_from([" ", ",", ", "]), lines)
def test_all_words_must_hold_and_unix_sockets_are_shown_when_asked_for(words, between, line):
    expected = all(holds(word, line) for word in words)
    shown = line.entry.protocol != "unix" or "unix" in words
    assert table_filter.parse(between.join(words)).holds(line) is (expected and shown)


@steady
@given(
    st.sampled_from(
        ["LISTNE", "A/B", "a/b", "x.py", "a::b", "a:80", ":", ":x", ":0", ":65536", ":-1", "TIMEWAIT"]
    ),
    st.lists(good),
)
def test_a_word_without_a_meaning_is_refused_wherever_it_stands(word, others):
    with pytest.raises(QueryError):
        table_filter.parse(" ".join([*others, word]))


@steady
@given(st.lists(inet | unix, max_size=8), st.integers(0, 200))
def test_every_table_is_shown_whole_and_cut_to_the_terminal(entries, width):
    text = table_text.sockets(entries, table_filter.parse("unix tcp"), width)
    assert f"0 of {len(entries)} sockets" in text
    everything = table_text.sockets(entries, Filter(), width)
    header, *rows = everything[: everything.rindex("\n\n")].split("\n")
    assert header.startswith("Proto")
    assert f"{len(entries)} of {len(entries)} sockets" in everything
    assert max(map(len, [header, *rows])) <= max(width, 20)
