"""`reserve_port()` and `PortFactory()` in a script: the ports are reserved, released, and nothing is left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import traceback

import pytest

from pytest_sockets import PortFactory, PortUnavailable, SettingError, reserve_port
from pytest_sockets.ports.process_pool import process_pool


def test_a_port_is_reserved_inside_the_block_and_released_after_it():
    with reserve_port() as port:
        assert port in process_pool().kept
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert port not in process_pool().kept


def test_a_port_is_released_when_the_block_raises():
    with pytest.raises(ZeroDivisionError), reserve_port("udp") as port:
        _ = 1 / 0
    assert port not in process_pool().kept


def test_two_blocks_have_two_ports():
    with reserve_port() as first, reserve_port() as second:
        assert first != second


def test_a_factory_releases_its_ports_at_the_end_of_its_block():
    with PortFactory() as factory:
        ports = [factory(), *factory.block(2)]
        listener = factory.listener()
        assert {*ports, listener.port} <= set(process_pool().kept)
    assert listener.fileno() == -1
    assert not {*ports, listener.port} & set(process_pool().kept)


@pytest.mark.parametrize(
    "use",
    [
        lambda factory: factory(),
        lambda factory: factory.block(2),
        lambda factory: factory.release(20000),
        lambda factory: factory.listener(),
    ],
    ids=["call", "block", "release", "listener"],
)
def test_a_closed_factory_says_that_it_is_closed(use):
    with PortFactory() as factory:
        pass
    with pytest.raises(SettingError, match=r"this port factory is closed: .* make a new PortFactory\(\)"):
        use(factory)


@pytest.mark.parametrize("ask", [reserve_port, PortFactory().__call__], ids=["reserve_port", "factory"])
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("sctp",), "protocol='sctp'"),
        (("tcp", "127.0.0.one"), "host='127.0.0.one' cannot be resolved"),
        (("tcp", "127.0.0.1 "), "host='127.0.0.1 '"),
        (("tcp", "192.0.2.1"), "host='192.0.2.1'"),
        (("tcp", 8080), "host=8080"),
    ],
)
def test_a_wrong_argument_is_an_error_at_the_line_of_the_call(ask, arguments, problem):
    """192.0.2.1 is a documentation address, which no machine has."""
    with pytest.raises(SettingError) as caught:
        ask(*arguments)
    assert problem in str(caught.value)
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2, "this test's line and the call itself"


SCRIPT = """
    import os, socket, sys
    from pytest_sockets import PortFactory, reserve_port
    factory = PortFactory()
    kept = [factory() for _ in range(20)]
    with reserve_port() as port:
        socket.create_server(("127.0.0.1", port)).close()
    assert "pytest" not in sys.modules and "_pytest" not in sys.modules
    print(kept[0])
"""


def test_a_script_needs_no_pytest_and_ends_without_a_warning(tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().isdecimal()


def test_ports_come_from_the_port_server_if_there_is_one(tmp_path):
    code = "from pytest_sockets import reserve_port\nreserve_port()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PORTSERVER_ADDRESS": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert PortUnavailable.__name__ in done.stderr
    assert "does not answer: No such file or directory" in done.stderr
