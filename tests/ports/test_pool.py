"""A port from the pool is free, is kept from everybody else, and comes back when it is released."""

from __future__ import annotations

import concurrent.futures
import os
import random
import re
import resource
import socket
import sys
import threading

import pytest

from pytest_sockets.errors import PortUnavailable, QueryError, SettingError
from pytest_sockets.ports.probing import Prober
from pytest_sockets.real_socket import own_fds
from pytest_sockets.service_names import port_name, service_name

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
EVERYWHERE = [
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0"),
    (socket.AF_INET6, "::1"),
    (socket.AF_INET6, "::"),
]


def bound(family, host, port, kind=TCP, listen=False):
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((host, port))
    if listen:
        sock.listen()
    return sock


@pytest.mark.parametrize(("family", "host"), EVERYWHERE)
@pytest.mark.parametrize("kind", [TCP, UDP])
def test_a_reserved_port_can_be_bound_without_any_reuse_option(pool, family, host, kind):
    port = pool.reserve().port
    bound(family, host, port, kind).close()


@pytest.mark.parametrize(("family", "host"), EVERYWHERE)
@pytest.mark.parametrize("kind", [TCP, UDP])
@pytest.mark.parametrize("one_bind_is_enough", [True, False], ids=["linux", "elsewhere"])
def test_a_port_bound_by_anybody_on_any_address_is_not_given_out(
    make_pool, family, host, kind, one_bind_is_enough, block
):
    low = block(1)
    pool = make_pool(low, low, prober=Prober(one_bind_is_enough=one_bind_is_enough))
    with bound(family, host, low, kind), pytest.raises(PortUnavailable, match=f"1 in use: {low}/"):
        pool.reserve()
    assert pool.reserve().port == low


def test_a_listener_with_reuse_options_does_not_pass_for_free(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", low))
        server.listen()
        with pytest.raises(
            PortUnavailable, match=rf"{low}/tcp: process {os.getpid()} \(.*python.*\), LISTEN"
        ):
            pool.reserve("tcp")


def test_time_wait_remains_are_refused_and_told_with_the_seconds_left(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", low))
        server.listen()
        with socket.create_connection(("127.0.0.1", low)) as client:
            connection, _ = server.accept()
            connection.close()
            assert client.recv(1) == b""
    with pytest.raises(PortUnavailable, match=rf"{low}/tcp: TIME_WAIT, (5\d|60) s left"):
        pool.reserve()
    assert pool.reserve("udp").port == low, "TIME_WAIT is TCP's"


def test_tcp_and_udp_are_separate(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    with bound(socket.AF_INET, "127.0.0.1", low, UDP):
        with pytest.raises(PortUnavailable):
            pool.reserve("both")
        with pytest.raises(PortUnavailable):
            pool.reserve("udp")
        assert pool.reserve("tcp").port == low


def test_no_port_is_given_twice_until_it_is_released(make_pool, block):
    low = block(21)
    pool = make_pool(low, low + 19)
    ports = [pool.reserve().port for _ in range(20)]
    assert sorted(ports) == list(range(low, low + 20))
    with pytest.raises(PortUnavailable, match="20 ports, all taken\n  20 kept by this process"):
        pool.reserve()
    pool.release(ports[7])
    assert pool.reserve().port == ports[7]


def test_two_pools_of_one_process_do_not_meet(make_pool, block):
    low = block(20)
    one, other = make_pool(low, low + 19), make_pool(low, low + 19)
    ports = [pool.reserve().port for _ in range(10) for pool in (one, other)]
    assert len(set(ports)) == 20


def test_another_process_does_not_get_a_kept_port_and_is_told_who_has_it(make_pool, make_peer, block):
    low = block(2)
    peer = make_peer(low, low + 1)
    kept = peer.reserve()
    pool = make_pool(low, low + 1)
    assert pool.reserve().port != kept
    with pytest.raises(PortUnavailable) as error:
        pool.reserve()
    lines = str(error.value).splitlines()
    assert lines[0] == f"no port of {low}-{low + 1} is free on TCP and UDP: 2 ports, all taken"
    assert lines[1].startswith(f"  1 kept by this process ({os.getpid()}): ")
    assert lines[2].startswith(f"  1 kept by other runs of pytest-sockets: process {peer.process.pid} (")
    assert "peer.py" in lines[2]
    assert lines[3].startswith("Release ports (free_port_factory.release(port))")


def test_a_message_names_the_service_of_a_port(make_pool):
    port = next((port for port in range(10240, 15000) if service_name(port)), None)
    if port is None:
        pytest.skip("this system's services database has no such port")
    pool = make_pool(port, port)
    pool.reserve("tcp")
    with pytest.raises(
        PortUnavailable, match=re.escape(f"1 kept by this process ({os.getpid()}): {port_name(port)}")
    ):
        pool.reserve("tcp")


def test_a_message_about_many_ports_stays_short(pool):
    ports = [pool.reserve().port for _ in range(300)]
    with pytest.raises(SettingError, match=r"^port 1 ") as error:
        pool.release(1)
    assert len(str(error.value)) < 200
    assert len(set(ports)) == 300


def test_a_port_still_listened_on_is_told_and_not_given_out_again(make_pool, block):
    low = block(2)
    pool = make_pool(low, low + 1)
    first = pool.reserve()
    with bound(socket.AF_INET, "127.0.0.1", first.port, listen=True):
        released = first.release()
        assert released == (first.port, "both", True)
        assert pool.is_left(released), "a second look, as long as it is listened on"
    assert pool.reserve().port != first.port
    with pytest.raises(PortUnavailable):
        pool.reserve()


def test_a_second_look_at_a_port_that_is_silent_now_gives_it_back(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    reservation = pool.reserve()
    with bound(socket.AF_INET, "127.0.0.1", low, listen=True):
        released = reservation.release()
    assert not pool.is_left(released)
    assert pool.reserve().port == low
    assert not pool.is_left(released), "it is the next owner's now"


def test_a_port_that_nobody_listens_on_any_more_is_just_given_back(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    reservation = pool.reserve()
    bound(socket.AF_INET, "127.0.0.1", low, listen=True).close()
    assert reservation.release() == (low, "both", False)
    assert pool.reserve().port == low


def test_remains_of_connections_are_no_listener(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    reservation = pool.reserve()
    server = bound(socket.AF_INET, "127.0.0.1", low, listen=True)
    with socket.create_connection(("127.0.0.1", low)):
        connection, _ = server.accept()
        server.close()
        assert reservation.release() == (low, "both", False)
        connection.close()


def test_a_reservation_is_released_once(make_pool, block):
    low = block(1)
    pool = make_pool(low, low)
    first = pool.reserve()
    assert first.release() is not None
    second = pool.reserve()
    assert first.release() is None, "the second owner's port is not given back by the first"
    assert pool.kept == (second.port,)


def test_a_block_is_consecutive_and_kept(make_pool, make_peer, block):
    low = block(21)
    pool = make_pool(low, low + 19)
    with bound(socket.AF_INET, "127.0.0.1", low + 9):
        ports = [reservation.port for reservation in pool.reserve_block(9)]
        assert ports in ([*range(low, low + 9)], [*range(low + 10, low + 19)], [*range(low + 11, low + 20)])
        with pytest.raises(PortUnavailable, match="no 12 consecutive ports are free"):
            pool.reserve_block(12)
    assert pool.kept == tuple(ports), "a block that failed keeps nothing"
    peer = make_peer(low, low + 19)
    others = peer.block(9)
    assert not set(others) & set(ports)


@pytest.mark.parametrize(
    ("count", "problem"),
    [
        (0, "one port at least"),
        (-1, "one port at least"),
        (21, "20 consecutive"),
        ("3", "block('3'): use a whole number of ports"),
        (1.5, "block(1.5): use a whole number of ports"),
        (True, "block(True): use a whole number of ports"),
    ],
)
def test_a_senseless_block_is_an_error(make_pool, count, problem, block):
    low = block(20)
    with pytest.raises(SettingError, match=re.escape(problem)):
        make_pool(low, low + 19).reserve_block(count)


@pytest.mark.parametrize("port", ["3", 1.5, None, [3], 70000, 0])
def test_only_a_port_can_be_released(pool, port):
    with pytest.raises(QueryError, match=r"is not a valid port|port 0 means"):
        pool.release(port)


@pytest.mark.parametrize("host", ["", "../../etc", "x" * 64, "a\0b", 5, [], b"127.0.0.1"])
def test_what_is_no_host_is_an_error_that_names_it(pool, host):
    with pytest.raises(SettingError, match="^" + re.escape(f"host={host!r}")):
        pool.reserve("tcp", host)


def test_a_senseless_protocol_is_an_error_that_names_the_choices(pool):
    with pytest.raises(SettingError, match="protocol='sctp': use one of 'tcp', 'udp', 'both'"):
        pool.reserve("sctp")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "127.0.0.9"])
def test_a_port_for_a_host_of_this_machine_can_be_bound_there(pool, host):
    port = pool.reserve("both", host).port
    family = socket.getaddrinfo(host, port)[0][0]
    bound(family, host, port).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_a_host_that_is_not_this_machine_is_an_error(pool, host):
    with pytest.raises(SettingError, match=f"host='{host}' is not an address of this machine"):
        pool.reserve("tcp", host)


def test_a_localhost_server_that_binds_both_families_finds_its_port_free(pool):
    port = pool.reserve("tcp").port
    with (
        bound(socket.AF_INET, "127.0.0.1", port, listen=True),
        bound(socket.AF_INET6, "::1", port, listen=True),
    ):
        assert pool.reserve("tcp").port != port


def test_threads_never_get_the_same_port(make_pool, block):
    low = block(200)
    pool = make_pool(low, low + 199)
    barrier = threading.Barrier(8)

    def twenty():
        barrier.wait(10)
        return [pool.reserve().port for _ in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        ports = [port for future in [threads.submit(twenty) for _ in range(8)] for port in future.result(30)]
    assert len(set(ports)) == 160 == len(pool.kept)


def test_a_forked_child_keeps_nothing_and_draws_other_ports(make_peer, block):
    low = block(1000)
    peer = make_peer(low, low + 999)
    kept = {peer.reserve() for _ in range(5)}
    drawn = {(answer := peer.fork_and_reserve())["port"] for _ in range(5)}
    assert answer["kept"] == []
    assert len(drawn) > 1, "each child draws for itself, not what its parent would draw next"
    assert not drawn & kept
    for port in kept:
        assert peer.release(port) is False


def test_the_global_random_is_neither_used_nor_touched(make_pool):
    random.seed(7)
    expected = random.Random(7).random()
    one = [make_pool().reserve().port for _ in range(3)]
    assert random.random() == expected
    random.seed(7)
    assert [make_pool().reserve().port for _ in range(3)] != one


def test_the_locks_of_a_pool_are_ours_not_the_suites(pool):
    before = own_fds()
    reservation = pool.reserve()
    assert len(own_fds() - before) == 1
    reservation.release()
    assert own_fds() == before


@pytest.mark.skipif(sys.platform == "win32", reason="descriptor limits are POSIX's")
def test_running_out_of_descriptors_is_an_error_that_says_so(pool):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, hard))
    try:
        with pytest.raises(
            PortUnavailable, match=r"Too many open files \(\d+ ports are kept by this process"
        ):
            [pool.reserve() for _ in range(400)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert pool.reserve().port


@pytest.mark.parametrize("has_ipv6", [True, False])
@pytest.mark.parametrize("one_bind_is_enough", [True, False])
def test_a_host_without_ipv6_has_ports_too(make_pool, has_ipv6, one_bind_is_enough, block):
    low = block(10)
    pool = make_pool(low, low + 9, prober=Prober(has_ipv6=has_ipv6, one_bind_is_enough=one_bind_is_enough))
    assert pool.reserve().port
    assert all(place.family == socket.AF_INET for place in pool.prober.places) is not has_ipv6


@pytest.mark.parametrize("how", ["disable_ipv6", "bindv6only", "no_ipv4_address"])
def test_hosts_of_one_family_have_ports_too(make_peer, namespace, how, block):
    low = block(10)
    more = {
        "disable_ipv6": "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6;",
        "bindv6only": "echo 1 > /proc/sys/net/ipv6/bindv6only;",
        "no_ipv4_address": "ip addr del 127.0.0.1/8 dev lo;",
    }[how]
    peer = make_peer(low, low + 9, wrapper=namespace(more=more))
    ports = {peer.reserve() for _ in range(10)}
    assert len(ports) == 10
    with pytest.raises(Exception, match="10 kept by this process"):
        peer.reserve()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_with_bindv6only_an_ipv4_listener_is_still_noticed(make_peer, namespace, block):
    low = block(1)
    more = "echo 1 > /proc/sys/net/ipv6/bindv6only;"
    peer = make_peer(low, low, wrapper=namespace(more=more))
    peer.bind(low)
    with pytest.raises(Exception, match=f"1 in use: {low}/tcp"):
        peer.reserve()


class TestGivingBack:
    def test_a_released_or_closed_port_has_no_placeholder_left(self, held_pool, has_placeholder):
        """Another program may bind it from then on."""
        for release in (
            lambda one: one.release(),
            lambda one: held_pool.release(one.port),
            lambda _: held_pool.close(),
        ):
            reservation = held_pool.reserve()
            assert has_placeholder(reservation.port)
            release(reservation)
            assert not has_placeholder(reservation.port)
            bound(socket.AF_INET, "127.0.0.1", reservation.port).close()

    def test_it_says_what_was_released_once(self, make_pool, block):
        low = block(1)
        reservation = make_pool(low, low).reserve("udp")
        assert reservation.release() == (low, "udp", False)
        assert reservation.release() is None

    def test_a_port_on_which_a_socket_still_listens_comes_back_when_it_is_closed(self, make_pool, block):
        low = block(1)
        pool = make_pool(low, low)
        reservation = pool.reserve("tcp")
        with bound(socket.AF_INET, "127.0.0.1", low, listen=True):
            released = reservation.release()
            assert released == (low, "tcp", True)
            assert pool.is_left(released)
            with pytest.raises(PortUnavailable):
                pool.reserve("udp")
        assert not pool.is_left(released)
        assert not pool.is_left(released)
        assert pool.reserve("tcp").port == low

    def test_a_port_that_is_not_kept_is_an_error_that_lists_six_of_those_that_are(self, make_pool, block):
        low = block(9)
        pool = make_pool(low, low + 7)
        with pytest.raises(
            SettingError, match=rf"port {low + 8} is not kept, so it cannot be released; kept now: none$"
        ):
            pool.release(low + 8)
        kept = [pool.reserve().port for _ in range(8)]
        assert pool.kept == tuple(kept)
        with pytest.raises(SettingError) as caught:
            pool.release(low + 8)
        assert str(caught.value).endswith(f"kept now: {', '.join(map(str, kept[:6]))}")
        assert pool.reservation_of(kept[0]).port == kept[0]
        assert pool.reservation_of(low + 8) is None

    def test_every_port_given_is_counted(self, make_pool, block):
        low = block(4)
        pool = make_pool(low, low + 3)
        pool.reserve().release()
        pool.reserve_block(3)
        assert pool.given == 4


class TestBlocks:
    def test_its_ports_follow_each_other_also_at_the_ends_of_a_span(self, make_pool, block):
        low = block(3)
        pool = make_pool(low, low + 2)
        ports = [reservation.port for reservation in pool.reserve_block(3)]
        assert ports == [low, low + 1, low + 2]
        pool.release(low + 1)
        with pytest.raises(
            PortUnavailable, match=rf"^no 2 consecutive ports are free in {low}-{low + 2}; 2 ports are"
        ):
            pool.reserve_block(2)
        assert pool.kept == (low, low + 2)  # what a failed try took was given back
        assert [reservation.port for reservation in pool.reserve_block(1)] == [low + 1]

    def test_the_longest_span_bounds_it(self, make_pool, block):
        low = block(3)
        pool = make_pool(low, low + 2)
        with pytest.raises(SettingError) as caught:
            pool.reserve_block(4)
        assert str(caught.value) == f"block(4): {low}-{low + 2} has 3 consecutive ports at most"

    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "block(0): ask for one port at least"),
            (-1, "block(-1): ask for one port at least"),
            (True, "block(True): use a whole number of ports"),
            ("2", "block('2'): use a whole number of ports"),
            (2.0, "block(2.0): use a whole number of ports"),
        ],
    )
    def test_a_count_is_a_whole_number_from_one(self, make_pool, block, count, text):
        low = block(1)
        with pytest.raises(SettingError) as caught:
            make_pool(low, low).reserve_block(count)
        assert str(caught.value) == text


@pytest.mark.parametrize("protocol", ["sctp", None, [], "TCP"])
def test_a_protocol_that_is_not_one_is_named_with_the_choices(make_pool, block, protocol):
    low = block(1)
    with pytest.raises(SettingError) as caught:
        make_pool(low, low).reserve(protocol)
    assert str(caught.value) == f"protocol={protocol!r}: use one of 'tcp', 'udp', 'both'"
