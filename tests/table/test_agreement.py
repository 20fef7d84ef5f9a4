"""The plugin's view of 1,000 random sockets agrees with `ss` and `lsof`: the same set, states and pids."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pytest_sockets.table.reading import socket_table

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs ss")

_SS_WORDS = {
    "ESTAB": "ESTABLISHED", "LISTEN": "LISTEN", "CLOSE-WAIT": "CLOSE_WAIT", "FIN-WAIT-2": "FIN_WAIT2",
    "FIN-WAIT-1": "FIN_WAIT1", "LAST-ACK": "LAST_ACK", "TIME-WAIT": "TIME_WAIT", "SYN-SENT": "SYN_SENT",
    "SYN-RECV": "SYN_RECV", "CLOSING": "CLOSING", "UNCONN": "NONE",
}  # fmt: skip


@pytest.fixture
def thousand() -> Iterator[list[socket.socket]]:
    dice = random.Random(20_261_121)
    made: list[socket.socket] = []
    listeners: list[socket.socket] = []
    while len(made) < 1000:
        family, host = dice.choice(
            [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "0.0.0.0")]
        )
        kind = dice.choice(["listen", "udp", "udp connected", "pair", "pair", "half closed"])
        if kind == "udp":
            made.append(socket.socket(family, socket.SOCK_DGRAM))
            made[-1].bind((host, 0))
        elif kind == "udp connected":
            made.append(socket.socket(family, socket.SOCK_DGRAM))
            made[-1].connect(("127.0.0.1" if family == socket.AF_INET else "::1", dice.randint(1025, 65000)))
        elif kind == "listen" or not listeners:
            listeners.append(socket.create_server((host, 0), family=family, backlog=50))
            made.append(listeners[-1])
        else:
            server = dice.choice(listeners)
            client = socket.create_connection(server.getsockname()[:2])
            made += [client, server.accept()[0]]
            if kind == "half closed":
                client.shutdown(socket.SHUT_WR)
    yield made
    for one in made:
        one.close()


def ours() -> dict[int, tuple[str, str, int, int]]:
    return {
        entry.inode: (entry.protocol, entry.status, entry.local.port, entry.pid)
        for entry in socket_table("system")
        if entry.inode and entry.pid == os.getpid() and entry.protocol != "unix"
    }


@pytest.mark.skipif(not shutil.which("ss"), reason="no ss")
def test_ss_agrees(thousand: list[socket.socket]):
    inodes = {os.fstat(one.fileno()).st_ino for one in thousand}
    listing = subprocess.run(["ss", "-tanupeH"], capture_output=True, text=True, check=True).stdout
    theirs = {}
    for line in listing.splitlines():
        found = re.search(r"\bino:(\d+)", line)
        if found and int(found[1]) in inodes:
            words = line.split()
            pid = re.search(r"pid=(\d+)", line)
            port = int(words[4].rpartition(":")[2])
            status = "NONE" if words[0] == "udp" else _SS_WORDS[words[1]]
            theirs[int(found[1])] = (words[0], status, port, int(pid[1]) if pid else None)
    mine = {inode: words for inode, words in ours().items() if inode in inodes}
    assert len(mine) == len(thousand)
    assert mine == theirs


@pytest.mark.skipif(not shutil.which("lsof"), reason="no lsof")
def test_lsof_agrees(thousand: list[socket.socket]):
    fds = {one.fileno() for one in thousand}
    mine = {entry.fd: [entry.protocol, entry.status] for entry in socket_table("process") if entry.fd in fds}
    assert len(mine) == len(thousand)
    # lsof reads /proc/net/tcp, which skips entries while other processes open and close sockets.
    deadline = time.monotonic() + 20
    while (theirs := by_lsof(fds)) != mine and time.monotonic() < deadline:
        pass
    assert mine == theirs


def by_lsof(fds: set[int]) -> dict[int, list[str]]:
    """Descriptor -> [protocol, status]; the protocol is empty if lsof could not tell it."""
    command = ["lsof", "-nP", "-a", "-i", "-p", str(os.getpid()), "-F", "pfPTn"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs, fd = {}, -1
    for line in listing.splitlines():
        if line[0] == "f":
            fd = int(line[1:])
            theirs[fd] = ["", "NONE"]
        elif line[0] == "P":
            theirs[fd][0] = line[1:].lower()
        elif line.startswith("TST="):
            theirs[fd][1] = line[4:].replace("FIN_WAIT_", "FIN_WAIT").replace("CLOSED", "CLOSE")
    return {fd: words for fd, words in theirs.items() if fd in fds}
