"""An echo server answers from the moment it is made, with what it got or with what `reply` makes of it."""

from __future__ import annotations

import pytest

from pytest_sockets.errors import ServerFault, SettingError
from pytest_sockets.servers.echo import EchoServer

MIB = 1 << 20


@pytest.mark.parametrize("transport", ["tcp", "udp", "unix", "tls"])
def test_answers_with_what_it_got(echo_server_factory, clients, transport):
    """Every transport echoes the first message of the first client."""
    client = echo_server_factory(transport).connect()
    assert clients.exchange(client, b"hello") == b"hello"


def test_without_pytest_as_a_context_manager(clients):
    """No fixture is needed."""
    with EchoServer() as server:
        assert clients.exchange(server.connect(), b"x") == b"x"


def test_a_client_that_half_closes_gets_the_rest_and_the_end(tcp_echo_server, clients):
    """shutdown(SHUT_WR) after a request is answered in full, then closed."""
    client = tcp_echo_server.connect()
    client.sendall(b"a" * MIB)
    client.shutdown(1)
    assert clients.read(client, 2 * MIB) == b"a" * MIB


@pytest.mark.parametrize("mebibytes", [16, 60])
def test_sendall_before_recv_does_not_hang(tcp_echo_server, clients, mebibytes):
    """A client may send far more than the kernel buffers before it reads."""
    client = tcp_echo_server.connect(timeout=20)
    data = bytes(range(256)) * (mebibytes * MIB // 256)
    client.sendall(data)
    assert clients.read(client, len(data)) == data


def test_past_max_buffer_the_client_feels_back_pressure(echo_server_factory, clients):
    """The twin: with a small buffer the same sendall blocks, and goes on when the client reads."""
    client = echo_server_factory(max_buffer=64 * 1024).connect(timeout=0.3)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * 16 * MIB)
    client.settimeout(5)
    assert clients.read(client, 2 * MIB) == b"x" * 2 * MIB


def test_greeting_comes_first(echo_server_factory, clients):
    """`greeting` is sent at accept, before the client says anything."""
    client = echo_server_factory(greeting=b"220 ready\r\n").connect()
    assert clients.read(client, 11) == b"220 ready\r\n"


@pytest.mark.parametrize("transport", ["tcp", "udp", "unix", "tls"])
def test_reply_makes_the_answer(echo_server_factory, transport):
    """`reply` takes what came in and gives what goes out."""
    client = echo_server_factory(transport, reply=bytes.upper).connect()
    client.send(b"abc")
    assert client.recv(10) == b"ABC"


def test_reply_can_tell_connections_apart(echo_server_factory, clients):
    """A `reply` of two parameters gets the record of its connection."""
    server = echo_server_factory(reply=lambda data, record: b"%d" % record.number)
    first, second = server.connect(), server.connect()
    assert clients.exchange(second, b"?") == b"1"
    assert clients.exchange(first, b"?") == b"0"


def test_reply_may_stay_silent(echo_server_factory, clients):
    """None and b"" are no answer."""
    client = echo_server_factory(reply=lambda data: None if data == b"a" else b"").connect()
    client.sendall(b"a")
    assert clients.gets_nothing(client)
    client.sendall(b"b")
    assert clients.gets_nothing(client)


def test_reply_that_raises_resets_and_is_told():
    """The client gets a reset, and leaving the server raises what the reply raised."""

    def broken(data: bytes) -> bytes:
        raise KeyError("no such answer")

    server = EchoServer(reply=broken)
    client = server.connect()
    client.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    told = r"failed in connection 127\.0\.0\.1:.*KeyError: 'no such answer'"
    with pytest.raises(ServerFault, match=told) as caught, server:
        pass
    assert isinstance(caught.value.__cause__, KeyError)
    assert server.connections[0].closed_by == "server"


def test_a_reply_of_the_wrong_type_is_told():
    """str is the usual mistake."""
    server = EchoServer(reply=lambda data: "text")
    server.connect().sendall(b"x")
    with pytest.raises(ServerFault, match="reply must return bytes or None, not str"):
        server.wait_connections(2)
    server.stop()


def test_wait_raises_the_trouble_at_once_not_a_timeout(stopwatch):
    """Who waits for something that a broken reply prevents is told the reason without waiting."""
    server = EchoServer(reply=lambda data: 1 / 0)
    server.connect().sendall(b"x")
    watch = stopwatch()
    with pytest.raises(ServerFault, match="ZeroDivisionError"):
        server.wait_connections(2, timeout=5)
    assert watch.seconds < 1
    server.stop()


def test_urls():
    """`.url` is ready to paste; IPv6 hosts are in brackets."""
    with EchoServer() as server:
        assert server.url("redis") == f"redis://127.0.0.1:{server.port}"
    with EchoServer("unix") as server:
        assert server.url("unix") == f"unix://{server.address}"
        with pytest.raises(ServerFault, match=r"has no port; use \.address"):
            _ = server.port


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transport": "sctp"}, "'sctp' is not a transport; use one of: tcp, udp, unix, tls"),
        ({"port": 70000}, "port=70000 is not a valid port number"),
        ({"port": True}, "port=True is not a valid port number"),
        ({"host": "no.such.host.invalid"}, "is not an address of this machine"),
        ({"reply": b"x"}, "reply=b'x': use a function"),
        ({"greeting": "x"}, "greeting='x': use bytes"),
        ({"greeting": b"x", "transport": "udp"}, "UDP has no connections to greet"),
        ({"max_buffer": 0}, "max_buffer=0: use a whole number, 1 or more"),
        ({"record": -1}, "record=-1: use a whole number, 0 or more"),
        ({"backlog": 1.5}, "backlog=1.5: use a whole number"),
        ({"backlog": 10**12}, "backlog=1000000000000: use a whole number, 2147483647 at most"),
        ({"host": 5}, "host=5 (int): use a str"),
        ({"host": None}, "host=None (NoneType): use a str"),
        ({"host": "../../etc"}, "host='../../etc' is not an address of this machine"),
        ({"host": "a\0b"}, "host='a\\x00b' is not an address of this machine"),
        ({"transport": "unix", "host": 5}, "host=5 (int): use a path as str"),
        ({"transport": "unix", "host": "a\0b"}, "host='a\\x00b' (str): use a path as str"),
        ({"transport": "unix", "port": 80}, "port=80: a unix socket has no port; its path is named by host="),
        ({"transport": "unix", "port": "80"}, "port='80': a unix socket has no port"),
        ({"faults": [1]}, "1 is not a fault; they are in pytest_sockets.faults"),
        ({"faults": 5}, "5 is not a fault; they are in pytest_sockets.faults"),
        ({"faults": None}, "None is not a fault; they are in pytest_sockets.faults"),
        ({"faults": "Reset"}, "'Reset' is not a fault; they are in pytest_sockets.faults"),
    ],
)
def test_bad_settings_are_value_errors_that_say_what_is_wrong(settings, message):
    """Each names the setting and what it may be."""
    with pytest.raises(ValueError) as caught:
        EchoServer(**settings)
    assert isinstance(caught.value, SettingError)
    assert message in str(caught.value)
