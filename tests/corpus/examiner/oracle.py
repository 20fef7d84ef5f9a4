"""A pytest plugin that watches the sockets of a run by the simplest means: an independent judge of the corpus itself.

After every test's whole protocol, and when pytest has unconfigured all plugins, it lists the socket inodes of
/proc/self/fd. It waits half a second for late closers, collects garbage and lists again. It knows no owners and no lines.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import socket
from pathlib import Path
from time import monotonic, sleep  # bound early: a test may stop the clock
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE = 0.6
_PR_SET_CHILD_SUBREAPER = 36
_LISTENS = 0x10000
"""`__SO_ACCEPTCON` in /proc/net/unix."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two settings of the oracle."""
    parser.addoption("--oracle-file", default="oracle.json")
    parser.addoption("--oracle-unix", action="store_true")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Look last at the end: of pytest's clean-ups the one that is registered first runs last."""
    oracle = Oracle(early_config)
    early_config.pluginmanager.register(oracle, "oracle-watch")
    early_config.add_cleanup(oracle.finish)
    return (yield)


class Oracle:
    """The watch."""

    def __init__(self, config: pytest.Config) -> None:
        options = config.known_args_namespace
        self.file = Path(str(config.rootpath), options.oracle_file)
        self.families = {socket.AF_INET, socket.AF_INET6}
        if options.oracle_unix:
            self.families.add(socket.AF_UNIX)
        self.before: set[tuple[int, int]] = set()
        self.crossing: set[tuple[int, int]] = set()
        self.garbage = 0
        self.resource_warnings = 0
        # Daemons and orphans stay descendants of this process. Without it, init adopts them.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def sockets(self) -> set[tuple[int, int]]:
        """(fd, inode) of every watched socket. The fd counts too: a dup of a socket is one more open end."""
        found = set()
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            if target.startswith("socket:") and self._watched(int(name)):
                found.add((int(name), int(target[8:-1])))
        return found

    def _watched(self, fd: int) -> bool:
        borrowed = socket.socket(fileno=fd)
        try:
            return borrowed.family in self.families
        finally:
            borrowed.detach()

    def settled(self, known: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """What is open, apart from `known`, after the grace time and a collection."""
        deadline = monotonic() + GRACE
        while (left := self.sockets() - known) and monotonic() < deadline:
            sleep(0.02)
        if left:
            gc.collect()
            gc.collect()
            remaining = self.sockets() - known
            self.garbage += len(left - remaining)
            left = remaining
        return left

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """What conftest files and plugins have opened by now has no owner in this run."""
        self.before = self.sockets()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """After each test's whole protocol."""
        result = yield
        self.crossing |= self.settled(self.before | self.crossing)
        return result

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        """Count what the interpreter says about unclosed sockets and transports."""
        if (
            issubclass(warning_message.category, ResourceWarning)
            or "unclosed" in str(warning_message.message).lower()
        ):
            self.resource_warnings += 1

    def finish(self) -> None:
        """After the last teardown, hook and clean-up."""
        end = self.settled(self.before)
        children = [child for child in psutil.Process().children(recursive=True) if self._listens(child)]
        result = {
            "crossing": len(self.crossing),
            "end": len(end),
            "garbage": self.garbage,
            "warnings": self.resource_warnings,
            "children": len(children),
        }
        self.file.write_text(json.dumps(result))

    def _listens(self, process: psutil.Process) -> bool:
        try:
            if any(entry.status == psutil.CONN_LISTEN for entry in process.net_connections("inet")):
                return True
        except psutil.Error:
            return False
        return socket.AF_UNIX in self.families and not _unix_listeners().isdisjoint(_inodes(process.pid))


def _unix_listeners() -> set[int]:
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {int(fields[6]) for fields in lines if int(fields[3], 16) & _LISTENS}


def _inodes(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(path)
        if target.startswith("socket:"):
            yield int(target[8:-1])
