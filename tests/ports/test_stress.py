"""Two `pytest -n 4` runs at once on a host full of bind(0) and connect(): no server ever finds its port taken.

SOCKETS_STRESS is the number of tests in each run (default 120). The twin at the end shows that the same load does break an
allocator that binds port 0 and closes.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TESTS = int(os.environ.get("SOCKETS_STRESS", "120"))
PROJECT = Path(__file__).resolve().parents[2]
NOISE = Path(__file__).with_name("noise.py")
TIMEOUT = 60 + TESTS * 0.5

SUITE = """
    import fcntl, os, random, socket, socketserver, sys, time
    import pytest

    VARIANT = os.environ["STRESS_VARIANT"]
    chance = random.Random()  # pytest-randomly seeds the global one

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):  # returning closes the connection: the server's side goes first and keeps TIME_WAIT
            pass

    class Reusing(socketserver.TCPServer):
        allow_reuse_address = True

    def server_class():
        return {"udp": socketserver.UDPServer, "reuse": Reusing}.get(VARIANT, socketserver.TCPServer)

    @pytest.fixture
    def only_mine(PORT):
        \"\"\"Fails if another live test of any run has the same port.\"\"\"
        with open(os.path.join(os.environ["STRESS_FOLDER"], str(PORT)), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @pytest.mark.parametrize("n", range(int(os.environ["STRESS_TESTS"])))
    def test_server(PORT, only_mine, n):
        time.sleep(chance.random() * 0.02)
        with server_class()(("127.0.0.1", PORT), Answer) as server:
            if VARIANT == "time_wait":
                with socket.create_connection(("127.0.0.1", PORT)) as client:
                    server.handle_request()
                    assert client.recv(1) == b""
"""


@contextlib.contextmanager
def noise(wrapper):
    with subprocess.Popen(
        [*wrapper, sys.executable, "-W", "ignore", str(NOISE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield
        bound, connected = map(int, process.communicate("\n", timeout=30)[0].split())
        assert bound > 1000 < connected * 10, "there was noise"


def stress(folder, fixture, variant, wrapper=()):
    """Two runs at once; the outputs of both."""
    (folder / "locks").mkdir()
    (folder / "test_stress_suite.py").write_text(textwrap.dedent(SUITE).replace("PORT", fixture))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))
    } | {
        "PYTHONPATH": str(PROJECT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "STRESS_VARIANT": variant,
        "STRESS_TESTS": str(TESTS),
        "STRESS_FOLDER": str(folder / "locks"),
    }
    plugins = [
        word for name in ("pytest_sockets.plugin", "xdist", "pytest_asyncio.plugin") for word in ("-p", name)
    ]
    options = [
        "-q",
        "-n4",
        "--tb=line",
        "--sockets-leaks=off",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    command = [*wrapper, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *options]
    with noise(wrapper):
        runs = [
            subprocess.Popen(
                [
                    *command,
                    f"--basetemp={folder}/base{n}",
                    "-c",
                    os.devnull,
                    "--rootdir",
                    str(folder),
                    str(folder),
                ],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for n in range(2)
        ]
        return [run.communicate(timeout=TIMEOUT)[0] for run in runs]


def failures(outputs):
    assert all(re.search(r"\d+ (passed|failed)", text) for text in outputs), outputs
    return sum(
        int(count)
        for text in outputs
        for count in re.findall(r"(\d+) (?:failed|error)", text.splitlines()[-1])
    )


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "reuse", "udp", "time_wait"])
def test_no_server_finds_its_port_taken_and_no_two_tests_have_the_same(tmp_path, variant):
    outputs = stress(tmp_path, "free_port", variant)
    assert failures(outputs) == 0, outputs


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "reuse", "udp", "time_wait"])
def test_nor_where_the_ephemeral_range_has_2000_ports(tmp_path, variant, shared_namespace):
    outputs = stress(tmp_path, "free_port", variant, shared_namespace("32768 34767"))
    assert failures(outputs) == 0, outputs


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["reuse", "plain", "udp", "time_wait"])
def test_nor_where_every_port_is_ephemeral_and_ours_are_held(tmp_path, variant, shared_namespace):
    outputs = stress(tmp_path, "free_port", variant, shared_namespace("1024 65535"))
    assert failures(outputs) == 0, outputs


@pytest.mark.slow
def test_the_twin_binding_port_0_and_closing_breaks_under_the_same_load(tmp_path, shared_namespace):
    """In a range of 200 ports, so that a short run is enough to see it."""
    assert failures(stress(tmp_path, "unused_tcp_port", "plain", shared_namespace("32768 32967"))) > 0
