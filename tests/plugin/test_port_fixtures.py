"""The port fixtures in a real pytest run: what tests get, when it comes back, and how settings and trouble are told."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pytest_sockets.waiting import wait_until

EVERY_FIXTURE = """
    import socket
    import pytest

    def test_free_port(free_port):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(family, kind) as sock:
                    sock.bind((host, free_port))

    def test_factory(free_port_factory):
        ports = [free_port_factory(), free_port_factory("tcp"), free_port_factory("udp", host="127.0.0.1")]
        block = free_port_factory.block(5)
        assert len({*ports, *block}) == 8
        free_port_factory.release(ports[0])
        with socket.create_connection(free_port_factory.listener().address):
            pass

    def test_closed_port(closed_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("localhost", closed_port), timeout=5)

    def test_blackhole_port(blackhole_port):
        with pytest.raises(TimeoutError):
            socket.create_connection(("localhost", blackhole_port), timeout=0.1)
"""


@pytest.mark.parametrize("options", [(), ("-n2",), ("--disable-socket", "--allow-unix-socket")])
def test_every_fixture_does_what_it_says(suite, options):
    """Also in xdist workers, and where pytest-socket blocks the suite's sockets, ours still probe and lock."""
    text = EVERY_FIXTURE
    if "--disable-socket" in options:
        text = "def test(free_port, free_port_factory, closed_port, blackhole_port): assert free_port"
    done = suite.write(test_a=text).run(*options, plugins=("xdist", "pytest_socket"))
    assert done.outcomes == {"passed": 1 if "--disable-socket" in options else 4}, done.text
    assert done.leaks == [], "no socket of ours is taken for one of the suite's"


def test_a_port_is_given_back_after_the_fixtures_that_use_it(suite):
    """With a range of one port each test finds it free again, although the server fixture closes after the test."""
    suite.write(
        test_a="""
            import socket
            import pytest

            @pytest.fixture
            def server(free_port):
                with socket.create_server(("127.0.0.1", free_port)) as server:
                    yield server

            @pytest.mark.parametrize("n", range(5))
            def test_a(server, n):
                pass
        """
    )
    port = _one_free_port()
    done = suite.run(f"--sockets-ports={port}-{port}")
    assert done.outcomes == {"passed": 5}, done.text


def test_the_twin_a_port_still_kept_is_not_given_to_the_next_test(suite):
    suite.write(
        test_a="""
            def test_a(free_port_factory):
                free_port_factory()

            def test_b(free_port):
                pass
        """
    )
    port = _one_free_port()
    done = suite.run(f"--sockets-ports={port}-{port}")
    assert done.outcomes == {"passed": 1, "error": 1}, done.text
    assert f"PortUnavailable: no port of {port} is free on TCP and UDP: 1 port, taken" in done.text
    assert "1 kept by this process" in done.text


def test_a_port_still_listened_on_is_not_given_out_again_and_is_noted(suite):
    suite.write(
        conftest="""
            from pytest_sockets.plugin.still_listening import STILL_LISTENING

            def pytest_terminal_summary(terminalreporter, config):
                terminalreporter.write_line(f"noted: {config.stash.get(STILL_LISTENING, None)}")
        """,
        test_a="""
            import socket
            LEFT = []

            def test_left(free_port):
                LEFT.append(socket.create_server(("127.0.0.1", free_port)))

            def test_next(free_port):
                LEFT.pop().close()
        """,
    )
    port = _one_free_port(2)
    done = suite.run(f"--sockets-ports={port}-{port + 1}", "-p", "no:randomly")
    assert done.outcomes == {"passed": 2}, done.text
    noted = "protocol='both', owner='free_port', nodeid='test_a.py::test_left')]"
    assert "noted: [StillListening(port=" in done.text
    assert noted in done.text
    assert done.owners == ["test_left"]


CLOSED_LATE = """
    import socket

    def test_older(echo_server_factory, free_port):
        echo_server_factory(port=free_port)

    def test_session(session_echo_server_factory, free_port_factory):
        session_echo_server_factory(port=free_port_factory())
"""
LEFT = """
    import socket
    LEFT = []

    def test_older(echo_server_factory, free_port):
        LEFT.append(socket.create_server(("127.0.0.1", free_port)))

    def test_session(session_echo_server_factory, free_port_factory):
        LEFT.append(socket.create_server(("127.0.0.1", free_port_factory())))
"""


@pytest.mark.parametrize("options", [(), ("-n1",)])
@pytest.mark.parametrize(("text", "notes"), [(CLOSED_LATE, 0), (LEFT, 2)], ids=["closed", "left"])
def test_a_server_that_is_torn_down_after_the_ports_fixture_is_no_note(suite, options, text, notes):
    """`(echo_server_factory, free_port)`: the younger fixture ends first. Its twin leaves the socket open for good."""
    done = suite.write(test_a=text).run(*options, plugins=("xdist",))
    assert done.outcomes == {"passed": 2}, done.text
    assert done.text.count("was still in use when it was released") == notes, done.text


def test_the_note_of_an_interrupted_session_is_told_too(suite):
    """The session's fixtures end after the last test's report then."""
    suite.write(
        test_a="""
            import socket
            LEFT = []

            def test_a(free_port_factory):
                LEFT.append(socket.create_server(("127.0.0.1", free_port_factory())))

            def test_b():
                raise KeyboardInterrupt
        """
    )
    done = suite.run("-p", "no:randomly")
    assert "of free_port_factory was still in use when it was released (session)" in done.text


@pytest.mark.parametrize(
    "call",
    [
        'echo_server_factory("udp", faults=["Reset"])',
        "echo_server_factory(port=TAKEN)",
        'echo_server_factory(host="")',
        "echo_server_factory(prot=1)",
        "fault_proxy_factory(6379)",
        'free_port_factory(host="")',
        "free_port_factory.block(0)",
        "free_port_factory.release(1)",
        'free_port_factory.listener("")',
        "echo_server_factory().wait_connections(1, timeout=0.01)",
        "echo_server_factory().wait_connections(-1)",
    ],
)
def test_an_error_of_a_factory_is_shown_at_the_call_without_our_frames(suite, call):
    """The twin, `--full-trace`, has a frame of ours; what a test raises itself is shown as ever."""
    suite.write(
        test_a=f"""
            import socket

            def test(free_port_factory, echo_server_factory, fault_proxy_factory):
                with socket.create_server(("127.0.0.1", 0)) as taken:
                    TAKEN = taken.getsockname()[1]
                    {call}
        """
    )
    done = suite.run(report=False)
    assert done.outcomes == {"failed": 1}, done.text
    assert f">           {call}" in done.text
    assert "pytest_sockets/" not in done.text
    assert "pytest_sockets/" in suite.run("--full-trace", report=False).text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "1-1000",
            "1-1000 reaches into the privileged ports below 1024, which are for the machine's services",
        ),
        ("20000", "'20000' is not a valid port range"),
        ("30000-20000", "LOW not above HIGH"),
    ],
)
@pytest.mark.parametrize("place", ["option", "ini"])
def test_a_range_that_cannot_be_used_is_a_usage_error_that_says_where_it_was_set(
    suite, value, problem, place
):
    suite.write(
        test_a="def test(): pass",
        tox__dot__ini=f"[pytest]\nsockets_ports = {value if place == 'ini' else ''}\n",
    )
    done = suite.run(*([f"--sockets-ports={value}"] if place == "option" else []), report=False)
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR
    origin = "tox.ini, sockets_ports" if place == "ini" else "command line, --sockets-ports"
    assert f"pytest-sockets: {origin}: " in done.text
    assert problem in done.text


def test_a_range_with_fewer_ports_than_workers_is_a_usage_error(suite):
    done = suite.write(test_a="def test(): pass").run(
        "-n3", "--sockets-ports=20000-20001", plugins=("xdist",), report=False
    )
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "20000-20001 is too small: 2 ports for 3 pytest-xdist workers" in done.text


def test_ports_come_from_the_range_that_was_set(suite):
    low = _one_free_port(3)
    suite.write(test_a=f"def test(free_port): assert {low} <= free_port <= {low + 2}")
    assert suite.run(f"--sockets-ports={low}-{low + 2}").outcomes == {"passed": 1}


def test_the_header_tells_of_held_ports_and_only_of_those(suite):
    suite.write(test_a="def test(free_port): pass")
    assert "sockets: free ports" not in suite.run().text
    held = suite.run("--sockets-ports=40000-40999")
    assert (
        "sockets: free ports (40000-40999) lie in the kernel's ephemeral range, so placeholders keep them"
        in held.text
    )
    assert held.outcomes == {"passed": 1}


def test_a_plain_server_works_on_a_held_port(suite):
    suite.write(
        test_a="""
            import socketserver

            def test(free_port):
                with socketserver.TCPServer(("127.0.0.1", free_port), socketserver.BaseRequestHandler):
                    pass
        """
    )
    assert suite.run("--sockets-ports=40000-40999").outcomes == {"passed": 1}


@pytest.fixture
def port_server(tmp_path):
    script = Path(sysconfig.get_path("scripts")) / "portserver.py"
    if not script.exists():
        pytest.skip("portpicker's portserver.py is not installed")
    address, low = str(tmp_path / "server"), _one_free_port(4)
    pool = f"--portserver_static_pool={low}-{low + 3}"
    # The script asks for the current event loop, which Python 3.14 no longer makes.
    with_loop = (
        "import asyncio, runpy, sys; asyncio.set_event_loop(asyncio.new_event_loop()); del sys.argv[0]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        with_loop,
        str(script),
        "--portserver_address",
        address,
        pool,
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        assert wait_until(lambda: _answers(address), 10)
        yield address, low
        server.terminate()


def test_ports_come_from_the_port_server_and_the_header_says_so(suite, port_server):
    address, low = port_server
    suite.write(test_a=f"def test(free_port): assert {low} <= free_port <= {low + 3}")
    done = suite.run(environment={"PORTSERVER_ADDRESS": address})
    assert done.outcomes == {"passed": 1}, done.text
    assert f"sockets: free ports come from the port server at {address} (PORTSERVER_ADDRESS)" in done.text


def test_a_port_server_that_does_not_answer_is_an_error_not_another_port(suite, tmp_path):
    suite.write(test_a="def test(free_port): pass")
    done = suite.run(environment={"PORTSERVER_ADDRESS": str(tmp_path / "none")})
    assert done.outcomes == {"error": 1}
    assert "does not answer: No such file or directory. Start it, or unset the variable" in done.text


def test_a_system_that_cannot_hang_skips_with_the_reason(suite):
    suite.write(
        conftest="""
            from pytest_sockets.ports import unreachable_ports
            unreachable_ports._connects = lambda client, address: True
        """,
        test_a="def test(blackhole_port): pass",
    )
    done = suite.run("-rs")
    assert done.outcomes == {"skipped": 1}
    assert "blackhole_port: a queue of length 0 took 64 connections on this system" in done.text


def test_nothing_heavy_is_imported_and_no_pool_is_built_before_a_port_is_asked_for(suite):
    suite.write(
        test_a="""
            import sys

            def test_before():
                heavy = {"portpicker", "psutil", "pytest_sockets.ports.pool", "pytest_sockets.ports.placeholders"}
                assert not heavy & sys.modules.keys()

            def test_after(free_port):
                assert "pytest_sockets.ports.pool" in sys.modules
                assert not {"portpicker", "psutil"} & sys.modules.keys()
        """
    )
    done = suite.run("-p", "no:randomly", "--sockets-leaks=off", report=False, anew=True)
    assert done.outcomes == {"passed": 2}, done.text


def test_two_workers_never_share_a_port(suite):
    suite.write(
        test_a="""
            import pytest, time

            @pytest.fixture(scope="session")
            def kept(free_port_factory):
                return [free_port_factory() for _ in range(20)]

            @pytest.mark.parametrize("n", range(4))
            def test(kept, n, worker_id, tmp_path_factory):
                folder = tmp_path_factory.getbasetemp().parent
                (folder / worker_id).write_text(" ".join(map(str, kept)))
                # A worker that ends gives its ports back: each keeps them until the other has its own.
                deadline = time.monotonic() + 60
                while not all((folder / name).exists() for name in ("gw0", "gw1")) and time.monotonic() < deadline:
                    time.sleep(0.01)
        """
    )
    low = _one_free_port(60)  # some to spare: other runs on this host may have ports of the range
    done = suite.run(
        "-n2",
        "--dist=each",
        f"--sockets-ports={low}-{low + 59}",
        f"--basetemp={suite.folder}/t",
        plugins=("xdist",),
    )
    assert done.outcomes == {"passed": 8}, done.text
    ports = [int(port) for name in ("gw0", "gw1") for port in (suite.folder / "t" / name).read_text().split()]
    assert len(set(ports)) == len(ports) == 40
    assert set(ports) <= set(range(low, low + 60))


def _one_free_port(count=1):
    """The lowest of `count` ports that are free just now, in a range that is nobody's."""
    from pytest_sockets.ports.pool import PortPool
    from pytest_sockets.ports.ranges import PortRanges, Span

    pool = PortPool(PortRanges((Span(20000, 24999),)))
    block = pool.reserve_block(count)
    pool.close()
    return block[0].port


def _answers(address):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(address) == 0


TWO_SERVERS = """
    import socket
    import pytest

    @pytest.fixture
    def database(free_port):
        with socket.create_server(("127.0.0.1", free_port)) as server:
            yield server

    @pytest.fixture
    def cache(free_port, database):
        with socket.create_server(("127.0.0.1", free_port)) as server:
            yield server

    def test_free_port(cache):
        pass

    def test_factory(free_port_factory):
        port = free_port_factory()
        with socket.create_server(("127.0.0.1", port)):
            socket.create_server(("127.0.0.1", port))

    def test_closed_port(closed_port):
        socket.create_server(("127.0.0.1", closed_port))

    def test_other_port():
        server = socket.create_server(("127.0.0.1", 0))
        socket.create_server(server.getsockname())
"""


def test_address_in_use_names_the_fixture_that_reserved_the_port(suite):
    done = suite.write(test_a=TWO_SERVERS).run()
    assert done.outcomes == {"failed": 3, "error": 1}, done.text
    assert re.search(
        r"\d+ is this test's closed_port, which no server can bind; use free_port for a server\.", done.text
    )
    assert re.search(r"(\d+) is this test's free_port; use free_port_factory for a second one\.", done.text)
    assert re.search(r"\d+ is a port of free_port_factory, which keeps it until the session ends;", done.text)


def test_the_twin_another_port_is_no_fixtures(suite):
    done = suite.write(test_a=TWO_SERVERS).run("-k", "other_port")
    assert done.outcomes == {"failed": 1, "deselected": 3}, done.text
    assert "is held by" in done.text
    assert "this test's free_port" not in done.text
    assert "is a port of free_port_factory" not in done.text


def test_a_factory_used_after_its_session_says_so(suite):
    suite.write(
        conftest="""
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            def kept(free_port_factory, pytestconfig):
                pytestconfig.kept = free_port_factory

            def pytest_unconfigure(config):
                try:
                    config.kept()
                except Exception as error:
                    print(f"said: {error}")
        """,
        test_a="def test_a(free_port_factory): assert free_port_factory()",
    )
    done = suite.run("-s")
    assert done.outcomes == {"passed": 1}, done.text
    assert "said: this port factory is closed: its session or `with` block is over" in done.text
