"""Network-aware tests for pytest: leaks named by line and owner, free ports, servers that break on demand.

Every public name is imported on first use, so that loading the plugin stays cheap. Type checkers read `__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = {
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
    "pytest_sockets.leak_check": ("no_leaks",),
    "pytest_sockets.leaks.findings": ("Finding",),
    "pytest_sockets.literals": (
        "ClientCertificate", "ClosedBy", "Mode", "PortProtocol", "ProbeResult", "ReservedProtocol", "Scope",
        "SocketProtocol", "Status", "Transport",
    ),
    "pytest_sockets.model": ("Endpoint", "SocketEntry", "SocketTable"),
    "pytest_sockets.ports.factory": ("PortFactory", "reserve_port"),
    "pytest_sockets.ports.listener": ("Listener",),
    "pytest_sockets.ports.pool": ("Released",),
    "pytest_sockets.processes.factory": ("ServerProcessFactory",),
    "pytest_sockets.processes.server_process": ("ServerProcess",),
    "pytest_sockets.servers.certificates": ("Authority", "Certificate"),
    "pytest_sockets.servers.echo": ("EchoServer",),
    "pytest_sockets.servers.factory": ("EchoServerFactory", "FaultProxyFactory", "ScriptedServerFactory"),
    "pytest_sockets.servers.proxy": ("FaultProxy",),
    "pytest_sockets.servers.records": ("ConnectionRecord", "DatagramRecord"),
    "pytest_sockets.servers.scripted": ("ScriptedServer",),
    "pytest_sockets.servers.scripted_connection": ("ScriptedConnection",),
    "pytest_sockets.servers.transcript": ("TranscriptEvent",),
    "pytest_sockets.table.reading": ("socket_table",),
}  # fmt: skip
"""The public names by the module that defines them. `__init__.pyi` repeats them; tests/typing compares the two."""
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return __all__
