"""`probe` returns open, closed or filtered, and leaves nothing behind."""

from __future__ import annotations

import errno
import re
import socket
import struct

import pytest

from pytest_sockets.asserting import probing
from pytest_sockets.asserting.probing import probe
from pytest_sockets.errors import QueryError
from pytest_sockets.table.readers import reader


def left_by(address: tuple) -> int:
    """Return how many TIME_WAIT have this address."""
    return len(
        reader().with_status("TIME_WAIT").where(lambda entry: address[:2] in (entry.local, entry.remote))
    )


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_open_and_closed(family: int, host: str):
    with socket.create_server((host, 0), family=family) as server:
        address = server.getsockname()
        before = left_by(address)
        assert probe(address) == "open"
        assert probe(address[:2]) == "open"
        assert left_by(address) <= before  # the kernel reuses ports: those of other programs may be there
        accepted, _ = server.accept()
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(1)
    assert probe(address) == "closed"


def test_a_port_alone_means_this_host_by_any_family():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert probe(server.getsockname()[1]) == "open"
        assert probe(("127.0.0.1", server.getsockname()[1])) == "closed"


def test_a_full_backlog_is_filtered():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        try:
            for _ in range(4):
                fillers.append(socket.socket())
                fillers[-1].setblocking(False)
                fillers[-1].connect_ex(server.getsockname())
            assert probe(server.getsockname(), timeout=0.2) == "filtered"
        finally:
            for one in fillers:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()


def test_unix_open_closed_and_missing(tmp_path):
    path = str(tmp_path / "x.sock")
    assert probe(path) == "closed"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert probe(path) == "closed"
        server.listen()
        assert probe(path) == "open"
    assert probe(path) == "closed"


def test_a_connection_to_itself_is_closed(monkeypatch: pytest.MonkeyPatch):
    """A client that is given its own target port as its local port. The test binds it first to make sure."""

    class Bound(probing.RealSocket):
        def connect_ex(self, address):
            self.bind(address)
            return super().connect_ex(address)

    monkeypatch.setattr(probing, "RealSocket", Bound)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    assert probe(address) == "closed"


def test_the_error_names_the_invalid_part():
    with pytest.raises(QueryError, match=r"^\[1\] \(list\) is not a valid port; use an int$"):
        probe(("127.0.0.1", [1]))
    with pytest.raises(QueryError, match=r"^'x' \(str\) is not a valid port"):
        probe((("127.0.0.1", 80), "x"))


@pytest.mark.parametrize("host", ["::1%no-such-interface", "no.such.host.invalid", "x" * 64, "a\0b"])
def test_a_host_that_cannot_be_reached_from_here_is_a_clear_error(host: str):
    with pytest.raises(QueryError, match=re.escape(repr(host))):
        probe((host, 80))


@pytest.mark.parametrize("wrong", [True, "80", 0, ("127.0.0.1",), None, ("127.0.0.1", 70000)])
def test_an_invalid_address_is_a_clear_error(wrong: object):
    with pytest.raises(QueryError):
        probe(wrong)


def test_a_refusal_that_takes_two_seconds_is_closed_on_windows(monkeypatch: pytest.MonkeyPatch):
    """Windows repeats a refused SYN. The stand-in for its connect gives the refusal after two seconds of waiting."""
    waited = []

    def outcome(sock: object, timeout: float) -> int:
        waited.append(timeout)
        return errno.ECONNREFUSED if timeout > 2 else errno.ETIMEDOUT

    class Slow(probing.RealSocket):
        def connect_ex(self, address: object) -> int:
            return errno.EINPROGRESS

    monkeypatch.setattr(probing, "RealSocket", Slow)
    monkeypatch.setattr(probing, "_outcome", outcome)
    assert probe(("127.0.0.1", 9), timeout=0.5) == "filtered", (
        "the twin: elsewhere no answer in time means filtered"
    )
    monkeypatch.setattr(probing.sys, "platform", "win32")
    assert probe(("127.0.0.1", 9), timeout=0.5) == "closed"
    assert waited == [0.5, 3.0]
