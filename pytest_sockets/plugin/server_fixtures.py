"""The fixtures of servers. The servers themselves do not know pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_sockets.plugin import server_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sockets.servers.certificates import Authority
    from pytest_sockets.servers.echo import EchoServer
    from pytest_sockets.servers.factory import (
        EchoServerFactory,
        FaultProxyFactory,
        ScriptedServerFactory,
        ServerFactory,
    )

F = TypeVar("F", bound="ServerFactory[Any]")

__all__ = [
    "echo_server_factory", "fault_proxy_factory", "scripted_server_factory", "session_echo_server_factory",
    "session_scripted_server_factory", "sockets_tls", "tcp_echo_server", "tls_echo_server",
    "udp_echo_server", "unix_echo_server",
]  # fmt: skip
"""The only names that pytest inspects, see `hook_object.HookObject`."""


def _skipping(make: Callable[..., Any]) -> Callable[..., Any]:
    """Skip the test if this host lacks the address family."""

    def made(*args: Any, **settings: Any) -> Any:
        __tracebackhide__ = True
        from pytest_sockets.errors import FamilyUnavailable

        try:
            return make(*args, **settings)
        except FamilyUnavailable as error:
            pytest.skip(str(error))

    return made


def _factory(
    make_factory: type[F], name: str, make: Callable[..., Any], node: pytest.Item | pytest.Session
) -> F:
    owner = f"the {name} of {node.nodeid}" if isinstance(node, pytest.Item) else f"the {name} of this session"
    return make_factory(_skipping(make), server_reports.remember_on(node), owner)


@pytest.fixture
def echo_server_factory(request: pytest.FixtureRequest) -> Iterator[EchoServerFactory]:
    """Makes echo servers for this test: `factory("tcp", host="::1", faults=[...])`; stopped after it."""
    __tracebackhide__ = True
    from pytest_sockets.servers.echo import EchoServer
    from pytest_sockets.servers.factory import EchoServerFactory

    factory = _factory(EchoServerFactory, "echo_server_factory", EchoServer, request.node)
    yield factory
    factory.close()


@pytest.fixture(scope="session")
def session_echo_server_factory(request: pytest.FixtureRequest) -> Iterator[EchoServerFactory]:
    """Makes echo servers that run until the session ends."""
    __tracebackhide__ = True
    from pytest_sockets.servers.echo import EchoServer
    from pytest_sockets.servers.factory import EchoServerFactory

    factory = _factory(EchoServerFactory, "session_echo_server_factory", EchoServer, request.session)
    yield factory
    factory.close()


@pytest.fixture
def scripted_server_factory(request: pytest.FixtureRequest) -> Iterator[ScriptedServerFactory]:
    """Makes servers for your own protocol: `factory(handler)`; `handler(conn)` runs in a thread for each connection.

    A handler that fails, or still waits for its client after the test, fails the test.
    """
    __tracebackhide__ = True
    from pytest_sockets.servers.factory import ScriptedServerFactory
    from pytest_sockets.servers.scripted import ScriptedServer

    factory = _factory(ScriptedServerFactory, "scripted_server_factory", ScriptedServer, request.node)
    yield factory
    factory.close()


@pytest.fixture(scope="session")
def session_scripted_server_factory(request: pytest.FixtureRequest) -> Iterator[ScriptedServerFactory]:
    """Makes scripted servers that run until the session ends."""
    __tracebackhide__ = True
    from pytest_sockets.servers.factory import ScriptedServerFactory
    from pytest_sockets.servers.scripted import ScriptedServer

    factory = _factory(
        ScriptedServerFactory, "session_scripted_server_factory", ScriptedServer, request.session
    )
    yield factory
    factory.close()


@pytest.fixture
def tcp_echo_server(echo_server_factory: EchoServerFactory) -> EchoServer:
    """A TCP echo server on 127.0.0.1 and a free port."""
    return echo_server_factory("tcp")


@pytest.fixture
def udp_echo_server(echo_server_factory: EchoServerFactory) -> EchoServer:
    """A UDP echo server on 127.0.0.1 and a free port."""
    return echo_server_factory("udp")


@pytest.fixture
def unix_echo_server(echo_server_factory: EchoServerFactory) -> EchoServer:
    """An echo server on a unix socket in a directory that only this user can enter."""
    return echo_server_factory("unix")


@pytest.fixture
def tls_echo_server(echo_server_factory: EchoServerFactory) -> EchoServer:
    """A TLS echo server on 127.0.0.1 whose certificate `sockets_tls` signed. Needs the extra `tls`."""
    return echo_server_factory("tls")


@pytest.fixture
def fault_proxy_factory(request: pytest.FixtureRequest) -> Iterator[FaultProxyFactory]:
    """Puts faults in front of a real service: `factory(("127.0.0.1", 6379), faults=[...])`; stopped after the test."""
    __tracebackhide__ = True
    from pytest_sockets.servers.factory import FaultProxyFactory
    from pytest_sockets.servers.proxy import FaultProxy

    factory = _factory(FaultProxyFactory, "fault_proxy_factory", FaultProxy, request.node)
    yield factory
    factory.close()


@pytest.fixture(scope="session")
def sockets_tls() -> Iterator[Authority]:
    """A throw-away CA: `.server_context`, `.client_context`, `.ca_pem`, `.ca_file`. Needs the extra `tls`."""
    from pytest_sockets.servers.certificates import process_authority

    authority = process_authority()
    yield authority
    authority.close()


def __dir__() -> list[str]:
    return __all__
