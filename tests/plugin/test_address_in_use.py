"""Each cause of "address already in use", made for real: the section names the holder, its test and what helps."""

from __future__ import annotations

import json
import sys
import textwrap
import xml.etree.ElementTree as ET

import pytest

TITLE = "address already in use (pytest-sockets)"
HEAD = """
import asyncio, errno, os, socket, subprocess, sys, time
import pytest

def bind(port, kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as taker:
        taker.bind(("127.0.0.1", port))

def child(code, **popen):
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **popen)

SHOW = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
LISTEN = f"import socket, sys; {SHOW}; sys.stdin.read()"
"""

MATRIX = {
    "live listener of a fixture": (
        """
        @pytest.fixture(scope="module")
        def holder():
            with socket.create_server(("127.0.0.1", 0)) as server:
                yield server.getsockname()[1]

        def test_x(holder):
            bind(holder)
        """,
        [
            "this process, pid ",
            "listens on 127.0.0.1:",
            "opened by fixture 'holder' (scope module)",
            "Close the listener",
        ],
    ),
    "listener that an earlier test left": (
        """
        left = []

        def test_leaves():
            left.append(socket.create_server(("127.0.0.1", 0)))

        def test_x():
            bind(left[0].getsockname()[1])
        """,
        ["opened by test test_x.py::test_leaves"],
    ),
    "TIME_WAIT": (
        """
        def test_x():
            with socket.socket() as server:
                server.bind(("127.0.0.1", 0))
                server.listen()
                port = server.getsockname()[1]
                with socket.create_connection(("127.0.0.1", port)) as client:
                    server.accept()[0].close()
                    client.recv(1)
            bind(port)
        """,
        ["is in TIME_WAIT for another ", "no process holds it any more", "set SO_REUSEADDR before bind()"],
    ),
    "accepted connection of a closed listener": (
        """
        def test_x():
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                client = socket.create_connection(("127.0.0.1", port))
                accepted, _ = server.accept()
            bind(port)
        """,
        [
            "has a connection in ESTABLISHED on 127.0.0.1:",
            "The listener is closed but a connection that it accepted",
        ],
    ),
    "bound and never listened": (
        """
        def test_x():
            holder = socket.socket()
            holder.bind(("127.0.0.1", 0))
            bind(holder.getsockname()[1])
        """,
        ["is bound to, without listening, 127.0.0.1:", "opened by test test_x.py::test_x", "never listened"],
    ),
    "local port of an outgoing connection": (
        """
        def test_x(free_port):
            server = socket.create_server(("127.0.0.1", free_port))
            client = socket.create_connection(("127.0.0.1", free_port))
            bind(client.getsockname()[1])
        """,
        [
            "has a connection in ESTABLISHED on 127.0.0.1:",
            "An outgoing connection was given the port",
            "ephemeral range",
        ],
    ),
    "child that listens": (
        """
        left = []

        def test_starts():
            left.append(child(LISTEN))
            left.append(int(left[0].stdout.readline()))

        def test_x():
            try:
                bind(left[1])
            finally:
                import atexit
                atexit.register(left[0].kill)
        """,
        [
            "command line: ",
            "started by test_x.py::test_starts",
            "It is a child of this process: terminate it",
        ],
    ),
    "child that inherited the listener": (
        """
        def test_x():
            server = socket.create_server(("127.0.0.1", 0))
            port = server.getsockname()[1]
            holder = child("import sys; print(1, flush=True); sys.stdin.read()", pass_fds=[server.fileno()])
            holder.stdout.readline()
            server.close()
            import atexit
            atexit.register(holder.kill)
            bind(port)
        """,
        ["listens on 127.0.0.1:", "It is a child of this process", "It may have inherited the descriptor"],
    ),
    "parent and forked child": (
        """
        def test_x():
            server = socket.create_server(("127.0.0.1", 0))
            holder = child("import sys; print(1, flush=True); sys.stdin.read()", pass_fds=[server.fileno()])
            holder.stdout.readline()
            import atexit
            atexit.register(holder.kill)
            bind(server.getsockname()[1])
        """,
        ["shared with pid ", "Close the listener here and in the child that inherited it"],
    ),
    "forked child that kept the listener and has ended": (
        """
        def test_x(free_port):
            server = socket.create_server(("127.0.0.1", port := free_port))
            holder = child("import sys; sys.stdin.read()", pass_fds=[server.fileno()])
            server.close()
            try:
                with socket.socket() as taker:
                    taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    taker.bind(("127.0.0.1", port))
            finally:
                holder.communicate()
        """,
        [
            "is not held any more. This process bound it before and started a child process since",
            "Wait for the child",
        ],
    ),
    "holders that share the port": (
        """
        def listen(port):
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(("127.0.0.1", port))
            server.listen()
            return server

        def test_x():
            one = listen(0)
            two = listen(one.getsockname()[1])
            bind(one.getsockname()[1])
        """,
        ["They share the port through SO_REUSEPORT"],
    ),
    "UDP": (
        """
        def test_x():
            holder = socket.socket(type=socket.SOCK_DGRAM)
            holder.bind(("127.0.0.1", 0))
            bind(holder.getsockname()[1], socket.SOCK_DGRAM)
        """,
        ["/udp is held by:", "is bound to 127.0.0.1:", "Close the UDP socket"],
    ),
    "asyncio": (
        """
        def test_x():
            holder = socket.create_server(("127.0.0.1", 0))
            asyncio.run(asyncio.start_server(lambda r, w: None, "127.0.0.1", holder.getsockname()[1]))
        """,
        ["listens on 127.0.0.1:", "opened by test test_x.py::test_x"],
    ),
    "uvloop": (
        """
        def test_x():
            import uvloop
            holder = socket.create_server(("127.0.0.1", 0))
            uvloop.run(asyncio.start_server(lambda r, w: None, "127.0.0.1", holder.getsockname()[1]))
        """,
        ["listens on 127.0.0.1:", "opened by test test_x.py::test_x"],
    ),
    "a child's stderr": (
        """
        def test_x():
            holder = socket.create_server(("127.0.0.1", 0))
            port = holder.getsockname()[1]
            subprocess.run([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], check=True)
        """,
        ["opened by test test_x.py::test_x"],
    ),
    "a fixture's set-up, in the cause": (
        """
        @pytest.fixture
        def service():
            holder = socket.create_server(("127.0.0.1", 0))
            try:
                bind(holder.getsockname()[1])
            except OSError as error:
                raise RuntimeError("service did not start") from error

        def test_x(service):
            pass
        """,
        ["opened by fixture 'service' (scope function)"],
    ),
    "unittest, closed by a cleanup": (
        """
        import unittest

        class TestX(unittest.TestCase):
            def test_x(self):
                holder = socket.create_server(("127.0.0.1", 0))
                self.addCleanup(holder.close)
                bind(holder.getsockname()[1])
        """,
        ["listens on 127.0.0.1:|has no visible holder now: it was closed meanwhile"],
    ),
    "a module's import": (
        """
        holder = socket.create_server(("127.0.0.1", 0))
        bind(holder.getsockname()[1])

        def test_x():
            pass
        """,
        ["listens on 127.0.0.1:"],
    ),
    "a unix path": (
        """
        def test_x(tmp_path):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(tmp_path / "x"))
            with socket.socket(socket.AF_UNIX) as two:
                two.bind(str(tmp_path / "x"))
        """,
        ["the file is left over, no socket is bound to it any more", "unlink it first"],
    ),
}


RUN: dict[str, str] = {}


def sections(suite) -> dict[str, str]:
    """Each cause's part of the output; all causes are made in one run, each in a module of its own."""
    if not RUN:
        for number, (body, _) in enumerate(MATRIX.values()):
            text = (HEAD + textwrap.dedent(body)).replace("test_x.py", f"test_{number}.py")
            suite.write(**{f"test_{number}": text})
        done = suite.run("--tb=short", "-W", "ignore", "--continue-on-collection-errors", timeout=120)
        for number, cause in enumerate(MATRIX):
            parts = done.text.split(TITLE)[:-1]
            found = [
                index
                for index, part in enumerate(parts)
                if f"test_{number}.py:" in part.rpartition("\n____")[2]
            ]
            RUN[cause] = done.text.split(TITLE)[found[0] + 1].partition("\n____")[0] if found else done.text
            RUN[cause] = RUN[cause].replace(f"test_{number}.py", "test_x.py")
    return RUN


@pytest.mark.skipif(sys.platform != "linux", reason="the causes are Linux's")
@pytest.mark.parametrize("cause", MATRIX)
def test_each_cause_names_its_holder_and_its_cure(suite, cause: str):
    section = sections(suite)[cause]
    for text in MATRIX[cause][1]:
        assert any(part in section for part in text.split("|")), section


def test_a_failure_without_it_gets_no_section_and_no_hook(suite):
    suite.write(
        test_x="""
        import errno, pytest

        def test_other(pytestconfig):
            raise OSError(errno.ECONNREFUSED, "refused 127.0.0.1:80")

        def test_skip():
            pytest.skip("address already in use")

        def test_passes(pytestconfig, capsys):
            print("address already in use")
            assert not pytestconfig.pluginmanager.has_plugin("pytest_sockets.address_in_use_sections")
        """
    )
    done = suite.run()
    assert TITLE not in done.text
    assert done.outcomes == {"failed": 1, "skipped": 1, "passed": 1}


CARRIED = HEAD + (
    "def test_x():\n    holder = socket.create_server(('127.0.0.1', 0))\n    bind(holder.getsockname()[1])\n"
)


@pytest.mark.parametrize(
    "arguments", [(), ("--show-capture=no",), ("-n1",), ("--tb=line",), ("--tb=native",)], ids=str
)
def test_it_reaches_the_terminal(suite, arguments: tuple[str, ...]):
    suite.write(test_x=CARRIED)
    done = suite.run(*arguments, plugins=("xdist.plugin",) if "-n1" in arguments else ())
    if "--tb=line" in arguments and pytest.version_tuple < (
        9,
    ):  # which prints one line there, whatever a report holds
        assert "OSError: [Errno 98]" in done.text
        return
    assert done.text.count(TITLE) == 1, done.text
    assert "opened by test test_x.py::test_x" in done.text


EARLIER = """
    import errno, os, socket
    def use(port):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return sock.getsockname()[1]
    kept = []
    def hold(port):
        kept.append(socket.socket())
        kept[-1].bind(("127.0.0.1", port))
    PORT = use(0)
    def test_earlier(): {earlier}
    def test_fails(tmp_path):
        {now}
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
"""


def test_an_address_that_an_earlier_test_used_is_not_named(suite):
    suite.write(test_x=EARLIER.format(earlier="hold(PORT)", now=""))
    done = suite.run("-p", "no:randomly", report=False)
    assert "The error does not say which address" in done.text, done.text


def test_the_twin_one_that_this_test_used_is(suite):
    suite.write(test_x=EARLIER.format(earlier="pass", now="hold(PORT); print('mine:', PORT)"))
    done = suite.run("-p", "no:randomly", report=False)
    port = done.text.partition("mine: ")[2].split()[0]
    assert f"the last one used was:\n127.0.0.1:{port}/tcp" in done.text, done.text


def test_after_a_unix_path_no_tcp_address_is_named(suite):
    unix = "use(PORT); socket.socket(socket.AF_UNIX).bind(str(tmp_path / 's'))"
    suite.write(test_x=EARLIER.format(earlier="pass", now=unix))
    done = suite.run("-p", "no:randomly", report=False)
    assert "the last one used" not in done.text, done.text


def test_it_reaches_junit(suite):
    suite.write(test_x=CARRIED)
    suite.run("--junitxml=out.xml")
    failure = ET.parse(suite.folder / "out.xml").find(".//failure")
    assert failure is not None
    assert TITLE in failure.text
    assert "opened by test" in failure.text


def test_the_headline_reaches_whoever_reads_only_the_message(suite):
    """As GitHub annotations do: reprcrash.message."""
    suite.write(
        test_x=CARRIED,
        conftest="""
        import json

        def pytest_runtest_logreport(report):
            if report.failed:
                with open("message.json", "w") as file:
                    json.dump(report.longrepr.reprcrash.message, file)
        """,
    )
    suite.run()
    message = json.loads((suite.folder / "message.json").read_text())
    assert "pytest-sockets: 127.0.0.1:" in message
    assert "is held by: this process, pid " in message


def test_another_xdist_worker_is_named_with_its_fixture(suite, tmp_path):
    suite.write(
        test_a=f"""
        import pathlib, socket, time
        import pytest
        HERE = pathlib.Path({str(tmp_path)!r})

        @pytest.fixture(scope="module")
        def held():
            with socket.create_server(("127.0.0.1", 0)) as server:
                (HERE / "new").write_text(str(server.getsockname()[1]))
                (HERE / "new").rename(HERE / "port")
                yield

        def test_holds(held):
            deadline = time.monotonic() + 30
            while not (HERE / "done").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
        """,
        test_b=f"""
        import pathlib, socket, time
        import pytest
        HERE = pathlib.Path({str(tmp_path)!r})

        @pytest.fixture
        def told():
            yield

        def test_wants():
            deadline = time.monotonic() + 30
            while not (HERE / "port").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            port = int((HERE / "port").read_text())
            with socket.socket() as taker:
                taker.bind(("127.0.0.1", port))

        def test_after():
            (HERE / "done").touch()
        """,
    )
    done = suite.run("-n2", "--dist=loadfile", plugins=("xdist.plugin",))
    assert done.outcomes == {"failed": 1, "passed": 2}, done.text
    assert "opened by fixture 'held' (scope module)" in done.text
    assert "on xdist worker gw" in done.text
    assert "of this run holds it: a fixed port cannot serve two" in done.text
