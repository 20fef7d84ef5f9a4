"""A server process serves on its ports until it is stopped; its output, its end and its restarts can be followed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from pytest_sockets import wait_listening
from pytest_sockets.errors import ProcessDied, ServerFault, WaitTimeout
from pytest_sockets.processes.kept_tree import launcher
from pytest_sockets.processes.server_process import ServerProcess
from pytest_sockets.table import proc
from pytest_sockets.waiting import wait_until

from .conftest import HTTP, is_alive, left_after, python

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', {})); "
ANY = LISTEN.format(0)
GIVEN = LISTEN.format("int(sys.argv[1])")


def test_it_answers_once_it_is_made_and_is_gone_after_the_block():
    with ServerProcess(HTTP) as server:
        assert urllib.request.urlopen(server.url()).status == 200
        assert server.is_running
        assert server.returncode is None
        assert server.address == ("127.0.0.1", server.port)
        tree = server.tree()
        assert tree == [server.pid]
    assert not any(map(is_alive, tree))
    assert server.returncode == -signal.SIGTERM
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.address)


def test_without_a_placeholder_the_port_is_the_one_that_it_listens_on():
    with ServerProcess(python(ANY + "time.sleep(60)")) as server:
        wait_listening(server.port, process=server)
        socket.create_connection(server.address).close()


def test_a_server_without_any_port_says_so():
    with (
        ServerProcess(
            python("print('up', flush=True); import time; time.sleep(60)"), ready=re.compile("up")
        ) as server,
        pytest.raises(ServerFault, match=r"listens on no tcp port and has no \{port\}"),
    ):
        _ = server.port


@pytest.mark.parametrize("host", ["::1", "0.0.0.0", "::", "localhost"])
def test_other_hosts(host: str):
    code = "import socket, sys, time; h = sys.argv[1]; "
    code += "f = socket.AF_INET6 if ':' in h else socket.AF_INET; s = socket.create_server((h, int(sys.argv[2])), family=f); time.sleep(60)"  # noqa: E501
    with ServerProcess(python(code, "{host}", "{port}"), host=host) as server:
        socket.create_connection(server.address).close()
        expected = {"::1": "[::1]", "::": "[::1]", "0.0.0.0": "127.0.0.1"}.get(host, host)
        assert server.url("tcp") == f"tcp://{expected}:{server.port}"


def test_udp():
    code = "import socket, sys, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"  # noqa: E501
    with ServerProcess(python(code, "{port}"), protocol="udp") as server:
        assert server.port


@pytest.mark.parametrize(
    "ready", [re.compile("^ready", re.M), re.compile(b"ready"), lambda server: "ready" in server.output]
)
def test_ready_by_output_or_by_asking(ready):
    code = (
        "import time; print('hello', flush=True); time.sleep(.1); print('ready', flush=True); time.sleep(60)"
    )
    with ServerProcess(python(code), ready=ready) as server:
        assert server.output == "hello\nready\n"


def test_ready_asks_until_it_is_true():
    asked = []

    def ready() -> bool:
        asked.append(time.monotonic())
        return len(asked) == 3

    with ServerProcess(["sleep", "60"], ready=ready):
        assert len(asked) == 3


def test_a_prints_of_python_is_seen_though_nobody_flushes():
    with ServerProcess(
        [sys.executable, "-c", "print('up'); import time; time.sleep(60)"], ready=re.compile("up")
    ):
        pass
    command = [sys.executable, "-c", "print('up'); import time; time.sleep(60)"]
    with pytest.raises(
        WaitTimeout, match=r"it wrote no output"
    ):  # the twin: with the variable emptied it stays unseen
        ServerProcess(command, ready=re.compile("up"), env={"PYTHONUNBUFFERED": ""}, timeout=1)


def test_a_server_that_is_not_ready_in_time_says_what_it_listens_on_and_wrote():
    code = "import socket, sys, time; print('other port', flush=True); s = socket.create_server(('127.0.0.1', 0)); time.sleep(60)"  # noqa: E501
    with pytest.raises(WaitTimeout) as caught:
        ServerProcess(python(code, "{port}"), timeout=1)
    text = str(caught.value)
    assert re.search(r"runs, but 1 s passed before it listened on port \d+/tcp", text)
    assert re.search(r"listens on 127.0.0.1:\d+", text)
    assert text.endswith("the end of its output:\n  other port")


def test_output_of_many_megabytes_stops_nothing():
    """A pipe would hold 64 KiB, and the server then hang."""
    code = "import sys; [print('x' * 1000) for _ in range(5000)]; " + GIVEN + "print('end'); time.sleep(60)"
    with ServerProcess(python(code, "{port}")) as server:
        server.wait_output("end")
        assert len(server.output) > 5_000_000
        server.stop()
        assert server.output.endswith("end\n")
    assert server.output.endswith("end\n")
    assert len(server.output) <= 1024 * 1024


class TestWaitingForOutput:
    def test_the_match_is_returned(self):
        with ServerProcess(python(GIVEN + "print('id=42'); time.sleep(60)", "{port}")) as server:
            assert server.wait_output(r"id=(\d+)")[1] == "42"
            with pytest.raises(WaitTimeout, match=r"does not match 'nope' after 0.1 s"):
                server.wait_output("nope", timeout=0.1)

    def test_a_death_ends_the_wait(self):
        with ServerProcess(python(GIVEN + "time.sleep(.3); sys.exit('bye')", "{port}")) as server:
            begin = time.monotonic()
            with pytest.raises(ProcessDied, match=r"exited with status 1 before its output matched 'nope'"):
                server.wait_output("nope", timeout=30)
            assert time.monotonic() - begin < 10
            server.wait()


class TestRestart:
    def test_on_the_same_ports_with_fresh_output(self):
        with ServerProcess(
            python(GIVEN + "print('pid', __import__('os').getpid()); time.sleep(60)", "{port}")
        ) as server:
            port, pid = server.port, server.pid
            server.wait_output(f"pid {pid}")
            server.restart()
            assert server.port == port
            assert server.pid != pid
            server.wait_output(f"pid {server.pid}")
            assert str(pid) not in server.output

    def test_after_stop_and_after_kill(self):
        with ServerProcess(HTTP) as server:
            for end in (server.stop, server.kill):
                end()
                assert not server.is_running
                server.restart()
                assert server.is_running

    def test_after_close_it_is_refused(self):
        server = ServerProcess(HTTP)
        server.close()
        with pytest.raises(ServerFault, match=r"was closed and has given its ports back"):
            server.restart()


class TestPausing:
    def test_a_paused_server_accepts_and_does_not_answer(self):
        with ServerProcess(HTTP) as server:
            server.pause()
            with socket.create_connection(server.address, timeout=0.2) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with pytest.raises(TimeoutError):
                    client.recv(1)
                server.resume()
                client.settimeout(10)
                assert client.recv(5) == b"HTTP/"

    def test_every_process_of_the_tree_is_paused(self):
        def all_sleep(server: ServerProcess) -> bool:
            # Until its child has called exec, a shell that uses vfork() waits for it in the kernel (state D).
            lines = [proc.command_line(pid) or "" for pid in server.tree()]
            return len(lines) == 4 and all(line.startswith("sleep") for line in lines[1:])

        with ServerProcess(["sh", "-c", "sleep 61 & sleep 62 & sleep 63; :"], ready=all_sleep) as server:
            server.pause()
            assert {proc.birth(pid)[0] for pid in server.tree()} == {"T"}

    def test_a_paused_server_stops_politely(self):
        with ServerProcess(HTTP, stop_timeout=30) as server:
            server.pause()
            server.stop()
            assert server.returncode == -signal.SIGTERM

    def test_also_one_that_somebody_else_paused(self):
        with ServerProcess(HTTP, stop_timeout=30) as server:
            os.kill(server.pid, signal.SIGSTOP)
            server.stop()
            assert server.returncode == -signal.SIGTERM


class TestDeath:
    def test_on_its_own_it_is_an_error_of_the_block(self):
        with (
            pytest.raises(ProcessDied) as caught,
            ServerProcess(python(GIVEN + "time.sleep(.2); sys.exit('boom')", "{port}")) as server,
        ):
            wait_until(lambda: not server.is_running, 10)
        assert "exited with status 1 before it was stopped" in str(caught.value)
        assert str(caught.value).endswith("boom")

    def test_beside_another_error_it_is_a_note(self):
        with (  # noqa: PT012
            pytest.raises(ValueError, match=r"mine") as caught,
            ServerProcess(["sh", "-c", "echo up; sleep 0.2; exit 3"], ready=re.compile("up")) as server,
        ):
            wait_until(lambda: not server.is_running, 10)
            raise ValueError("mine")
        assert "exited with status 3" in caught.value.__notes__[0]

    def test_waited_for_or_stopped_it_is_none(self):
        with ServerProcess(["sh", "-c", "echo up; sleep 0.2; exit 3"], ready=re.compile("up")) as server:
            assert server.wait() == 3
        with ServerProcess(["sleep", "60"], ready=lambda: True) as server:
            server.stop()
            server.stop()

    def test_waiting_for_an_end_that_does_not_come(self):
        with ServerProcess(["sleep", "60"], ready=lambda: True) as server:  # noqa: SIM117
            with pytest.raises(WaitTimeout, match=r"still runs after 0.1 s"):
                server.wait(0.1)


def test_a_server_that_dies_in_its_start_leaves_nothing(nothing_left):
    for _ in range(3):
        with pytest.raises(ProcessDied):
            ServerProcess(python("import sys; sys.exit(1)", "{port}"))
        with pytest.raises(WaitTimeout):
            ServerProcess(["sleep", "60"], timeout=0.05)


def test_threads_start_and_stop_at_once(nothing_left):
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                with ServerProcess(HTTP) as server:
                    urllib.request.urlopen(server.url()).read()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_dropped_server_is_ended():
    server = ServerProcess(HTTP)
    tree = server.tree()
    del server
    assert not left_after(tree, 10)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_does_not_end_it_nor_keep_it():
    with ServerProcess(HTTP) as server:
        child = os.fork()
        if child == 0:
            try:
                server.stop()
                os._exit(0 if not server.tree() else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert urllib.request.urlopen(server.url()).status == 200


def test_a_launcher_that_was_killed_is_replaced():
    with ServerProcess(HTTP) as first:
        os.kill(launcher._process.pid, signal.SIGKILL)
        os.waitpid(launcher._process.pid, 0)
        with ServerProcess(HTTP) as second:
            assert urllib.request.urlopen(second.url()).status == 200
        assert urllib.request.urlopen(first.url()).status == 200


@pytest.mark.slow
def test_200_starts_and_stops_leave_nothing_and_are_noticed_within_20_ms(nothing_left, tmp_path, monkeypatch):
    """The server writes down when its listen() has returned."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "import http.server as h, sys, time; s = h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler);"  # noqa: E501
    code += "print('at', time.clock_gettime(time.CLOCK_MONOTONIC), flush=True); s.serve_forever()"
    late = []
    for _ in range(200):
        with ServerProcess(python(code, "{port}")) as server:
            ready = time.clock_gettime(time.CLOCK_MONOTONIC)
            late.append(ready - float(server.wait_output(r"at ([\d.]+)")[1]))
            tree = server.tree()
        assert not any(map(is_alive, tree))
    print(f"median {statistics.median(late) * 1000:.1f} ms, worst {max(late) * 1000:.1f} ms")
    assert statistics.median(late) < 0.020
    assert list(tmp_path.iterdir()) == []


def test_a_compiled_server_needs_nothing_special(tmp_path):
    compiler = shutil.which("gcc") or pytest.skip("no C compiler")
    source = tmp_path / "server.c"
    source.write_text(
        "#include <arpa/inet.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        "int main(int n, char **words) { struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};\n"  # noqa: E501
        "int s = socket(AF_INET, SOCK_STREAM, 0); bind(s, (void *)&a, sizeof a); listen(s, 8); pause(); }\n"
    )
    subprocess.run([compiler, "-o", tmp_path / "server", source], check=True)
    with ServerProcess([tmp_path / "server", "{port}"]) as server:
        socket.create_connection(server.address).close()
    assert server.returncode == -signal.SIGTERM
