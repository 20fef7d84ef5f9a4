"""Network-aware tests for pytest: leaked sockets named by line and owner, free ports, servers that break on demand.

Everything public is here; a name is imported when it is first used, so that loading the plugin stays cheap.
"""

from __future__ import annotations

import contextlib as _contextlib
import sys as _sys
from importlib import import_module
from importlib.machinery import PathFinder as _PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable as _Callable
    from collections.abc import Iterator as _Iterator
    from importlib.machinery import ModuleSpec as _ModuleSpec

    from pytest_sockets.asserting.checks import assert_listening as assert_listening
    from pytest_sockets.asserting.checks import assert_loopback_only as assert_loopback_only
    from pytest_sockets.asserting.checks import assert_no_connections as assert_no_connections
    from pytest_sockets.asserting.checks import assert_not_listening as assert_not_listening
    from pytest_sockets.asserting.holder_text import Holder as Holder
    from pytest_sockets.asserting.holder_text import who_holds as who_holds
    from pytest_sockets.asserting.probing import probe as probe
    from pytest_sockets.asserting.view import SocketsView as SocketsView
    from pytest_sockets.asserting.waits import async_wait_listening as async_wait_listening
    from pytest_sockets.asserting.waits import async_wait_no_connections as async_wait_no_connections
    from pytest_sockets.asserting.waits import async_wait_not_listening as async_wait_not_listening
    from pytest_sockets.asserting.waits import wait_listening as wait_listening
    from pytest_sockets.asserting.waits import wait_no_connections as wait_no_connections
    from pytest_sockets.asserting.waits import wait_not_listening as wait_not_listening
    from pytest_sockets.errors import FamilyUnavailable as FamilyUnavailable
    from pytest_sockets.errors import PortUnavailable as PortUnavailable
    from pytest_sockets.errors import ProcessDied as ProcessDied
    from pytest_sockets.errors import QueryError as QueryError
    from pytest_sockets.errors import QueryTypeError as QueryTypeError
    from pytest_sockets.errors import ServerFault as ServerFault
    from pytest_sockets.errors import SettingError as SettingError
    from pytest_sockets.errors import SocketAssertionError as SocketAssertionError
    from pytest_sockets.errors import SocketLeakError as SocketLeakError
    from pytest_sockets.errors import SocketLeakWarning as SocketLeakWarning
    from pytest_sockets.errors import SocketsError as SocketsError
    from pytest_sockets.errors import WaitTimeout as WaitTimeout
    from pytest_sockets.model import Endpoint as Endpoint
    from pytest_sockets.model import SocketEntry as SocketEntry
    from pytest_sockets.model import SocketTable as SocketTable
    from pytest_sockets.processes.factory import ServerProcessFactory as ServerProcessFactory
    from pytest_sockets.processes.server_process import ServerProcess as ServerProcess
    from pytest_sockets.servers.echo import EchoServer as EchoServer
    from pytest_sockets.servers.factory import EchoServerFactory as EchoServerFactory
    from pytest_sockets.servers.factory import FaultProxyFactory as FaultProxyFactory
    from pytest_sockets.servers.proxy import FaultProxy as FaultProxy
    from pytest_sockets.servers.records import ConnectionRecord as ConnectionRecord
    from pytest_sockets.servers.records import DatagramRecord as DatagramRecord
    from pytest_sockets.table.reading import socket_table as socket_table

_HOMES = {
    "pytest_sockets.asserting.checks": (
        "assert_listening", "assert_loopback_only", "assert_no_connections", "assert_not_listening",
    ),
    "pytest_sockets.asserting.holder_text": ("Holder", "who_holds"),
    "pytest_sockets.asserting.probing": ("probe",),
    "pytest_sockets.asserting.view": ("SocketsView",),
    "pytest_sockets.asserting.waits": (
        "async_wait_listening", "async_wait_no_connections", "async_wait_not_listening", "wait_listening",
        "wait_no_connections", "wait_not_listening",
    ),
    "pytest_sockets.errors": (
        "FamilyUnavailable", "PortUnavailable", "ProcessDied", "QueryError", "QueryTypeError", "ServerFault",
        "SettingError", "SocketAssertionError", "SocketLeakError", "SocketLeakWarning", "SocketsError", "WaitTimeout",
    ),
    "pytest_sockets.model": ("Endpoint", "SocketEntry", "SocketTable"),
    "pytest_sockets.processes.factory": ("ServerProcessFactory",),
    "pytest_sockets.processes.server_process": ("ServerProcess",),
    "pytest_sockets.servers.echo": ("EchoServer",),
    "pytest_sockets.servers.factory": ("EchoServerFactory", "FaultProxyFactory"),
    "pytest_sockets.servers.proxy": ("FaultProxy",),
    "pytest_sockets.servers.records": ("ConnectionRecord", "DatagramRecord"),
    "pytest_sockets.table.reading": ("socket_table",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


class _OwnModules:
    """A finder of our own modules as the interpreter finds them."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> _ModuleSpec | None:
        """None for every other module."""
        return _PathFinder.find_spec(name, path, target) if name.startswith("pytest_sockets.") else None


@_contextlib.contextmanager
def _not_rewritten() -> _Iterator[None]:
    """What is imported meanwhile is imported without pytest's rewriting of asserts.

    A plugin's modules are rewritten for the asserts in them, of which ours need none, and are read byte by byte then: 36 of
    the 95 million instructions of our start went there.
    """
    _sys.meta_path.insert(0, _OwnModules)
    try:
        yield
    finally:
        with _contextlib.suppress(ValueError):
            _sys.meta_path.remove(_OwnModules)


_opener_lookup: _Callable[[int], str | None] | None = None
"""What opened the socket with this inode ("test test_a.py::test_x")? Set in every run, by the plugin, and hardly ever asked,
by `asserting.openers`: so it is here, where setting it imports nothing."""


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
