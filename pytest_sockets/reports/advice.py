"""The fix for a leak: one sentence that fits the owner, the socket and the code that opened it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import LEFT_BEHIND, SETUP_RAISED
from pytest_sockets.leaks.rules import suggested_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.leaks.findings import Finding

_ASYNC_FILES: Final = re.compile(r"/(?:asyncio|aiohttp|anyio|trio|httpcore/_async|uvloop|asyncpg|aio\w+)[/.]")
_POOL_FILES: Final = re.compile(
    r"/(?:urllib3|requests|httpx|httpcore|redis|pymongo|sqlalchemy/pool|psycopg_pool|concurrent/futures)/"
)


def advice(finding: Finding) -> str:
    """Return the fix as one sentence without a full stop, from the first matching entry of the table."""
    return next(text(finding) for fits, text in _TABLE if fits(finding))


def _accepted(finding: Finding) -> bool:
    return any(frame.function in ("accept", "_accept_connection", "_accept") for frame in finding.stack)


def _uses(files: re.Pattern[str]) -> Callable[[Finding], bool]:
    return lambda finding: any(files.search(frame.file.replace("\\", "/")) for frame in finding.stack)


_is_async = _uses(_ASYNC_FILES)
_is_pool = _uses(_POOL_FILES)


def _unittest(finding: Finding) -> bool:
    return any(re.search(r"/unittest/(?:case|async_case)\.py$", frame.file) for frame in finding.stack)


def _note(words: str) -> Callable[[Finding], bool]:
    return lambda finding: words in (finding.note or "")


def _owner(*kinds: str) -> Callable[[Finding], bool]:
    return lambda finding: finding.owner_kind in kinds


def _ignore(finding: Finding) -> str:
    option = shlex.quote(f"--sockets-ignore={suggested_rule(finding)}")
    return f"close the library's object that opened it; or ignore it: {option}"


_TABLE: Final[tuple[tuple[Callable[[Finding], bool], Callable[[Finding], str]], ...]] = (
    (
        _note(LEFT_BEHIND),
        lambda _: (
            "end that process, too: run the server without a shell, or with start_new_session=True "
            "and os.killpg()"
        ),
    ),
    (
        lambda finding: finding.process is not None,
        lambda _: "end the process and wait for it in a fixture's teardown: proc.terminate(); proc.wait()",
    ),
    (
        _note(SETUP_RAISED),
        lambda _: "open it in a `with` that reaches over the `yield`, or close it where the set-up fails",
    ),
    (_owner("import"), lambda _: "open it in a fixture instead of at import time"),
    (
        _accepted,
        lambda _: (
            "stop the server that accepted it and wait for its thread or task; "
            "if it closes late by design: --sockets-grace=SECONDS"
        ),
    ),
    (
        _unittest,
        lambda finding: (
            "call self.addCleanup(sock.close) right after opening it, or use self.enterContext(...)"
            if finding.owner_kind == "test"
            else "call cls.addClassCleanup(sock.close) right after opening it, or close it in tearDownClass"
        ),
    ),
    (
        lambda finding: finding.owner_kind == "fixture" and _is_async(finding),
        lambda finding: (
            f"use `async with` around the `yield` of fixture {finding.owner_name!r}, "
            "or await its aclose() or wait_closed() after it"
        ),
    ),
    (
        _owner("fixture"),
        lambda finding: (
            f"close it after the `yield` of fixture {finding.owner_name!r}, or in request.addfinalizer()"
        ),
    ),
    (
        _owner("class", "module"),
        lambda finding: (
            f"close it in the teardown of the {finding.owner_kind}, or open it in a fixture with `yield`"
        ),
    ),
    (
        _owner("session"),
        lambda _: "close it in pytest_sessionfinish, or open it in a session fixture with `yield`",
    ),
    (
        lambda finding: finding.socket.status == "LISTEN",
        lambda finding: (
            "close the server also when the test fails: `async with server`, or close() and wait_closed()"
            if _is_async(finding)
            else "close the server also when the test fails: `with` or a fixture with `yield`"
        ),
    ),
    (
        _is_async,
        lambda _: "close the client also when the test fails: `async with`, or await its aclose() or close()",
    ),
    (lambda finding: finding.opened_at is None, _ignore),
    (
        _is_pool,
        lambda _: (
            "close the client or shut its pool down, also when the test fails: `with` or a fixture with `yield`"
        ),
    ),
    (
        lambda _: True,
        lambda _: (
            "close it also when the test fails: `with contextlib.closing(...)` or a fixture with `yield`"
        ),
    ),
)
"""The first match counts, so specific entries come first."""
