"""A pytest plugin that watches the sockets of a run by the simplest means: an independent judge of the corpus itself.

After every test's whole protocol and at the end of the session it lists the socket inodes of /proc/self/fd, waits
half a second for late closers, collects garbage and lists again. It knows nothing of owners and lines.
"""

from __future__ import annotations

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two settings of the oracle."""
    parser.addoption("--oracle-file", default="oracle.json")
    parser.addoption("--oracle-unix", action="store_true")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to watch: what is open now is not the suite's."""
    session.config.pluginmanager.register(Oracle(session.config), "oracle-watch")


class Oracle:
    """The watch."""

    def __init__(self, config: pytest.Config) -> None:
        self.file = Path(str(config.rootpath), config.getoption("--oracle-file"))
        self.families = {socket.AF_INET, socket.AF_INET6}
        if config.getoption("--oracle-unix"):
            self.families.add(socket.AF_UNIX)
        self.before = self.sockets()
        self.crossing: set[tuple[int, int]] = set()
        self.garbage = 0
        self.resource_warnings = 0
        self.children: set[int] = set()

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

    def settled(self) -> set[tuple[int, int]]:
        """What is open after the grace time and a collection."""
        deadline = monotonic() + GRACE
        while (left := self.sockets() - self.before) and monotonic() < deadline:
            sleep(0.02)
        if left:
            gc.collect()
            gc.collect()
            remaining = self.sockets() - self.before
            self.garbage += len(left - remaining)
            left = remaining
        return left

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """After each test's whole protocol."""
        result = yield
        left = self.settled()
        self.crossing |= left
        # Already named: the next test must not count them again.
        return result

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        """Count what the interpreter says about unclosed sockets and transports."""
        if (
            issubclass(warning_message.category, ResourceWarning)
            or "unclosed" in str(warning_message.message).lower()
        ):
            self.resource_warnings += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """After the last teardown."""
        yield
        end = self.settled()
        children = [child for child in psutil.Process().children(recursive=True) if _listens(child)]
        result = {
            "crossing": len(self.crossing),
            "end": len(end),
            "garbage": self.garbage,
            "warnings": self.resource_warnings,
            "children": len(children),
        }
        self.file.write_text(json.dumps(result))


def _listens(process: psutil.Process) -> bool:
    try:
        return any(entry.status == psutil.CONN_LISTEN for entry in process.net_connections("inet"))
    except psutil.Error:
        return False
