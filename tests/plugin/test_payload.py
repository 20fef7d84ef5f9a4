"""What travels from a worker is plain JSON, arrives as it was, and can run nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pytest_sockets
from pytest_sockets.leaks.findings import OPEN, UNCLOSED, Finding, Frame
from pytest_sockets.model import STATUSES, Endpoint, SocketEntry
from pytest_sockets.plugin.payload import Leak, Payload
from pytest_sockets.reports.spans import SocketLife

words = st.text(max_size=30)
numbers = st.integers(min_value=0, max_value=2**63)
times = st.floats(allow_nan=False, allow_infinity=False)
endpoints = st.builds(Endpoint, words, st.none() | st.integers(0, 65535))
frames = st.builds(Frame, words, numbers, words)
entries = st.builds(
    SocketEntry,
    protocol=st.sampled_from(["tcp", "udp", "unix"]),
    family=words,
    local=endpoints,
    remote=st.none() | endpoints,
    status=st.sampled_from(STATUSES),
    fd=st.none() | numbers,
    inode=st.none() | numbers,
    pid=st.none() | numbers,
)
findings = st.builds(
    Finding,
    kind=st.sampled_from([OPEN, UNCLOSED]),
    nodeid=words,
    owner_kind=words,
    owner_name=words,
    owner_scope=words,
    phase=words,
    socket=entries,
    process=st.none() | words,
    opened_at=st.none() | frames,
    stack=st.lists(frames, max_size=3).map(tuple),
    held_by=st.lists(words, max_size=3).map(tuple),
    note=st.none() | words,
    worker=st.none() | words,
)
leaks = st.builds(Leak, findings, st.sampled_from(["warn", "error"]), st.booleans(), st.booleans())
lives = st.builds(
    SocketLife, words, words, words, times, st.none() | times, words, st.none() | frames, st.none() | words,
    st.none() | words, st.none() | times,
)  # fmt: skip
payloads = st.builds(
    Payload,
    opened=numbers,
    leaks=st.lists(leaks, max_size=3),
    lives=st.lists(lives, max_size=2),
    rule_hits=st.dictionaries(words, numbers, max_size=2),
    internal_errors=st.lists(words, max_size=2),
    notes=st.lists(words, max_size=2),
    listening=st.lists(st.tuples(words, words), max_size=2),
    ports_given=numbers,
    servers_started=numbers,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payloads)
def test_a_payload_comes_back_from_json_as_it_was(payload):
    assert Payload.from_json(json.loads(json.dumps(payload.as_json()))) == payload


@settings(max_examples=100, deadline=None)
@given(findings)
def test_a_finding_does_too(finding):
    assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


def test_a_difference_is_seen():
    """The twin: the comparison of the properties above is not blind."""
    assert Payload(opened=1) != Payload(opened=2)
    assert Payload(internal_errors=["x"]) != Payload()


@settings(max_examples=100, deadline=None)
@given(findings)
def test_a_finding_is_made_of_what_execnet_can_send(finding):
    execnet = pytest.importorskip("execnet")
    data = Payload(leaks=[Leak(finding, "warn")]).as_json()
    if _fits(data):
        assert execnet.loads(execnet.dumps(data)) == data


def _fits(value):
    # execnet's format has no lone surrogates and no integers above 64 bits.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def test_no_module_of_the_package_pickles_or_evaluates():
    """What a worker sends, a baseline holds or an ini says is read as data."""
    root = Path(pytest_sockets.__file__).parent
    forbidden = (
        "import pickle",
        "from pickle",
        "import marshal",
        "import shelve",
        "eval(",
        "exec(",
        "yaml.load",
        "os.system",
        "shell=True",
    )
    found = [
        f"{path.relative_to(root)}: {word}"
        for path in root.rglob("*.py")
        for word in forbidden
        for line in path.read_text().splitlines()
        if word in line.split("#")[0].replace("literal_eval(", "")
    ]
    assert found == []
