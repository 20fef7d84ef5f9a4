"""What the tests of server processes share: small servers, and looking for what is left of them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pytest_sockets.originals import RealOs
from pytest_sockets.table import proc
from pytest_sockets.waiting import wait_until

HTTP = [sys.executable, "-m", "http.server", "{port}", "--bind", "{host}"]


def python(code: str, *arguments: str) -> list[str]:
    """A command that runs this code."""
    return [sys.executable, "-c", code, *arguments]


def needed(name: str) -> str:
    """The program's path; skips the test where it is not installed."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") or pytest.skip(
        f"no {name}"
    )


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    birth = proc.birth(pid)
    return birth is not None and birth[0] != "Z"


def left_after(pids: list[int], seconds: float) -> list[int]:
    """Those that still run after so many seconds at the latest."""
    wait_until(lambda: not any(map(is_alive, pids)), seconds)
    return [pid for pid in pids if is_alive(pid)]


def pids_with(variable: str, value: str) -> list[int]:
    """Every process that was started with this variable in its environment."""
    wanted = f"{variable}={value}".encode()
    found = []
    for name in RealOs.listdir("/proc"):
        if name.isdecimal():
            try:
                words = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in words:
                found.append(int(name))
    return found


@pytest.fixture
def nothing_left():
    """No process is left that did not run before, and no descriptor."""
    from pytest_sockets.processes.kept_tree import launcher
    from pytest_sockets.processes.server_process import ServerProcess

    with ServerProcess(HTTP):  # what is made once: launcher, pool, netlink socket
        pass
    before = set(proc.descendants(os.getpid()))  # some of an earlier test may be about to end
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    assert launcher is not None

    def left() -> tuple[set[int], bool]:
        return set(proc.descendants(os.getpid())) - before, len(os.listdir("/proc/self/fd")) > descriptors

    wait_until(lambda: left() == (set(), False), 5)
    assert left() == (set(), False)
