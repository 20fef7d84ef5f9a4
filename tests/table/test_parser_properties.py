"""Any bytes give entries or the parser's own error, and well-formed data survives a round trip."""

from __future__ import annotations

import os
import shlex
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sockets import model
from pytest_sockets.model import Endpoint
from pytest_sockets.table import inet_diag, netlink, proc, sock_diag, unix_diag

parsers = settings(derandomize=True, deadline=None, max_examples=200, database=None)

HEADER = struct.Struct("=IHHII")
INET = struct.Struct("=BBBB2s2s16s16sI8sIIIII")
DONE = HEADER.pack(20, 3, 2, 1, 0) + bytes(4)

ports = st.integers(0, 65535)
uint32 = st.integers(0, 2**32 - 1)
# Link-local addresses carry the host's interface names, so they have a test of their own.
addresses = st.one_of(
    st.tuples(st.just(socket.AF_INET), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(socket.AF_INET6), st.binary(min_size=16, max_size=16).filter(lambda raw: raw[0] != 0xFE)),
)  # fmt: skip


def framed(payload: bytes, kind: int = 20, flags: int = 2) -> bytes:
    size = HEADER.size + len(payload)
    return HEADER.pack(size, kind, flags, 1, 0) + payload + bytes(-size % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


class TestDatagrams:
    @parsers
    @given(st.binary(max_size=300))
    def test_any_bytes_are_payloads_or_a_failed_dump(self, datagram):
        try:
            payloads = netlink.split(datagram).payloads
        except netlink.DumpFailed:
            return
        assert sum(len(payload) + HEADER.size for payload in payloads) <= len(datagram)

    @parsers
    @given(
        uint32,
        st.integers(0, 5),
        st.integers(0, 2**16 - 1),
        st.integers(-(2**31), 2**31 - 1),
        st.binary(max_size=40),
    )
    def test_so_is_any_header(self, length, kind, flags, code, rest):
        datagram = HEADER.pack(length, kind, flags, 1, 0) + struct.pack("=i", code) + rest
        try:
            part = netlink.split(datagram)
        except netlink.DumpFailed:
            return
        assert part.done is (kind == 3)

    @parsers
    @given(st.lists(st.binary(max_size=100), max_size=6), st.booleans())
    def test_well_formed_payloads_come_back(self, payloads, interrupted):
        flags = 0x12 if interrupted else 2
        part = netlink.split(b"".join(framed(payload, flags=flags) for payload in payloads) + DONE)
        assert part == (payloads, True, interrupted and bool(payloads))

    @parsers
    @given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.data())
    def test_a_cut_leaves_whole_payloads_only(self, payloads, data):
        """A cut between two messages removes the end; a cut inside one fails the dump."""
        whole = b"".join(map(framed, payloads)) + DONE
        place = data.draw(st.integers(0, len(whole) - 1))
        try:
            part = netlink.split(whole[:place])
        except netlink.DumpFailed:
            return
        assert not part.done
        assert part.payloads == payloads[: len(part.payloads)]


class TestInet:
    @parsers
    @given(
        addresses,
        st.binary(min_size=16, max_size=16),
        ports,
        ports,
        st.sampled_from(sorted(model.TCP_STATES)),
        uint32,
        uint32,
    )
    def test_what_is_packed_comes_back(self, local, other, port, remote_port, state, uid, inode):
        family, raw = local
        other = other if family == socket.AF_INET6 and other[0] != 0xFE else other[:4].ljust(16, b"\0")
        message = INET.pack(
            family, state, 0, 0, port.to_bytes(2, "big"), remote_port.to_bytes(2, "big"), raw.ljust(16, b"\0"), other,
            7, bytes(8), 0, 0, 0, uid, inode,
        )  # fmt: skip
        entry = inet_diag.entry(message, "tcp")
        size = 4 if family == socket.AF_INET else 16
        assert entry is not None
        assert entry.local == Endpoint(socket.inet_ntop(family, raw), port)
        assert entry.remote == (
            Endpoint(socket.inet_ntop(family, other[:size]), remote_port) if remote_port else None
        )
        assert (entry.status, entry.uid, entry.inode) == (model.TCP_STATES[state], uid, inode or None)
        assert inet_diag.local_port(message) == port

    @parsers
    @given(st.binary(max_size=120), st.sampled_from(["tcp", "udp"]))
    def test_any_bytes_are_an_entry_or_none(self, payload, protocol):
        entry = inet_diag.entry(payload, protocol)
        if entry is not None:
            assert entry.local.port == inet_diag.local_port(payload)
            assert entry.status in model.STATUSES
        assert sock_diag.parse([payload, payload], protocol) == ([entry] if entry else [])

    @parsers
    @given(uint32, st.binary(max_size=40))
    def test_any_interface_and_any_attributes_of_a_link_local_address(self, index, attributes):
        message = INET.pack(
            socket.AF_INET6, 10, 0, 0, b"\0P", b"\0\0", b"\xfe\x80" + bytes(14), bytes(16), index, bytes(8), 0, 0,
            0, 0, 1,
        )  # fmt: skip
        entry = inet_diag.entry(message + attributes, "tcp")
        assert entry is not None
        assert entry.local.host.startswith("fe80::%" if index else "fe80::")

    @parsers
    @given(
        st.lists(st.tuples(st.integers(12, 40), st.binary(max_size=9)), max_size=4), st.none() | st.booleans()
    )
    def test_v6only_is_found_behind_any_other_attribute(self, others, v6only):
        message = INET.pack(
            socket.AF_INET6, 10, 0, 0, b"\0P", b"\0\0", bytes(16), bytes(16), 0, bytes(8), 0, 0, 0, 0, 1
        )
        message += b"".join(attribute(*one) for one in others)
        message += b"" if v6only is None else attribute(11, bytes([v6only]))
        entry = inet_diag.entry(message, "tcp")
        assert entry is not None
        assert entry.dual_stack == (None if v6only is None else not v6only)


class TestUnix:
    @parsers
    @given(st.lists(st.binary(max_size=60), max_size=4))
    def test_any_bytes_are_entries(self, payloads):
        entries = list(unix_diag.entries(payloads))
        assert len(entries) == sum(len(payload) >= 16 for payload in payloads)
        assert all(os.fsencode(entry.local.host) is not None for entry in entries)

    @parsers
    @given(
        st.integers(1, 2**32 - 1),
        st.binary(min_size=1, max_size=107).filter(lambda name: not name.endswith(b"\0")),
        st.booleans(),
        uint32,
        st.integers(0, 255).filter(lambda kind: kind not in (0, 2, 7)),
        st.binary(max_size=9),
    )
    def test_name_state_and_user_come_back(self, inode, name, listening, uid, kind, unknown):
        payload = struct.pack("=BBBBI8s", 1, 1, 10 if listening else 7, 0, inode, bytes(8))
        payload += attribute(kind, unknown) + attribute(0, name) + attribute(7, struct.pack("=I", uid))
        (entry,) = unix_diag.entries([payload])
        shown = b"@" + name[1:] if name.startswith(b"\0") else name
        assert os.fsencode(entry.local.host) == shown
        assert (entry.inode, entry.uid, entry.status) == (inode, uid, "LISTEN" if listening else "NONE")


class TestProc:
    @parsers
    @given(st.binary(max_size=200))
    def test_any_bytes_of_a_file_raise_nothing(self, raw):
        assert proc.parse_stat(raw) is None or proc.parse_stat(raw)[1] is not None
        assert all(isinstance(pid, int) for pid in proc.parse_children(raw))
        assert os.fsencode(proc.parse_command_line(raw)) is not None
        assert proc.parse_link(os.fsdecode(raw)) is None

    @parsers
    @given(
        st.integers(1, 2**22),
        st.binary(max_size=15),
        st.sampled_from("RSDZTtXIW"),
        st.integers(0, 2**63),
        st.integers(0, 400),
    )
    def test_state_and_start_come_back_whatever_the_name_and_a_cut_is_none(
        self, pid, name, state, start, cut
    ):
        fields = [str(number).encode() for number in range(4, 22)]
        whole = b"%d (%s) %s " % (pid, name, state.encode()) + b" ".join(fields) + b" %d 23 24\n" % start
        assert proc.parse_stat(whole) == (state, start, 4)
        before = whole.index(b" %d 23" % start, len(whole) - 30)
        assert proc.parse_stat(whole[: min(cut, before)]) is None

    @parsers
    @given(
        st.lists(st.binary(min_size=1, max_size=10).map(lambda word: word.replace(b"\0", b"x")), min_size=2)
    )
    def test_the_words_of_a_command_line_come_back(self, words):
        line = proc.parse_command_line(b"".join(word + b"\0" for word in words))
        assert [os.fsencode(word) for word in shlex.split(line)] == words

    @parsers
    @given(st.lists(st.integers(1, 2**22), max_size=5), st.integers(1, 2**63))
    def test_pids_and_inodes_come_back(self, pids, inode):
        assert proc.parse_children(b"".join(b"%d " % pid for pid in pids)) == pids
        assert proc.parse_link(f"socket:[{inode}]") == inode

    @pytest.mark.parametrize("text", ["socket:[", "socket:[]", "socket:[x]", "pipe:[7]", "/dev/null", ""])
    def test_a_link_that_names_no_inode_is_none(self, text):
        assert proc.parse_link(text) is None

    def test_a_process_that_blanked_its_command_line_is_shown_by_its_name(self, monkeypatch):
        files = {"/proc/7/cmdline": bytes(40), "/proc/7/comm": b"worker\n"}
        monkeypatch.setattr(proc.RealOs, "content", files.__getitem__)
        assert proc.command_line(7) == "[worker]"

    def test_a_stat_that_is_cut_short_is_a_process_that_ended(self, monkeypatch):
        files = {"/proc/7/stat": b"7 (python) S 1 7"}
        monkeypatch.setattr(proc.RealOs, "content", files.__getitem__)
        assert proc.birth(7) is None
