"""The address that could not be bound is found in the error's text, or in the source of the failing call."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from pytest_sockets.asserting import bind_errors, in_use
from pytest_sockets.asserting.in_use import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (
            "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use",
            "127.0.0.1",
            8080,
        ),
        (
            "[Errno 98] error while attempting to bind on address ('::1', 8080, 0, 0): address already in use",
            "::1",
            8080,
        ),
        ("[Errno 98] Address already in use (while attempting to bind on address ('', 99))", None, 99),
        ("nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: Address already in use)", "0.0.0.0", 8080),
        ("nginx: [emerg] bind() to [::]:8080 failed (98: Address already in use)", "::", 8080),
        (
            "# Warning: Could not create server TCP listening socket *:6379: bind: Address already in use",
            None,
            6379,
        ),
        ("Error: listen EADDRINUSE: address already in use :::3000", "::", 3000),
        ("Error: listen EADDRINUSE: address already in use 127.0.0.1:3000", "127.0.0.1", 3000),
        ("listen tcp :8080: bind: address already in use", None, 8080),
        ("Address already in use\nPort 5000 is in use by another program.", None, 5000),
        ("OSError: [Errno 48] Address already in use: ('localhost', 7000)", "localhost", 7000),
        ("db.example.com:5432: Address already in use", "db.example.com", 5432),
        (
            "Error response from daemon: driver failed programming external connectivity on endpoint db: "
            "Bind for 0.0.0.0:5432 failed: port is already allocated",
            "0.0.0.0",
            5432,
        ),
        (
            "failed to bind host port for 0.0.0.0:5432:172.17.0.2:5432/tcp: address already in use",
            "0.0.0.0",
            5432,
        ),
        (
            "  code: 'EADDRINUSE',\n  errno: -98,\n  syscall: 'listen',\n  address: '::',\n  port: 3000",
            None,
            3000,
        ),
        ("Error: Port 5173 is already in use", None, 5173),
        ("Web server failed to start. Port 8080 was already in use.", None, 8080),
        ("Something is already running on port 3000.", None, 3000),
        ('Os { code: 98, kind: AddrInUse, message: "Address in use" }', None, None),
        ("/tests/test_x.py:7: OSError: [Errno 98] Address already in use", None, None),
    ],
)
def test_a_text_that_says_it_names_the_address(text: str, host: str | None, port: int):
    found = bind_errors.in_text(f"before\n{text}\nafter")
    assert found is not None
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "Failed to bind to address 127.0.0.1:50051; set GRPC_VERBOSITY=debug environment variable to see details.",
        "Failed to add port to server: No address added out of total 1 resolved for '127.0.0.1:50051'",
    ],
)
def test_grpc_only_says_that_a_bind_failed(text: str):
    assert bind_errors.in_text(text) == Address("127.0.0.1", 50051, certain=False)
    assert bind_errors.in_error(RuntimeError(text)) == Address("127.0.0.1", 50051, certain=False)


def test_an_uncertain_address_is_explained_only_if_something_holds_it():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1], certain=False)
        assert "is held by:" in (in_use.explanation(address) or "")
    assert in_use.explanation(address) is None
    assert "has no visible holder now" in (in_use.explanation(address._replace(certain=True)) or "")


@pytest.mark.parametrize(
    "text", ["", "bind() to 0.0.0.0:8080 failed (13: Permission denied)", "connection refused: 127.0.0.1:80"]
)
def test_another_text_is_none(text: str):
    assert bind_errors.in_text(text) is None
    assert bind_errors.in_error(RuntimeError(text)) is None


def taken():
    return socket.create_server(("127.0.0.1", 0))


def caught(call) -> BaseException:
    with pytest.raises(Exception) as info:
        call()
    return info.value


def test_a_plain_bind_is_found_in_its_source():
    with (
        taken() as server,
        socket.socket() as second,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(type=socket.SOCK_DGRAM) as udp2,
    ):
        address = server.getsockname()
        config = {"port": address[1]}

        def by_name():
            second.bind(address)

        def by_parts():
            second.bind(("127.0.0.1", config["port"]))

        def by_call():
            second.bind(server.getsockname())

        for call in (by_name, by_parts, by_call):
            assert bind_errors.in_error(caught(call)) == Address("127.0.0.1", address[1], "tcp")
        udp.bind(("127.0.0.1", 0))
        assert bind_errors.in_error(caught(lambda: udp2.bind(udp.getsockname()))) == Address(
            *udp.getsockname(), "udp"
        )


def test_a_server_in_the_standard_library_is_found_there(monkeypatch: pytest.MonkeyPatch):
    import http.server

    with taken() as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(http.server.HTTPServer, "allow_reuse_address", False)
        error = caught(
            lambda: http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
        )
        assert bind_errors.in_error(error) == Address("127.0.0.1", port, "tcp")


def test_asyncio_and_uvloop_say_it():
    import uvloop

    async def serve(port: int) -> None:
        await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)

    with taken() as server:
        port = server.getsockname()[1]
        for run in (asyncio.run, uvloop.run):
            found = bind_errors.in_error(caught(lambda run=run: run(serve(port))))
            assert found is not None
            assert (found.host, found.port) == ("127.0.0.1", port)


def test_the_chain_is_searched_through_causes_contexts_and_groups():
    inner = OSError(errno.EADDRINUSE, "in use on ('127.0.0.1', 81)")
    outer = RuntimeError("server did not start")
    outer.__cause__ = inner
    inner.__context__ = outer  # a circle
    assert bind_errors.in_error(outer) == Address("127.0.0.1", 81)
    grouped = ValueError("group")
    grouped.exceptions = (RuntimeError("x"), inner)
    assert bind_errors.in_error(grouped) == Address("127.0.0.1", 81)
    assert bind_errors.in_error(RuntimeError("server did not start")) is None


def test_an_error_that_names_nothing_is_still_known_and_other_errnos_are_not():
    assert bind_errors.in_error(OSError(errno.EADDRINUSE, "x")) == Address(None, None)
    assert bind_errors.in_error(OSError(errno.EACCES, "('127.0.0.1', 80)")) is None
    assert bind_errors.in_error(OSError(10048, "WSAEADDRINUSE")) == Address(None, None)


def test_a_unix_path_is_an_address_too(tmp_path):
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(path)
        assert bind_errors.in_error(caught(lambda: two.bind(path))) == Address(path, None)


def test_evaluating_the_users_objects_never_raises_or_calls():
    class Trap:
        @property
        def port(self):
            raise RuntimeError("never mind")

    trap = Trap()
    error = OSError(errno.EADDRINUSE, "x")

    def fails():
        class Fake:
            def bind(self, address):
                raise error

        try:
            port = trap.port
        except RuntimeError:
            port = 1
        Fake().bind(("127.0.0.1", trap.port if port is None else port + 0))

    assert bind_errors.in_error(caught(fails)) == Address(None, None)


class Service:
    """An object whose properties must not run once the test has failed."""

    def __init__(self, port: int) -> None:
        self.plain = port
        self.asked = 0

    @property
    def computed(self) -> int:
        self.asked += 1
        return self.plain


def test_a_property_is_not_run_after_the_failure():
    with taken() as server, socket.socket() as sock:
        service = Service(server.getsockname()[1])
        with pytest.raises(OSError, match="in use") as caught:
            sock.bind(("127.0.0.1", service.computed))
    assert service.asked == 1
    found = bind_errors.in_error(caught.value)
    assert found is not None
    assert found.port is None
    assert service.asked == 1


def test_the_twin_a_plain_attribute_is_read():
    with taken() as server, socket.socket() as sock:
        service = Service(server.getsockname()[1])
        with pytest.raises(OSError, match="in use") as caught:
            sock.bind(("127.0.0.1", service.plain))
    found = bind_errors.in_error(caught.value)
    assert found is not None
    assert found.port == service.plain
