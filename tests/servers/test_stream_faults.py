"""What a real client of a stream sees of each fault, and that it sees none of it without."""

from __future__ import annotations

import socket
import sys

import pytest

from pytest_sockets import faults

RANDOM_STREAM = bytes(range(256)) * 400


def round_trip(sock, clients, stopwatch) -> float:
    """Seconds of one byte there and back."""
    watch = stopwatch()
    assert clients.exchange(sock, b"x") == b"x"
    return watch.seconds


def test_latency_measures_as_set(echo_server_factory, clients, stopwatch, within):
    """50 ms are 50 to 52 ms, and never less; without the fault a round trip takes less than 5."""
    client = echo_server_factory(faults=[faults.Latency(0.05)]).connect()
    plain = echo_server_factory().connect()
    times = [round_trip(client, clients, stopwatch) for _ in range(10)]
    assert min(times) >= 0.050
    assert within(0.052, lambda: round_trip(client, clients, stopwatch)) <= 0.052
    assert within(0.005, lambda: round_trip(plain, clients, stopwatch)) <= 0.005


def test_latency_of_both_directions_adds_up(echo_server_factory, clients, stopwatch, within):
    """direction="both" delays the request and the answer."""
    client = echo_server_factory(faults=[faults.Latency(0.03, direction="both")]).connect()
    assert 0.06 <= within(0.064, lambda: round_trip(client, clients, stopwatch)) <= 0.064


def test_jitter_keeps_a_stream_in_order(echo_server_factory, clients):
    """Pieces that would overtake each other wait."""
    client = echo_server_factory(faults=[faults.Latency(0.001, jitter=0.02)]).connect()
    for number in range(50):
        client.sendall(b"%03d" % number)
    assert clients.read(client, 150) == b"".join(b"%03d" % number for number in range(50))


@pytest.mark.parametrize(("rate", "size"), [(200_000, 100_000), (5_000_000, 2_000_000), (2_000, 800)])
def test_bandwidth_is_within_five_percent(echo_server_factory, clients, stopwatch, within, rate, size):
    """The last byte comes when it should, for slow and fast lines."""

    def transfer() -> float:
        client = echo_server_factory(faults=[faults.Bandwidth(rate)]).connect()
        watch = stopwatch()
        client.sendall(b"x" * size)
        assert len(clients.read(client, size)) == size
        return watch.seconds

    assert within(size / rate * 1.05, transfer) == pytest.approx(size / rate, rel=0.05)


def test_bandwidth_is_even(echo_server_factory, clients, stopwatch, within):
    """After half the time half the bytes are there: no burst at the end."""

    def first_half() -> float:
        client = echo_server_factory(faults=[faults.Bandwidth(400_000)]).connect()
        watch = stopwatch()
        client.sendall(b"x" * 200_000)
        clients.read(client, 100_000)
        return watch.seconds

    assert within(0.265, first_half) == pytest.approx(0.25, rel=0.06)


def test_slice_gives_short_reads(echo_server_factory, clients):
    """Each recv() finds at most `size` bytes; all of them come, in order."""
    client = echo_server_factory(faults=[faults.Slice(3, pause=0.05)]).connect()
    client.sendall(b"0123456789")
    pieces = [client.recv(100) for _ in range(4)]
    assert b"".join(pieces) == b"0123456789"
    assert pieces[0] == b"012"


def test_without_slice_one_read_finds_all(tcp_echo_server):
    """The twin."""
    client = tcp_echo_server.connect()
    client.sendall(b"0123456789")
    assert client.recv(100) == b"0123456789"


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("after", [1, 5, 300_000])
def test_reset_delivers_its_bytes_first(echo_server_factory, clients, transport, after):
    """Exactly `after` bytes, then ConnectionResetError, also when the client starts to read late."""
    server = echo_server_factory(transport, faults=[faults.Reset(after=after)])
    client = server.connect()
    client.sendall(b"x" * (after + 1000))
    assert clients.read(client, after) == b"x" * after
    if transport == "tls" and sys.version_info < (
        3,
        13,
    ):  # CPython gh-115627: SSLSocket took a reset for an end
        assert client.recv(1) == b""
    else:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert server.connections[0].closed_by == "fault:Reset"


def test_reset_on_connect(echo_server_factory):
    """after=0 needs no data."""
    server = echo_server_factory(faults=[faults.Reset()])
    with pytest.raises(ConnectionResetError):
        server.connect().recv(1)


def test_reset_on_a_unix_socket_is_an_end(echo_server_factory):
    """There is no RST: the client that has sent nothing gets b""."""
    assert echo_server_factory("unix", faults=[faults.Reset()]).connect().recv(1) == b""


@pytest.mark.parametrize("transport", ["tcp", "unix", "tls"])
def test_close_is_an_end(echo_server_factory, clients, transport):
    """Exactly `after` bytes, then b""."""
    server = echo_server_factory(transport, faults=[faults.Close(after=4)])
    client = server.connect()
    client.sendall(b"123456")
    assert clients.read(client, 10) == b"1234"
    assert client.recv(1) == b""
    assert server.connections[0].closed_by == "fault:Close"


def test_close_by_what_the_client_sent(echo_server_factory, clients):
    """direction="in" counts the request: three bytes of it reach the server."""
    server = echo_server_factory(faults=[faults.Close(after=3, direction="in")], reply=lambda data: data * 2)
    client = server.connect()
    client.sendall(b"abcdef")
    assert clients.read(client, 100) == b"abcabc"


def test_half_close_ends_the_answers_only(echo_server_factory, clients):
    """b"" comes, and what the client sends afterwards still arrives."""
    server = echo_server_factory(faults=[faults.HalfClose(after=2)])
    client = server.connect()
    client.sendall(b"1234")
    assert clients.read(client, 10) == b"12"
    client.sendall(b"more")
    client.close()
    (record,) = server.wait_closed()
    assert record.received == b"1234more"
    assert record.closed_by == "client"


def test_limit_data_leaves_an_exact_answer_alone(echo_server_factory, clients):
    """`size` bytes pass and the connection stays open; one more ends it."""
    server = echo_server_factory(faults=[faults.LimitData(4)])
    client = server.connect()
    assert clients.exchange(client, b"1234") == b"1234"
    assert clients.gets_nothing(client)
    client.sendall(b"5")
    assert client.recv(1) == b""
    assert server.connections[0].closed_by == "fault:LimitData"


def test_truncate_swallows_the_rest_silently(echo_server_factory, clients):
    """The first bytes come, then nothing, and the connection stays open."""
    client = echo_server_factory(faults=[faults.Truncate(4)]).connect()
    client.sendall(b"123456")
    assert clients.read(client, 4) == b"1234"
    assert clients.gets_nothing(client)


def test_hang_answers_nothing_and_reads_nothing(echo_server_factory, clients):
    """recv() times out, and a large sendall() too."""
    server = echo_server_factory(faults=[faults.Hang()])
    client = server.connect(timeout=0.2)
    client.sendall(b"x")
    assert clients.gets_nothing(client)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * (32 << 20))
    assert server.connections[0].bytes_in == 0


def test_hang_of_the_answers_only_reads_on(echo_server_factory, clients):
    """direction="out": the request arrives."""
    server = echo_server_factory(faults=[faults.Hang(after=2, direction="out")])
    client = server.connect()
    client.sendall(b"12345")
    assert clients.read(client, 2) == b"12"
    assert clients.gets_nothing(client)
    assert server.received == b"12345"


def test_hang_for_some_time_loses_nothing(echo_server_factory, clients, stopwatch):
    """After `seconds` everything that was kept back comes."""
    client = echo_server_factory(faults=[faults.Hang(after=1, seconds=0.1)]).connect()
    watch = stopwatch()
    assert clients.exchange(client, b"12345") == b"12345"
    assert 0.1 <= watch.seconds < 2


def test_a_client_that_resets_a_hanging_connection_is_seen(echo_server_factory):
    """Nothing is read, and yet the record closes; the thread does not spin."""
    import struct
    import time

    server = echo_server_factory(faults=[faults.Hang()])
    client = server.connect()
    server.wait_connections(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    before = time.process_time()
    client.close()
    assert server.wait_closed()[0].closed_by == "client reset"
    time.sleep(0.2)
    assert time.process_time() - before < 0.15


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_slow_close_takes_its_time_and_no_cpu(echo_server_factory, transport, stopwatch):
    """The client's own end is answered late."""
    import time

    client = echo_server_factory(transport, faults=[faults.SlowClose(0.3)]).connect()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    watch, cpu = stopwatch(), time.process_time()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert 0.3 <= watch.seconds < 2
    assert time.process_time() - cpu < 0.1


def test_corrupt_changes_about_that_share(echo_server_factory, clients):
    """The length stays; one byte in a hundred differs, the same ones with the same seed, others with another."""
    answers = []
    for seed in (1, 1, 2):
        server = echo_server_factory(faults=[faults.Corrupt(0.01, seed=seed)])
        answers.append(clients.exchange(server.connect(), RANDOM_STREAM))
    changed = sum(1 for before, after in zip(RANDOM_STREAM, answers[0], strict=True) if before != after)
    assert 0.008 < changed / len(RANDOM_STREAM) < 0.012
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_which_bytes_are_corrupt_does_not_depend_on_packets(echo_server_factory, clients):
    """Sent whole or in pieces: the same damage."""
    answers = []
    for step in (len(RANDOM_STREAM), 777):
        client = echo_server_factory(faults=[faults.Corrupt(0.05, seed=7)]).connect()
        answers.append(
            b"".join(
                clients.exchange(client, RANDOM_STREAM[at : at + step])
                for at in range(0, len(RANDOM_STREAM), step)
            )
        )
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("rate", "changed"), [(0, 0), (1, 1000)])
def test_corrupt_none_or_all(echo_server_factory, clients, rate, changed):
    """The ends of the range mean what they say."""
    client = echo_server_factory(faults=[faults.Corrupt(rate)]).connect()
    answer = clients.exchange(client, b"x" * 1000)
    assert len(answer) == 1000
    assert 1000 - answer.count(b"x") == changed
