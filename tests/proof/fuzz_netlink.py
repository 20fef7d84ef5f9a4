"""Coverage-guided fuzzing of what reads the kernel's bytes: netlink, inet_diag, unix_diag and /proc. Needs atheris.

    python tests/proof/fuzz_netlink.py -atheris_runs=200000
    python tests/proof/fuzz_netlink.py --twin -atheris_runs=200000       # a parser with a hole: must end with status 77

Whatever bytes come, a parser gives entries or its own error (`DumpFailed`), never another exception, and ends within 5 s.
What it gives must be sound: ports below 65536, payloads that lie in the datagram, text that can be printed. The corpus
begins with the answers of this host's kernel. All other arguments go to libFuzzer; a file name repeats one input.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["pytest_sockets"]):
    from pytest_sockets.model import STATUSES, SocketTable
    from pytest_sockets.table import inet_diag, netlink, proc, sock_diag, unix_diag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import SocketEntry

HEADER = struct.Struct("=IHHII")
DONE = HEADER.pack(20, 3, 2, 1, 0) + bytes(4)


class Answers:
    """A socket whose peer sends these datagrams and then nothing more."""

    def __init__(self, datagrams: Iterable[bytes]) -> None:
        self.datagrams = iter(datagrams)

    def send(self, data: bytes) -> None:
        """Nobody listens."""

    def recv(self, size: int) -> bytes:
        """As a non-blocking socket does."""
        for datagram in self.datagrams:
            return datagram[:size]
        raise BlockingIOError


def fuzz_datagram(data: bytes) -> None:
    """Any bytes as one datagram: its payloads lie in it, one after the other."""
    try:
        part = netlink.split(data)
    except netlink.DumpFailed:
        return
    assert sum(map(len, part.payloads)) + HEADER.size * len(part.payloads) <= len(data)
    place = 0
    for payload in part.payloads:
        place = data.index(payload, place) + len(payload)
    read_all(part.payloads)


def fuzz_dump(data: bytes) -> None:
    """Datagrams of any size, one after the other: the dump ends with payloads or an error."""
    provider = atheris.FuzzedDataProvider(data)
    datagrams = []
    while provider.remaining_bytes() and len(datagrams) < 20:
        datagrams.append(provider.ConsumeBytes(provider.ConsumeIntInRange(0, 300)))
        if provider.ConsumeProbability() < 0.2:
            datagrams.append(DONE)
    dumper = netlink.Dumper.__new__(netlink.Dumper)
    dumper._sock = Answers(datagrams)
    try:
        payloads = dumper.dump(20, b"")
    except (netlink.DumpFailed, BlockingIOError):
        return
    read_all(payloads)


def fuzz_payloads(data: bytes) -> None:
    """Well-formed messages around any bytes: each payload comes back whole and is read."""
    provider = atheris.FuzzedDataProvider(data)
    payloads = []
    while provider.remaining_bytes() and len(payloads) < 20:
        payloads.append(provider.ConsumeBytes(provider.ConsumeIntInRange(0, 160)))
    datagram = b"".join(
        HEADER.pack(HEADER.size + len(payload), 20, 2, 1, 0) + payload + bytes(-len(payload) % 4)
        for payload in payloads
    )
    part = netlink.split(datagram + DONE)
    assert part.payloads == payloads
    assert part.done
    read_all(payloads)


def fuzz_proc(data: bytes) -> None:
    """Any bytes as a file of /proc."""
    assert all(isinstance(pid, int) for pid in proc.parse_children(data))
    birth = proc.parse_stat(data)
    assert birth is None or (isinstance(birth[0], str) and isinstance(birth[1], int))
    os.fsencode(proc.parse_command_line(data))
    inode = proc.parse_link(os.fsdecode(data))
    assert inode is None or isinstance(inode, int)


def read_all(payloads: list[bytes]) -> None:
    """Every reader of payloads, and what is made of the entries."""
    for protocol in ("tcp", "udp"):
        check(sock_diag.parse(payloads, protocol), protocol)
    check(sock_diag.parse_listening(payloads, payloads), "tcp", "udp")
    check(list(unix_diag.entries(payloads)), "unix")
    for payload in payloads:
        port = inet_diag.local_port(payload)
        entry = inet_diag.entry(payload, "tcp")
        assert 0 <= port <= 65535
        assert entry is None or entry.local.port == port


def check(entries: list[SocketEntry], *protocols: str) -> None:
    """Sound in themselves, and good for a table."""
    for entry in entries:
        assert entry.protocol in protocols
        assert entry.status in STATUSES
        for side in filter(None, (entry.local, entry.remote)):
            assert side.host == os.fsdecode(os.fsencode(side.host))
            assert entry.protocol == "unix" or 0 <= side.port <= 65535
    table = SocketTable(entries)
    assert len(str(table)) >= 0
    assert len(table & table) <= len(table)
    assert 80 in table or 80 not in table


TARGETS = (fuzz_datagram, fuzz_dump, fuzz_payloads, fuzz_proc)


def feed(data: bytes) -> None:
    """The first byte chooses the target."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def write_seeds(folder: Path) -> None:
    """What this host's kernel says, each as input of each target that could take it."""
    seeds = [b"\0" + DONE]
    for code in (-2, -(1 << 31)):
        seeds += [b"\0" + HEADER.pack(20, kind, 0, 1, 0) + struct.pack("=i", code) for kind in (2, 3)]
    if sock_diag.AVAILABLE:
        with netlink.Dumper() as dumper:
            inet = sock_diag.dump_tcp(dumper, inet_diag.ALL_STATES) + sock_diag.dump_udp(dumper, 0xFFFFFFFF)
            unix = dumper.dump(inet_diag.SOCK_DIAG_BY_FAMILY, unix_diag.request())
        for payload in (*inet[:20], *unix[:20]):
            message = HEADER.pack(HEADER.size + len(payload), 20, 2, 1, 0) + payload
            seeds += [b"\0" + message + DONE, b"\1" + message, b"\2" + payload]
    for name in ("stat", "cmdline", "task/self/children"):
        path = Path("/proc/self", name.replace("self", str(os.getpid())))
        seeds += [b"\3" + path.read_bytes()] if path.exists() else []
    seeds.append(b"\3socket:[4711]")
    for number, seed in enumerate(seeds):
        folder.joinpath(str(number)).write_bytes(seed)


def open_a_hole() -> None:
    """A parser that trusts one length: fuzzing must notice."""

    def attributes(payload):
        offset = 16
        while offset + 4 <= len(payload):
            length, kind = struct.unpack_from("=HH", payload, offset)
            yield kind, payload[offset + 4 : offset + length]
            struct.unpack_from("=H", payload, offset + length - 2)
            offset += (max(length, 4) + 3) & ~3

    unix_diag._attributes = attributes


def main() -> None:
    """Fuzz until libFuzzer has had enough."""
    arguments = sys.argv[1:]
    if "--twin" in arguments:
        arguments.remove("--twin")
        open_a_hole()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(seeds := os.path.join(folder, "seeds"))
        write_seeds(Path(seeds))
        repeats = any(not argument.startswith("-") for argument in arguments)
        more = [] if repeats else [seeds]
        defaults = ["-timeout=5", "-max_len=4096", "-rss_limit_mb=1024", f"-artifact_prefix={os.getcwd()}/"]
        atheris.Setup([sys.argv[0], *defaults, *arguments, *more], feed)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
