"""Any text is a rule or is refused; a rule means all of its pairs; matching never fails, whatever was found."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_sockets.errors import SettingError
from pytest_sockets.leaks.findings import OPEN, UNCLOSED, Finding, Frame
from pytest_sockets.leaks.rules import DEFAULT_IGNORES, KEYS, Ignores, parse_rule
from pytest_sockets.model import STATUSES, Endpoint, SocketEntry

steady = settings(derandomize=True, deadline=None, max_examples=150, database=None)

# No newline: rules are lines of an ini file.
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12)
globs = st.text("ab*?[]!-./:\\ '\"=#", min_size=1, max_size=10)
hosts = st.sampled_from(["127.0.0.1", "::1", "fe80::1%eth0", "10.0.0.7"])
endpoints = st.builds(Endpoint, hosts, st.integers(0, 65535)) | st.builds(Endpoint, words)
frames = st.builds(Frame, words, st.integers(1, 999), words)
findings = st.builds(
    Finding,
    kind=st.sampled_from([OPEN, UNCLOSED]),
    nodeid=words,
    owner_kind=st.sampled_from(["test", "fixture", "session"]),
    owner_name=words,
    owner_scope=words,
    phase=words,
    socket=st.builds(
        SocketEntry,
        st.sampled_from(["tcp", "udp", "unix"]),
        st.just("AF_INET"),
        endpoints,
        st.none() | endpoints,
        st.sampled_from(STATUSES),
    ),
    process=st.none() | words,
    opened_at=st.none() | frames,
    stack=st.lists(frames, max_size=3).map(tuple),
)


def values(finding: Finding) -> dict[str, list[str]]:
    """What each key is compared with, said another way."""
    sock = finding.socket
    files = [frame.file for frame in (*finding.stack, finding.opened_at) if frame]
    return {
        "protocol": [sock.protocol],
        "local": [str(sock.local)],
        "remote": [str(sock.remote)] if sock.remote else [],
        "status": [sock.status],
        "opened_in": [*files, *(f"./{file}" for file in files if not file.startswith("/"))],
        "owner": [finding.owner_name, f"{finding.owner_kind}:{finding.owner_name}"],
        "process": [finding.process, finding.process.split("/")[-1]] if finding.process else [],
    }


def pair(key: str, glob: str) -> str:
    return shlex.quote(f"{key}={glob}")


class TestReading:
    @steady
    @given(st.text(max_size=60), findings)
    def test_any_text_is_a_rule_or_refused(self, text, finding):
        try:
            rule = parse_rule(text)
        except SettingError as error:
            assert "rule" in str(error)  # noqa: PT017
            return
        assert rule.pairs
        assert {key for key, _ in rule.pairs} <= set(KEYS)
        assert rule.matches(finding) in (True, False)

    @steady
    @given(st.lists(st.tuples(st.sampled_from(KEYS), globs), min_size=1, max_size=4))
    def test_what_is_quoted_comes_back(self, pairs):
        rule = parse_rule(" ".join(pair(*one) for one in pairs))
        assert rule.pairs == tuple(pairs)

    @steady
    @given(words.filter(lambda word: word not in KEYS), globs)
    def test_an_unknown_key_is_refused(self, key, glob):
        assume("=" not in key)
        with pytest.raises(SettingError, match="unknown key"):
            parse_rule(pair(key, glob))


class TestMatching:
    @steady
    @given(findings, st.sampled_from(KEYS), words)
    def test_a_text_matches_exactly_the_value(self, finding, key, other):
        """All characters but `*` and `?` stand for themselves."""
        known = values(finding)[key]
        for value in filter(None, known):
            assert parse_rule(pair(key, value)).matches(finding)
        assume(other and not set("*?") & set(other))
        assert parse_rule(pair(key, other)).matches(finding) is (other in known)

    @steady
    @given(findings, st.lists(st.tuples(st.sampled_from(KEYS), globs | st.just("*")), min_size=1, max_size=3))
    def test_all_pairs_must_hold(self, finding, pairs):
        together = parse_rule(" ".join(pair(*one) for one in pairs))
        assert together.matches(finding) is all(parse_rule(pair(*one)).matches(finding) for one in pairs)

    @steady
    @given(findings, st.sampled_from(KEYS))
    def test_a_star_matches_where_there_is_a_value(self, finding, key):
        assert parse_rule(f"{key}=*").matches(finding) is bool(values(finding)[key])


class TestCounting:
    @steady
    @given(
        st.lists(findings, max_size=5),
        st.lists(
            st.sampled_from(["protocol=tcp", "protocol=*", "status=LISTEN", "remote=*", "owner=test:*"]),
            unique=True,
            max_size=4,
        ),
    )
    def test_each_finding_counts_for_the_first_rule_that_matches(self, found, lines):
        ignores = Ignores(lines)
        expected = dict.fromkeys(lines, 0)
        for finding in found:
            by_default = any(ignored(finding) for ignored in DEFAULT_IGNORES)
            first = next((line for line in lines if parse_rule(line).matches(finding)), None)
            assert ignores.cover(finding) is (by_default or first is not None)
            if first is not None and not by_default:
                expected[first] += 1
        assert ignores.hits == expected
