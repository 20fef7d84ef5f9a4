"""`sockets_override_ports`: other plugins' port fixtures give ports of our pool, in whatever order they are loaded."""

from __future__ import annotations

import itertools

import pytest

NAMES = [
    f"{word}_{protocol}_port{end}"
    for word in ("unused", "free")
    for protocol in ("tcp", "udp")
    for end in ("", "_factory")
]
PLUGINS = ("pytest_asyncio.plugin", "anyio.pytest_plugin")
INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\nsockets_override_ports = {}\n"
TEST = f"""
    import os, socket, pytest

    @pytest.mark.parametrize("name", {NAMES})
    def test_ours(request, name):
        given = request.getfixturevalue(name)
        port = given() if callable(given) else given
        low, high = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
        assert not low <= port <= high, "the kernel chose it"
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with lock, pytest.raises(OSError):
            lock.bind(f"\\0pytest-sockets/port/{{port}}")
"""


@pytest.mark.parametrize("order", list(itertools.permutations(("pytest_sockets.plugin", *PLUGINS))))
def test_all_eight_fixtures_are_ours_in_every_load_order(suite, order):
    suite.write(test_a=TEST, tox__dot__ini=INI.format("true"))
    done = suite.run(*[word for plugin in order for word in ("-p", plugin)], sockets=False)
    assert done.outcomes == {"passed": 8}, done.text


def test_the_twin_without_the_setting_they_are_the_other_plugins(suite):
    suite.write(test_a=TEST, tox__dot__ini=INI.format("false"))
    assert suite.run(plugins=PLUGINS).outcomes == {"failed": 8}


def test_they_are_there_without_the_other_plugins_too(suite):
    suite.write(test_a=TEST, tox__dot__ini="[pytest]\nsockets_override_ports = true\n")
    assert suite.run().outcomes == {"passed": 8}


def test_a_fixture_of_the_suites_own_conftest_still_wins(suite):
    suite.write(
        conftest="import pytest\n@pytest.fixture\ndef unused_tcp_port(): return 7\n",
        test_a="def test(unused_tcp_port, free_tcp_port): assert unused_tcp_port == 7 != free_tcp_port",
        tox__dot__ini=INI.format("true"),
    )
    done = suite.run(plugins=PLUGINS)
    assert done.outcomes == {"passed": 1}, done.text


def test_it_works_in_xdist_workers(suite):
    suite.write(test_a=TEST, tox__dot__ini=INI.format("true"))
    assert suite.run("-n2", plugins=(*PLUGINS, "xdist")).outcomes == {"passed": 8}


def test_the_factories_take_the_arguments_and_have_the_face_of_the_originals(suite):
    suite.write(
        test_a="""
            import socket

            def test(free_tcp_port_factory, free_udp_port_factory, unused_tcp_port_factory):
                assert free_tcp_port_factory(socket.AF_INET6) != free_tcp_port_factory(family=socket.AF_INET)
                assert free_tcp_port_factory.kind == socket.SOCK_STREAM
                assert free_udp_port_factory.kind == socket.SOCK_DGRAM
        """,
        tox__dot__ini=INI.format("true"),
    )
    assert suite.run(plugins=PLUGINS).outcomes == {"passed": 1}


def test_a_suite_that_asks_for_thousands_gets_different_ones_with_few_descriptors(suite):
    suite.write(
        test_a="""
            import resource

            def test(unused_tcp_port_factory):
                resource.setrlimit(resource.RLIMIT_NOFILE, (400, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
                assert len({unused_tcp_port_factory() for _ in range(3000)}) == 3000
        """,
        tox__dot__ini=INI.format("true"),
    )
    done = suite.run(plugins=PLUGINS)
    assert done.outcomes == {"passed": 1}, done.text
