"""The parsers need no kernel. A cut or refused answer is an error of the plugin, never a wrong entry."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from pytest_sockets.table import inet_diag, netlink, sock_diag, unix_diag
from pytest_sockets.table.readers import PortableReader, reader

DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def message(body: bytes, kind: int = 20, flags: int = 2) -> bytes:
    padding = b"\0" * (-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body + padding


def inet(
    port: int, state: int = 10, *, family: int = 2, timer: int = 0, expires: int = 0, inode: int = 7
) -> bytes:
    return struct.pack(
        "=BBBB2s2s16s16sI8sIIIII",
        family, state, timer, 0, port.to_bytes(2, "big"), b"\0\0", bytes([127, 0, 0, 1]) + bytes(12), bytes(16), 0,
        bytes(8), expires, 0, 0, 1000, inode,
    )  # fmt: skip


def test_a_datagram_is_split_into_its_payloads():
    part = netlink.split(message(b"abcd") + message(b"xyz") + DONE)
    assert (part.payloads, part.done, part.interrupted) == ([b"abcd", b"xyz"], True, False)


@pytest.mark.parametrize("cut", [1, 5, 15, 17, 30])
def test_a_cut_datagram_is_refused_wherever_it_is_cut(cut: int):
    whole = message(bytes(40))
    with pytest.raises(netlink.DumpFailed):
        netlink.split(whole[:-cut])


@pytest.mark.parametrize("length", [0, 3, 15, 4_000_000_000])
def test_an_impossible_length_is_refused_and_never_loops(length: int):
    with pytest.raises(netlink.DumpFailed):
        netlink.split(struct.pack("=IHHII", length, 20, 2, 1, 0) + bytes(8))


def test_a_refusal_of_the_kernel_says_why():
    with pytest.raises(netlink.DumpFailed, match="No such file"):
        netlink.split(message(struct.pack("=i", -errno.ENOENT) + bytes(16), kind=2))


@pytest.mark.parametrize("code", [-(1 << 31), -4095, 0, 5, (1 << 31) - 1])
def test_a_refusal_with_a_number_that_is_no_errno_is_one_too(code: int):
    """The lowest 32-bit number has no opposite: strerror() would raise OverflowError."""
    with pytest.raises(netlink.DumpFailed, match="the kernel refused the dump: "):
        netlink.split(message(struct.pack("=i", code) + bytes(16), kind=2))


def test_a_dump_that_the_kernel_broke_off_is_incomplete():
    end = message(struct.pack("=i", -errno.EMSGSIZE), kind=3)
    with pytest.raises(netlink.DumpFailed, match="broke the dump off: Message too long"):
        netlink.split(message(b"abcd") + end)
    assert netlink.split(message(b"abcd") + DONE).done


class FakeSocket:
    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.asked = 0

    def send(self, data: bytes) -> None:
        self.asked += 1

    def recv(self, size: int) -> bytes:
        return self.answers.pop(0)


def dumper_with(answers: list[bytes]) -> tuple[netlink.Dumper, FakeSocket]:
    dumper = netlink.Dumper.__new__(netlink.Dumper)
    dumper._sock = fake = FakeSocket(answers)
    return dumper, fake


def test_an_interrupted_dump_is_repeated_and_the_whole_one_counts():
    dumper, fake = dumper_with([message(b"old!", flags=0x12) + DONE, message(b"new!") + DONE])
    assert dumper.dump(20, b"") == [b"new!"]
    assert fake.asked == 2


def test_a_table_that_never_holds_still_is_taken_after_three_times():
    dumper, fake = dumper_with([message(b"late", flags=0x12) + DONE] * 5)
    assert dumper.dump(20, b"") == [b"late"]
    assert fake.asked == 3


def test_a_message_has_port_status_uid_and_time_wait():
    entry = inet_diag.entry(inet(8080, 6, timer=3, expires=59_900, inode=0), "tcp")
    assert entry is not None
    assert (str(entry.local), entry.status, entry.uid, entry.inode) == (
        "127.0.0.1:8080",
        "TIME_WAIT",
        1000,
        None,
    )
    assert entry.time_wait_left == pytest.approx(59.9)


def test_bound_but_not_listening_is_close_and_an_unknown_family_is_none():
    assert inet_diag.entry(inet(1, 13), "tcp").status == "CLOSE"
    assert inet_diag.entry(inet(1, family=99), "tcp") is None
    assert inet_diag.entry(inet(1)[:70], "tcp") is None


@pytest.mark.parametrize("size", range(0, 90, 3))
def test_a_short_unix_message_never_raises(size: int):
    whole = (
        struct.pack("=BBBBI8s", 1, 1, 10, 0, 5, bytes(8))
        + struct.pack("=HH", 9, 0)
        + b"\0name\0\0\0"
        + bytes(60)
    )
    assert all(entry.inode == 5 for entry in unix_diag.entries([whole[:size]]))


def test_a_system_without_sock_diag_is_read_by_psutil(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sock_diag, "AVAILABLE", False)
    reader.cache_clear()
    try:
        assert isinstance(reader(), PortableReader)
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert server.getsockname()[1] in reader().listening()
    finally:
        monkeypatch.undo()
        reader.cache_clear()
