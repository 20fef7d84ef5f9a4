"""`no_leaks()`: leak detection for one block of code, with or without pytest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError, SocketLeakError
from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.attribution import watch
from pytest_sockets.leaks.call_site import Places
from pytest_sockets.leaks.finding_builder import FindingBuilder
from pytest_sockets.leaks.judgement import Judge, Surroundings
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.registry import Registry
from pytest_sockets.reports.text import message
from pytest_sockets.waiting import checked_timeout

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager
    from types import TracebackType

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.literals import SocketProtocol

_KINDS: Final = ("tcp", "udp", "unix")


def no_leaks(
    *, grace: float = 0.5, kinds: Collection[SocketProtocol] = ("tcp", "udp")
) -> AbstractContextManager[None]:
    """Check that a `with` block closes the sockets that it opens.

    Raises `SocketLeakError` after the block if a socket is still open `grace` seconds later. Sockets that a thread
    opened count if the block started the thread. The error names the line that opened each socket and the objects that
    still refer to it. `kinds` are the protocols to check. A block that raises is not checked, so that its own exception
    stays visible.

    Works in unittest, in scripts, and inside a test while the plugin runs. Raises `SettingError` for invalid arguments.
    """
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(_KINDS):
        raise SettingError(f"kinds={kinds!r}: use a collection of {', '.join(map(repr, _KINDS))}")
    frame = sys._getframe(1)
    return _CheckedBlock(
        f"at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}", checked_timeout(grace), tuple(kinds)
    )


class _CheckedBlock:
    def __init__(self, place: str, grace: float, kinds: tuple[str, ...]) -> None:
        self._place = place
        self._grace = grace
        self._kinds = kinds
        self._watches: list[_Watch] = []

    def __enter__(self) -> None:
        self._watches.append(_Watch(self._place))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        watch = self._watches.pop()
        try:
            findings = [] if kind is not None else watch.findings(self._grace, self._kinds)
        finally:
            watch.close()
        if findings:
            raise SocketLeakError(message(findings))


class _Watch:
    """The registry of sockets opened since the watch was made."""

    def __init__(self, place: str) -> None:
        self._owner = Owner("the block", place, "block")
        self._registry = Registry(Places(Path.cwd()), Owner("session", "session", "session"))
        self._attribution = watch(self._registry)
        self._registry.begin()
        self._registry.current.enter(Scope(self._owner, "call"))

    def findings(self, grace: float, kinds: tuple[str, ...]) -> list[Finding]:
        """Return the sockets that are open after `grace` seconds. Waits only if something is left."""
        self._registry.checkpoint()
        self._registry.end(self._owner)
        judge = Judge(self._registry, kinds)
        suspects = judge.after_young_garbage(self._registry.suspects())
        leaks = judge.judge(suspects, Surroundings(final=True), grace).leaks if suspects else ()
        builder = FindingBuilder(self._registry, worker=None)
        return [builder.open(leak) for leak in leaks]

    def close(self) -> None:
        """Stop observing."""
        watcher.stop_listening(self._attribution)
        self._registry.fds.close()
