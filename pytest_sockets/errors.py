"""One family of errors: everything that pytest-sockets raises on purpose is a `SocketsError`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from pytest_sockets.printable import cut_in_middle

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_QUOTED: Final = 80


class SocketsError(Exception):
    """The root of the family."""


class SettingError(SocketsError, ValueError):
    """A setting has a value that cannot be used.

    `origin` says where it was set ("command line", "ini file tox.ini", "mark on tests/test_a.py::test_x").
    """

    def __init__(self, problem: str, origin: str = "") -> None:
        super().__init__(f"{origin}: {problem}" if origin else problem)
        self.problem = problem
        self.origin = origin

    def at(self, origin: str) -> SettingError:
        """The same problem, with the place where it was set."""
        return SettingError(self.problem, origin)


class QueryError(SocketsError, ValueError):
    """A port, address, protocol or status word that nothing can match; the text says what can be asked."""


class QueryTypeError(QueryError, TypeError):
    """A port, address or status word of the wrong type: a bool or str port, for example."""


class SocketLeakError(SocketsError):
    """A test or fixture left sockets open and the mode for that is `error`."""


class SocketLeakWarning(SocketsError, UserWarning):
    """A test or fixture left sockets open and the mode for that is `warn`."""


class SocketAssertionError(SocketsError, AssertionError):
    """An `assert_*` function found the socket table different from what was asserted."""


class PortUnavailable(SocketsError):
    """No port that meets the request is free."""


class WaitTimeout(SocketsError, TimeoutError):
    """The awaited condition did not come true in time; the text says what is true instead."""


class ProcessDied(WaitTimeout):
    """The process that was to open the port ended first; the text has its exit status and last stderr lines."""


class ServerFault(SocketsError):
    """A server of this plugin could not do what was asked of it."""


class FamilyUnavailable(ServerFault):
    """This host has no such address family (IPv6, unix); fixtures turn it into a skip."""


def quoted(value: object) -> str:
    """Return `repr(value)`, cut in the middle to 80 characters at most: a quoted value must not bury the message."""
    return cut_in_middle(repr(value), _QUOTED)


def blames_the_call(function: Callable[P, T]) -> Callable[P, T]:
    """A `SocketsError` of `function` is shown at the line that made the call, without this plugin's frames below it.

    Any other error keeps them: it would be a bug of this plugin.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except SocketsError as error:
            if error.__cause__ is not None:
                error.__cause__.__traceback__ = None
            raise error.with_traceback(None) from error.__cause__

    return call


class BlamesTheCall(type):
    """A class whose constructor shows a `SocketsError` at the line that called it."""

    if not TYPE_CHECKING:  # type checkers read the constructor's own parameters

        @blames_the_call
        def __call__(cls, *args, **kwargs):
            """Make an instance."""
            __tracebackhide__ = True  # a wrong keyword is a TypeError of the call
            return super().__call__(*args, **kwargs)
