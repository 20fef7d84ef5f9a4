"""xdist workers on several hosts (`--tx`): each takes ports of the host it runs on. A host is a network namespace here."""

from __future__ import annotations

import sys

SUITE = """
    import pathlib, time
    from pytest_sockets.errors import PortUnavailable

    FOLDER = pathlib.Path({folder!r})

    def test_as_many_ports_as_there_are(free_port_factory, worker_id):
        ports = []
        try:
            while True:
                ports.append(free_port_factory())
        except PortUnavailable as error:
            (FOLDER / f"{{worker_id}}.why").write_text(str(error))
        (FOLDER / f"{{worker_id}}.ports").write_text(" ".join(map(str, ports)))
        deadline = time.monotonic() + 30
        while len(list(FOLDER.glob("*.ports"))) < 2:  # both keep what they have until both have asked
            assert time.monotonic() < deadline
            time.sleep(0.01)
"""


def ports_of_two_workers(suite, low, *hosts):
    """What each got from the same range of ten, both keeping it, and the reasons why there were no more."""
    gateways = [f"--tx=popen//python={' '.join([*host, sys.executable])}" for host in hosts]
    suite.write(test_a=SUITE.format(folder=str(suite.folder)))
    done = suite.run(*gateways, "--dist=each", f"--sockets-ports={low}-{low + 9}", plugins=("xdist",))
    assert done.outcomes == {"passed": 2}, done.text
    ports = [(suite.folder / f"{worker}.ports").read_text().split() for worker in ("gw0", "gw1")]
    return ports, [(suite.folder / f"{worker}.why").read_text() for worker in ("gw0", "gw1")]


def test_workers_on_two_hosts_have_the_same_numbers_for_themselves(suite, block, shared_namespace):
    hosts = [shared_namespace("32768 60999"), shared_namespace("32768 60999")]
    ports, reasons = ports_of_two_workers(suite, block(10), *hosts)
    assert sorted(ports[0]) == sorted(ports[1])
    assert all("10 kept by this process" in reason for reason in reasons)


def test_the_twin_two_workers_on_one_host_share_them(suite, block, shared_namespace):
    host = shared_namespace("32768 60999")
    ports, reasons = ports_of_two_workers(suite, block(10), host, host)
    assert len({*ports[0], *ports[1]}) == len([*ports[0], *ports[1]]) == 10
    assert any("kept by other runs of pytest-sockets: process " in reason for reason in reasons)
