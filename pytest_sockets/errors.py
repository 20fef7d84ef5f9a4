"""The errors: everything that pytest-sockets raises on purpose is a `SocketsError`."""

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
    """The base class of all errors of pytest-sockets."""


class SettingError(SocketsError, ValueError):
    """A setting has an invalid value.

    `origin` says where it was set ("command line", "ini file tox.ini", "mark on tests/test_a.py::test_x").
    """

    def __init__(self, problem: str, origin: str = "") -> None:
        super().__init__(f"{origin}: {problem}" if origin else problem)
        self.problem = problem
        self.origin = origin

    def at(self, origin: str) -> SettingError:
        """Return the same problem with the place where the value was set."""
        return SettingError(self.problem, origin)


class QueryError(SocketsError, ValueError):
    """A port, address, protocol or status that nothing can match. The text lists what is valid."""


class QueryTypeError(QueryError, TypeError):
    """A port, address or status word of the wrong type: a bool or str port, for example."""


class SocketLeakError(SocketsError):
    """A test or fixture left sockets open, and the mode is `error`."""


class SocketLeakWarning(SocketsError, UserWarning):
    """A test or fixture left sockets open, and the mode is `warn`."""


class SocketAssertionError(SocketsError, AssertionError):
    """An `assert_*` function found a different socket table than the one asserted."""


class PortUnavailable(SocketsError):
    """No port is free that meets the request."""


class WaitTimeout(SocketsError, TimeoutError):
    """The awaited condition did not become true in time. The text describes the current state."""


class ProcessDied(WaitTimeout):
    """The process ended before it opened the port. The text has its exit status and the last lines of its output."""


class ServerFault(SocketsError):
    """A server of this plugin could not do what the caller requested."""


class FamilyUnavailable(ServerFault):
    """This host lacks an address family (IPv6, unix). Fixtures turn this error into a skip."""


def quoted(value: object) -> str:
    """Return `repr(value)`, cut in the middle to at most 80 characters, so that it does not hide the message."""
    return cut_in_middle(repr(value), _QUOTED)


def blames_the_call(function: Callable[P, T]) -> Callable[P, T]:
    """Show a `SocketsError` of `function` at the line of the call, without this plugin's frames below it.

    Other errors keep their frames: they are bugs of this plugin.
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
    """Metaclass of classes whose constructor shows a `SocketsError` at the line of the call."""

    if not TYPE_CHECKING:  # type checkers read the constructor's own parameters

        @blames_the_call
        def __call__(cls, *args, **kwargs):
            """Make an instance."""
            __tracebackhide__ = True  # a wrong keyword is a TypeError of the call
            return super().__call__(*args, **kwargs)
