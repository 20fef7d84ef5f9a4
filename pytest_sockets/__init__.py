"""Network-aware tests for pytest: leaked sockets named by line and owner, free ports, servers that break on demand.

Everything public is here; a name is imported when it is first used, so that loading the plugin stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sockets.errors import PortUnavailable as PortUnavailable
    from pytest_sockets.errors import ProcessDied as ProcessDied
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

_HOMES = {
    "pytest_sockets.errors": (
        "PortUnavailable", "ProcessDied", "ServerFault", "SettingError", "SocketAssertionError", "SocketLeakError",
        "SocketLeakWarning", "SocketsError", "WaitTimeout",
    ),
    "pytest_sockets.model": ("Endpoint", "SocketEntry", "SocketTable"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
