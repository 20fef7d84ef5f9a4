"""Find the line that opened a socket: the stack at its creation, as code objects and offsets, turned into text on demand.

The walk to the first line of the user's code costs 2 us; socket() and close() together take 6.8 us. Line numbers cost
more than the walk, so they are computed only for reported sockets.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

    from pytest_sockets.leaks.findings import Frame

_PACKAGE: Final = str(Path(__file__).parent.parent) + os.sep
_STANDARD_LIBRARY: Final = str(Path(os.__file__).parent) + os.sep
"""The folder of the standard library. sysconfig has the same answer, but takes a millisecond to import."""
_DEPTH: Final = 200
"""The greatest distance to a line of the user's code: requests alone is 14 calls deep, recursive code is deeper."""
_STEPS: Final = (None,) * _DEPTH
_BEYOND: Final = 3
"""The number of lines of the user's code to keep above the innermost one."""
_SHOWN: Final = 10
_CONFTEST: Final = os.sep + "conftest.py"
_EXAMPLE: Final = "<doctest "
USERS: Final = 1
PYTEST: Final = 2
TEST_TOOLS: Final = frozenset(
    {"xdist", "execnet", "pytest_rerunfailures", "pytest_timeout", "coverage", "_pydevd_bundle", "debugpy"}
)
"""Packages that work beside a suite. Their threads and sockets do not belong to the suite."""


class Places:
    """Separates the user's code from the standard library, installed packages and this plugin. One instance for each run."""

    def __init__(self, rootdir: Path) -> None:
        self.rootdir = str(rootdir).rstrip(os.sep) + os.sep
        self._inside_library = self.rootdir.startswith(_STANDARD_LIBRARY)
        self.marked: Final[dict[str, int]] = {}
        """The results of `mark` so far. A plain dict, which the interpreter reads without a call."""
        self.any_example = False
        """Whether code of a doctest has been seen."""

    def is_users(self, filename: str) -> bool:
        """Whether the file contains the user's code."""
        return self.mark(filename) == USERS

    def collected(self, filename: str) -> None:
        """Count a file that pytest collects as the user's code, even inside an installed package (`--pyargs package`)."""
        self.marked[filename] = USERS

    def mark(self, filename: str) -> int:
        """Return USERS for a file of the user's code, PYTEST for a file of pytest, 0 for any other."""
        mark = self.marked.get(filename)
        if mark is None:
            mark = USERS if self._is_own(filename) else PYTEST if "_pytest" in filename else 0
            self.marked[filename] = mark
        return mark

    def _is_own(self, filename: str) -> bool:
        if filename.endswith(_CONFTEST):
            return True
        if filename.startswith(("<", _PACKAGE)):
            is_example = filename.startswith(_EXAMPLE)
            self.any_example = self.any_example or is_example
            return is_example
        inside = self._inside_library and filename.startswith(self.rootdir)
        path = (
            filename[len(self.rootdir) :] if inside else filename
        )  # With `--pyargs package`, rootdir can be an installed package.
        if "site-packages" in path or "dist-packages" in path:
            return False
        return inside or not filename.startswith(_STANDARD_LIBRARY)

    def relative(self, filename: str) -> str:
        """Return the path to report: relative to rootdir if it is below it, with forward slashes."""
        if filename.startswith(self.rootdir):
            filename = filename[len(self.rootdir) :]
        return filename.replace(os.sep, "/")


Walked = tuple["list[tuple[CodeType, int]]", "int | None", bool]
"""The calls, innermost first; the index of the user's call; whether that call awaits the stack instead of being on it."""


class CallSite:
    """The stack at the creation of a socket."""

    thread: CallSite | None = None
    """The start of the thread that opened it; None for the thread that runs the tests."""

    def __init__(self, calls: list[tuple[CodeType, int]], users: int | None, awaited: bool) -> None:
        self._calls = calls
        self._users = users
        self._awaited = awaited

    @property
    def in_users_code(self) -> bool:
        """Whether a line of the user's code is known."""
        return self._users is not None

    @property
    def called_by_user(self) -> bool:
        """Whether a line of the user's code was on the stack, and not only one that awaits the opening code."""
        return self._users is not None and not self._awaited

    @property
    def in_a_loop(self) -> bool:
        """Whether an event loop lies between the user's line and the opening call: the line then only runs the loop."""
        return any(code.co_name == "_run_once" for code, _ in self._calls[: self._users])

    @property
    def task(self) -> set[CodeType]:
        """The functions that opened it: the user's, or else a library's. One of them runs while that work continues."""
        if self._users is not None:
            return {self._calls[self._users][0]}
        return {code for code, _ in self._calls if not code.co_filename.endswith("threading.py")}

    @property
    def codes(self) -> set[CodeType]:
        """The code of every function on the stack."""
        return {code for code, _ in self._calls}

    @property
    def is_a_test_tools(self) -> bool:
        """Whether a tool that runs tests opened it for itself, such as rerunfailures in an in-process pytest."""
        for code, _ in self._calls[: self._users]:
            _, installed, path = code.co_filename.replace(os.sep, "/").rpartition("-packages/")
            if installed:
                return path.partition("/")[0].removesuffix(".py") in TEST_TOOLS
        return False

    def opened_at(self, places: Places) -> Frame | None:
        """Return the innermost line of the user's code.

        If there is none, return the user's line that started the thread, or else the innermost line outside the socket
        module.
        """
        if self._users is not None:
            return _frame(self._calls[self._users], places)
        if self.thread is not None and self.thread.in_users_code:
            return self.thread.opened_at(places)
        for call in self._calls:
            if not call[0].co_filename.endswith(("socket.py", "ssl.py")):
                return _frame(call, places)
        return None

    def stack(self, places: Places) -> tuple[Frame, ...]:
        """Return a bounded stack, innermost first: the calls next to the socket, and those next to the user's line."""
        calls = self._calls
        if len(calls) > _SHOWN:
            end = (self._users or 0) + 1 + _BEYOND
            tail = calls[max(_SHOWN // 2, end - _SHOWN // 2) : end]
            calls = calls[: _SHOWN // 2] + tail
        return tuple(_frame(call, places) for call in calls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallSite) and self._calls == other._calls

    def __hash__(self) -> int:
        return hash(tuple(self._calls))


def _frame(call: tuple[CodeType, int], places: Places) -> Frame:
    from pytest_sockets.leaks.findings import Frame

    code, offset = call
    return Frame(places.relative(code.co_filename), _line(code, offset), code.co_name)


def _line(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def capture(frame: FrameType | None, places: Places) -> CallSite:
    """Return the calls from `frame` outwards, up to the first line of the user's code and a few more of the user's lines."""
    return CallSite(*walk_up(frame, places))


def walk_up(frame: FrameType | None, places: Places) -> Walked:
    """Return the calls from which `capture` makes a CallSite."""
    # An attribute of a frame or of code costs as much as ten other steps, so each is read once.
    calls: list[tuple[CodeType, int]] = []
    users: int | None = None
    innermost, marked = frame, places.marked
    for _ in _STEPS:
        if frame is None:
            break
        code = frame.f_code
        try:
            mark = marked[code.co_filename]
        except KeyError:
            mark = places.mark(code.co_filename)
        if users is not None:
            if mark != USERS or len(calls) > users + _BEYOND:
                break
        elif mark == USERS:
            users = len(calls)
        elif mark and code.co_name in _PYTEST_DOORS:
            break  # The callers of pytest, perhaps a script of the user, opened nothing.
        calls.append((code, frame.f_lasti))
        frame = frame.f_back
    if users is None:
        return calls, _append_waiting_coroutine(calls, places), True
    if places.any_example and calls[-1][0].co_filename.startswith(_EXAMPLE):
        calls = _as_written(calls, innermost)
    return calls, users, False


_PYTEST_DOORS: Final = frozenset(
    {"pytest_runtest_protocol", "call_and_report", "pytest_fixture_setup", "wrap_session"}
)


def _as_written(calls: list[tuple[CodeType, int]], frame: FrameType | None) -> list[tuple[CodeType, int]]:
    """Return the calls with the real file and lines of doctest examples.

    doctest compiles each example as `<doctest NAME[NUMBER]>`, starting at line 1. The runner's frame has the real place.
    """
    while frame is not None and not (
        frame.f_code.co_name == "__run" and "doctest" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    try:
        test = frame.f_locals["test"]  # type: ignore[union-attr]
        return [(_moved(code, test), offset) for code, offset in calls]
    except Exception:  # noqa: BLE001  (doctest's internals; some docstrings have no known line)
        return calls


def _moved(code: CodeType, test: Any) -> CodeType:
    name, _, number = code.co_filename[len(_EXAMPLE) : -2].rpartition("[")
    if not code.co_filename.startswith(_EXAMPLE) or name != test.name:
        return code
    above = test.lineno + test.examples[int(number)].lineno
    return code.replace(co_filename=test.filename, co_firstlineno=code.co_firstlineno + above)


def _append_waiting_coroutine(calls: list[tuple[CodeType, int]], places: Places) -> int | None:
    """Append the user's line that awaits the running child task (happy eyeballs in anyio, trio and aiohttp).

    Return its index in `calls`; None if it was not found.
    """
    try:
        found = {
            call for coroutine in _waiting_coroutines() if (call := _innermost_users_call(coroutine, places))
        }
    except Exception:  # noqa: BLE001  (other libraries' internals; only this line is missing then)
        return None
    if len(found) != 1:  # With tasks of several tests in one loop, a guess could blame the wrong line.
        return None
    calls.append(found.pop())
    return len(calls) - 1


def _waiting_coroutines() -> Iterator[object]:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        try:
            task = trio.lowlevel.current_task()
        except RuntimeError:
            return
        while task.parent_nursery is not None:
            task = task.parent_nursery.parent_task
            yield task.coro
        return
    events = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is not None:
        for waiting in sys.modules["asyncio.tasks"].all_tasks(loop):
            yield waiting.get_coro()


_SUSPENDABLE: Final = {
    types.CoroutineType: ("cr_running", "cr_frame", "cr_await"),
    types.GeneratorType: ("gi_running", "gi_frame", "gi_yieldfrom"),
    types.AsyncGeneratorType: ("ag_running", "ag_frame", "ag_await"),
}
"""For each type, the attributes with its running state, its frame and the object that it awaits."""


def _innermost_users_call(coroutine: object, places: Places) -> tuple[CodeType, int] | None:
    """Follow a chain of suspended coroutines inwards. Return the innermost call of the user's code.

    The awaited object of a running coroutine is never read: before 3.13, CPython reads an arbitrary word of the stack and
    crashes.
    """
    call = None
    for _ in range(_DEPTH):
        attributes = _SUSPENDABLE.get(type(coroutine))
        if attributes is None:
            break
        running, frame_name, awaited = attributes
        if getattr(coroutine, running):
            break
        frame = getattr(coroutine, frame_name)
        if frame is None:
            break
        if places.is_users(frame.f_code.co_filename):
            call = (frame.f_code, frame.f_lasti)
        coroutine = getattr(coroutine, awaited)
    return call
