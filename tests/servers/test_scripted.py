"""Scripted servers: what a handler can do, what its failure says, and that none outlives its server."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time

import pytest

from pytest_sockets import ScriptedServer, ServerFault, SocketAssertionError, WaitTimeout, faults
from pytest_sockets.errors import SettingError
from pytest_sockets.servers import scripted_engine
from pytest_sockets.servers.byte_diff import byte_diff
from pytest_sockets.servers.certificates import process_authority


@contextlib.contextmanager
def failing(handler, **settings):
    """A scripted server that must fail; gives it and the list that gets its error."""
    found: list[ServerFault] = []
    server = ScriptedServer(handler, **settings)
    try:
        yield server, found
    finally:
        server.stop()
    with pytest.raises(ServerFault) as caught:
        server.check()
    found.append(caught.value)


def cause_of(handler, *sent: bytes, close: bool = False, **settings) -> BaseException:
    """What the handler raised when its client sent these pieces."""
    with failing(handler, **settings) as (server, found):
        client = server.connect()
        for piece in sent:
            client.sendall(piece)
        if close:
            client.close()
        with contextlib.suppress(ServerFault):
            server.wait_connections(1)
        with contextlib.suppress(ServerFault, WaitTimeout):
            server.wait_closed(timeout=0.3)
    assert found[0].__cause__ is not None
    return found[0].__cause__


class TestReading:
    def test_every_way_to_read_gives_exactly_its_share(self, clients):
        seen = []

        def handler(conn):
            seen.append(conn.recv_exactly(3))
            seen.append(conn.recv_until(b"\r\n"))
            seen.append(conn.expect(b"EXPECTED"))
            seen.append(conn.expect(re.compile(rb"\d+;")))
            seen.append(conn.readline())
            seen.append(conn.recv(2))
            conn.send(b"done")

        with ScriptedServer(handler) as server:
            client = server.connect()
            for byte in b"abcuntil\r\nEXPECTED123;line\nxyz":  # however it is cut into packets
                client.sendall(bytes([byte]))
            assert clients.read(client, 4) == b"done"
        assert seen[:5] == [b"abc", b"until\r\n", b"EXPECTED", b"123;", b"line\n"]
        assert seen[5] in (b"x", b"xy")

    def test_the_clients_end_is_an_empty_read_and_the_rest_of_a_line(self):
        seen = []

        def handler(conn):
            seen.extend(iter(conn.readline, b""))
            seen.append(conn.recv())
            conn.send(b"after its end")

        with ScriptedServer(handler) as server:
            client = server.connect()
            client.sendall(b"one\ntwo")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"after its end"
        assert seen == [b"one\n", b"two", b""]

    def test_a_large_message_is_found_without_searching_it_again_and_again(self, within):
        data = b"x" * (16 << 20) + b"\n"
        sizes = []

        def measure() -> float:
            with ScriptedServer(lambda conn: sizes.append(len(conn.readline()))) as server:
                client = server.connect()
                began = time.perf_counter()
                client.sendall(data)
                assert client.recv(1) == b""
                return time.perf_counter() - began

        assert within(2.0, measure) < 2.0
        assert set(sizes) == {len(data)}

    def test_a_handler_that_does_not_read_stops_the_hub_from_reading(self, clients):
        release = threading.Event()
        sizes = []

        def handler(conn):
            release.wait(10)
            sizes.append(len(conn.recv_exactly(1 << 20)))

        with ScriptedServer(handler, max_buffer=65536) as server:
            client = server.connect()
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.sendall(b"x" * (64 << 20))
            release.set()
            client.close()
            server.wait_closed()
        assert sizes == [1 << 20]


class TestFailures:
    def test_expect_shows_both_and_the_place(self):
        def handler(conn):
            conn.expect(b"EHLO localhost\r\n")

        error = cause_of(handler, b"EHLO elsewhere\r\n")
        assert isinstance(error, SocketAssertionError)
        assert str(error).splitlines() == [
            r"expected b'EHLO localhost\r\n', received b'EHLO elsewhere\r\n': they differ at byte 5",
            r"  expected: b'EHLO localhost\r\n'",
            r"  received: b'EHLO elsewhere\r\n'",
            "                   ^",
        ]

    def test_expect_fails_at_the_first_other_byte_without_waiting_for_the_rest(self, stopwatch):
        clock = stopwatch()
        assert isinstance(cause_of(lambda conn: conn.expect(b"x" * 1000), b"xxy"), SocketAssertionError)
        assert clock.seconds < 3

    def test_the_traceback_holds_the_users_frames_only(self):
        def parse(line):
            return int(line)

        def handler(conn):
            parse(conn.readline())

        error = cause_of(handler, b"five\n")
        assert isinstance(error, ValueError)
        names = []
        trace = error.__traceback__
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert names == ["handler", "parse"]

    def test_the_message_names_server_handler_connection_and_line(self):
        def greets(conn):
            raise RuntimeError("no greeting today")

        with failing(greets) as (server, found), pytest.raises(ConnectionResetError):
            server.connect().recv(1)
        text = str(found[0])
        assert text.startswith(
            f"tcp scripted server {server.host}:{server.port}: the handler greets of connection 0 failed at "
        )
        assert f"{__file__}:" in text
        assert "RuntimeError: no greeting today\n" in text
        assert server.connections[0].detail == "the handler failed"

    def test_a_wait_that_times_out_says_what_came_instead(self):
        error = cause_of(lambda conn: conn.recv_until(b"\r\n"), b"half a li", timeout=0.05)
        assert isinstance(error, WaitTimeout)
        assert str(error).startswith(
            "recv_until(b'\\r\\n'): b'\\r\\n' did not come within 0.05 s\nwhat came instead: b'half a li'\n"
        )

    @pytest.mark.parametrize("call", ["recv", "readline"])
    def test_an_idle_client_times_out(self, call):
        error = cause_of(lambda conn: getattr(conn, call)(), timeout=0.05)
        assert str(error).startswith(f"{call}(): nothing came within 0.05 s")

    def test_a_client_that_ends_too_early_fails_the_handler(self):
        error = cause_of(lambda conn: conn.recv_exactly(10), b"abc", close=True)
        assert str(error).startswith(
            "recv_exactly(10): the client closed the connection before 10 bytes came\nwhat came instead: b'abc'"
        )

    def test_a_handler_that_still_waits_says_what_never_came(self):
        error = cause_of(lambda conn: conn.expect(b"QUIT\r\n"), b"QU")
        assert str(error).startswith(
            "expect(b'QUIT\\r\\n'): b'QUIT\\r\\n' never came; the server stopped\nwhat came instead: b'QU'"
        )

    def test_a_loop_of_lines_ends_quietly_with_the_server(self):
        """The twin: `readline` and `recv` return b"" when the server stops, for clients that keep their connection."""

        def handler(conn):
            while line := conn.readline():
                conn.send(line.upper())

        with ScriptedServer(handler) as server:
            client = socket.create_connection(server.address)
            client.sendall(b"a\n")
            assert client.recv(10) == b"A\n"
        client.close()

    def test_what_the_client_sent_before_the_stop_counts(self):
        """Also when the hub has not read it yet."""

        def handler(conn):
            conn.expect(b"x" * 1000)
            conn.expect(b"QUIT\r\n")

        for _ in range(100):
            with ScriptedServer(handler) as server:
                client = socket.create_connection(server.address)
                client.sendall(b"x" * 1000)
                client.sendall(b"QUIT\r\n")
                client.close()

    def test_one_connection_too_many_is_reset_and_fails(self):
        with failing([lambda conn: conn.send(b"first")]) as (server, found):
            assert server.connect().recv(10) == b"first"
            with pytest.raises(ConnectionResetError):
                server.connect().recv(10)
        assert "2 connections came, but the script has 1 handler\n" in str(found[0])

    def test_several_failures_are_named_together(self):
        def handler(conn):
            raise LookupError(conn.readline())

        with failing(handler) as (server, found):
            for number in range(3):
                server.connect().sendall(b"%d\n" % number)
            with contextlib.suppress(ServerFault):
                server.wait_connections(3)
        assert len(found[0].__notes__) == 2
        assert all("the handler handler of connection" in note for note in found[0].__notes__)

    def test_pytests_own_outcome_exceptions_fail_the_server_too(self):
        assert str(cause_of(lambda conn: pytest.fail("told so"))) == "told so"

    def test_connections_that_a_fault_or_the_test_ends_are_no_failure(self, clients):
        def handler(conn):
            conn.expect(b"never comes")

        with ScriptedServer(handler, faults=[faults.Reset(connections={0})]) as server:
            with pytest.raises(ConnectionResetError):
                server.connect().recv(1)
            client = server.connect()
            server.wait_connections(2)
            server.connections[1].reset()
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    def test_sending_to_a_client_that_is_gone_ends_the_handler_quietly(self):
        def handler(conn):
            while True:
                conn.send(b"x" * 65536)

        with ScriptedServer(handler) as server:
            client = server.connect()
            assert client.recv(10)
            client.close()
            server.wait_closed()

    def test_a_client_that_does_not_read_times_out_the_send(self):
        error = cause_of(lambda conn: conn.send(b"x" * (32 << 20)), max_buffer=65536, timeout=0.1)
        assert str(error).startswith("send(): the client took too little within 0.1 s")


class TestEnding:
    def test_a_handler_that_returns_closes_in_order(self, clients):
        with ScriptedServer(lambda conn: conn.send(b"x" * 100_000)) as server:
            client = server.connect()
            assert len(clients.read(client, 200_000)) == 100_000
            client.close()
            (record,) = server.wait_closed()
            assert record.closed_by == "server"

    def test_reset_comes_after_what_was_sent(self, clients):
        def handler(conn):
            conn.send(b"half an answ")
            conn.reset()

        with ScriptedServer(handler) as server:
            client = server.connect()
            assert clients.read(client, 12) == b"half an answ"
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    def test_half_close_lets_the_client_go_on(self):
        seen = []

        def handler(conn):
            conn.half_close()
            seen.append(conn.readline())

        with ScriptedServer(handler) as server:
            client = server.connect()
            assert client.recv(1) == b""
            client.sendall(b"still heard\n")
            client.close()
            server.wait_closed()
        assert seen == [b"still heard\n"]

    def test_a_stuck_handler_is_interrupted_and_reported(self, monkeypatch):
        monkeypatch.setattr(scripted_engine, "STOP_SECONDS", 0.1)
        ended = threading.Event()

        def spins(conn):
            try:
                conn.send(b"x")
                while True:
                    pass
            finally:
                ended.set()

        with failing(spins) as (server, found):
            assert server.connect().recv(1) == b"x"
        assert ended.wait(5)
        text = str(found[0])
        assert (
            "the handler spins of connection 0 was stuck when the server stopped; it was interrupted\n"
            in text
        )
        assert re.search(r"test_scripted\.py:\d+ in spins\n", text)

    def test_a_handler_that_cannot_be_interrupted_is_left_and_reported(self, monkeypatch, stopwatch):
        monkeypatch.setattr(scripted_engine, "STOP_SECONDS", 0.1)
        monkeypatch.setattr(scripted_engine, "INTERRUPT_SECONDS", 0.1)
        release = threading.Event()
        went_on = []

        def waits(conn):
            conn.send(b"x")
            release.wait(20)
            went_on.append(1)

        clock = stopwatch()
        with failing(waits) as (server, found):
            assert server.connect().recv(1) == b"x"
        assert clock.seconds < 5
        assert "stuck when the server stopped; it still runs\n" in str(found[0])
        release.set()
        deadline = time.monotonic() + 5
        while any(thread.name == "pytest-sockets handler" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert went_on == []

    def test_a_handler_may_stop_its_own_server(self):
        servers = []

        def handler(conn):
            conn.send(b"bye")
            servers[0].stop()

        servers.append(ScriptedServer(handler))
        client = socket.create_connection(servers[0].address)
        assert client.recv(3) == b"bye"
        servers[0]._engine._all_ended(5)
        client.close()
        servers[0].check()


class TestTls:
    def test_tls_from_the_start(self, clients):
        with ScriptedServer(lambda conn: conn.send(conn.readline().upper()), transport="tls") as server:
            client = server.connect()
            client.sendall(b"secret\n")
            assert clients.read(client, 7) == b"SECRET\n"
            assert server.connections[0].received == b"secret\n"
            assert server.connections[0].sent == b"SECRET\n"

    def test_start_tls_in_the_middle(self):
        """However fast the client is: what it sent before the server began belongs to the handshake."""

        def handler(conn):
            conn.expect(b"STARTTLS\n")
            conn.send(b"go\n")
            conn.start_tls()
            conn.send(conn.readline() + b"!")

        for _ in range(30):
            with ScriptedServer(handler) as server:
                plain = socket.create_connection(server.address)
                plain.sendall(b"STARTTLS\n")
                assert plain.recv(3) == b"go\n"
                context = process_authority().client_context
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
                    client.sendall(b"hello\n")
                    assert client.recv(100) == b"hello\n"[:100] + b"!"
                record = server.connections[0]
                assert record.received == b"STARTTLS\nhello\n"
                assert record.bytes_in == 15

    def test_a_handshake_that_fails_is_the_handlers_to_catch(self):
        reasons = []

        def handler(conn):
            conn.send(b"go\n")
            try:
                conn.start_tls()
            except ServerFault as error:
                reasons.append(str(error))

        with ScriptedServer(handler) as server:
            plain = socket.create_connection(server.address)
            assert plain.recv(3) == b"go\n"
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
            plain.close()
            server.wait_closed()
        assert "TLS handshake failed" in reasons[0] or "the client closed" in reasons[0]


class TestThreads:
    def test_a_thousand_connections_each_with_its_own_script(self):
        count = 1000

        def script(number):
            def handler(conn):
                conn.expect(b"%d\n" % number)
                conn.send(b"<%d>" % (number * number))
                assert conn.readline() == b"bye %d\n" % number

            return handler

        with ScriptedServer([script(number) for number in range(count)], backlog=1024) as server:
            peers = [socket.create_connection(server.address) for _ in range(count)]
            for number, peer in enumerate(peers):
                peer.sendall(b"%d\n" % number)
            for number, peer in enumerate(peers):
                assert peer.recv(100) == b"<%d>" % (number * number)
            for number, peer in enumerate(peers):
                peer.sendall(b"bye %d\n" % number)
            for peer in peers:
                assert peer.recv(1) == b""
                peer.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "pytest-sockets handler"]

    def test_threads_are_reused_while_a_server_runs(self):
        threads = set()

        def handler(conn):
            threads.add(threading.current_thread())

        with ScriptedServer(handler) as server:
            for _ in range(20):
                client = server.connect()
                assert client.recv(1) == b""
                client.close()
                server.wait_closed()
                server._engine._all_ended(5)
        assert len(threads) < 10

    def test_an_idle_server_has_no_thread(self):
        with ScriptedServer(lambda conn: None):
            assert not [thread for thread in threading.enumerate() if thread.name == "pytest-sockets handler"]


@pytest.mark.parametrize(
    ("handler", "settings", "message"),
    [
        (5, {}, "handler=5: use a function that takes the connection, or a list of such functions"),
        ([], {}, "handler=[]: use a function"),
        ([print, 5], {}, "use a function"),
        (
            print,
            {"transport": "udp"},
            "transport='udp': use one of: tcp, unix, tls; for UDP use an echo server",
        ),
        (print, {"timeout": -1}, "-1"),
        (print, {"context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "context: transport='tcp' has no TLS"),
    ],
)
def test_bad_settings_say_what_may_be_set(handler, settings, message):
    with pytest.raises(ValueError) as caught:
        ScriptedServer(handler, **settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda conn: conn.send("text"), "send('text'): use bytes; encode the text"),
        (lambda conn: conn.expect(re.compile("text")), "use a pattern of bytes"),
        (lambda conn: conn.recv_until(b""), "use at least one byte"),
        (lambda conn: conn.recv_exactly(-1), "recv_exactly(-1): use a whole number of bytes, 0 or more"),
    ],
)
def test_bad_arguments_fail_the_handler(call, message):
    error = cause_of(call)
    assert isinstance(error, SettingError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("expected", "received", "at"),
    [(b"abc", b"abd", 2), (b"abc", b"ab", 2), (b"", b"x", 0), (b"a" * 100 + b"b", b"a" * 100 + b"c", 100)],
)
def test_the_mark_of_a_diff_stands_below_the_first_other_byte(expected, received, at):
    headline, wanted, came, mark = byte_diff(expected, received).splitlines()
    assert headline.endswith(f"they differ at byte {at}")
    column = mark.index("^")
    assert wanted[column : column + 1] != came[column : column + 1]
    assert wanted[len("  expected: ") : column] == came[len("  received: ") : column]
