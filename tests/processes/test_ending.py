"""Real servers are stopped completely: each by its own protocol, workers, daemons and stragglers included."""

from __future__ import annotations

import logging
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from pytest_sockets.processes.server_process import ServerProcess
from pytest_sockets.waiting import wait_until

from .conftest import is_alive, needed, python

ECHO = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


def test_redis():
    with ServerProcess([needed("redis-server"), "--port", "{port}", "--save", ""]) as server:
        with socket.create_connection(server.address) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(7) == b"+PONG\r\n"
        tree = server.tree()
        server.stop()
        assert "Redis is now ready to exit" in server.output
    assert server.returncode == 0
    assert not any(map(is_alive, tree))


NGINX = """
daemon {daemon}; worker_processes 2; pid {folder}/nginx.pid; error_log stderr notice;
events {{ worker_connections 16; }}
http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; server {{ listen 127.0.0.1:{port}; return 200 hello; }} }}
"""


@pytest.mark.parametrize("daemon", ["off", "on"])
def test_nginx_with_two_workers_also_as_a_daemon(tmp_path: Path, free_port: int, daemon: str):
    """With `daemon on` the process that was started ends at once, with status 0, and its tree serves on."""
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(daemon=daemon, folder=tmp_path, port=free_port))
    with ServerProcess([needed("nginx"), "-c", config, "-p", tmp_path], stop_timeout=30) as server:
        assert server.port == free_port
        with socket.create_connection(server.address) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(9) == b"HTTP/1.1 "
        assert wait_until(
            lambda: len(server.tree()) == 3, 10
        )  # the first worker may answer before the second exists
        tree = server.tree()
        assert server.is_running
        server.stop()
    assert not any(map(is_alive, tree))
    assert server.returncode == 0
    assert not (tmp_path / "nginx.pid").exists()  # it ended politely


@pytest.fixture
def postgres_folder():
    """A fresh data directory that the user `postgres` owns if this is root, whom PostgreSQL refuses."""
    folder = Path(tempfile.mkdtemp(prefix="pgs-", dir="/tmp"))
    if os.getuid() == 0:
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("no user postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    yield folder
    shutil.rmtree(folder)


def as_postgres(*words: str) -> list[str]:
    if os.getuid() == 0:
        return [needed("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
    return list(words)


@pytest.mark.slow
def test_postgresql_fast_shutdown(postgres_folder: Path):
    """SIGINT to the postmaster alone: a signal to its children would be taken for a crash."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or pytest.skip("no PostgreSQL")
    initdb = as_postgres(
        str(programs[-1].with_name("initdb")), "-D", str(postgres_folder / "data"), "-A", "trust", "-N"
    )
    subprocess.run(initdb, check=True, capture_output=True, cwd="/")
    command = [
        str(programs[-1]),
        "-D",
        str(postgres_folder / "data"),
        "-p",
        "{port}",
        "-k",
        str(postgres_folder),
    ]
    with ServerProcess(
        as_postgres(*command),
        stop_signal=signal.SIGINT,
        stop_timeout=30,
        ready=re.compile("ready to accept connections"),
    ) as server:
        tree = server.tree()
        assert len(tree) > 3
        server.stop()
        assert "received fast shutdown request" in server.output
        assert "database system is shut down" in server.output
    assert server.returncode == 0
    assert not any(map(is_alive, tree))


def test_node():
    code = "require('http').createServer((q, a) => a.end('hi')).listen(+process.argv[1], '127.0.0.1')"
    with ServerProcess([needed("node"), "-e", code, "{port}"]) as server:
        tree = server.tree()
    assert not any(map(is_alive, tree))


def test_a_shell_script_that_starts_two_children_and_waits():
    script = f'python="$1"; "$python" -c "{ECHO}" "$2" & "$python" -c "{ECHO}" "$3" & wait'
    import sys

    with ServerProcess(["sh", "-c", script, "sh", sys.executable, "{port}", "{other_port}"]) as server:
        tree = server.tree()
        assert len(tree) == 3
        for port in (server.port, server.ports["other"]):
            socket.create_connection((server.host, port)).close()
    assert not any(map(is_alive, tree))


def test_what_a_dead_leader_leaves_is_asked_too_and_not_only_killed(tmp_path: Path):
    """A shell dies of SIGTERM at once; its child is then asked, and cleans up."""
    mark = tmp_path / "cleaned"
    child = "import signal, sys, time, pathlib; signal.signal(15, lambda *_: (pathlib.Path(sys.argv[1]).touch(), sys.exit())); print('up', flush=True); time.sleep(600)"  # noqa: E501
    command = ["sh", "-c", '"$@" & wait', "sh", *python(child, str(mark))]
    with ServerProcess(command, ready=re.compile("up"), stop_timeout=30) as server:
        tree = server.tree()
    assert mark.exists()
    assert not any(map(is_alive, tree))


def test_a_child_of_a_living_leader_is_not_asked(tmp_path: Path):
    """The leader ends it its own way: here it waits for it, and the child would write down a signal."""
    child = "import signal, time; signal.signal(15, lambda *_: print('child was asked', flush=True)); print('up', flush=True); time.sleep(0.6)"  # noqa: E501
    leader = f"import signal, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
    leader += (
        "signal.signal(15, lambda *_: (p.wait(), print('waited', flush=True), sys.exit())); signal.pause()"
    )
    with ServerProcess(python(leader), ready=re.compile("up"), stop_timeout=30) as server:
        server.stop()
        assert "waited" in server.output
        assert "child was asked" not in server.output


DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print('daemon', os.getpid(), flush=True)
{rest}
"""


def test_a_daemon_that_left_group_session_and_parent_is_ended():
    code = DAEMON.format(
        rest="import socket; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
    )
    with ServerProcess(python(code, "{port}")) as server:
        daemon = int(server.wait_output(r"daemon (\d+)")[1])
        assert server.tree() == [daemon]
        assert server.is_running
    assert not is_alive(daemon)


def test_a_daemon_that_dies_is_a_death():
    code = DAEMON.format(
        rest="import socket; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
    )
    from pytest_sockets.errors import ProcessDied

    with pytest.raises(ProcessDied, match=r"exited with status 0 before it was stopped"):  # noqa: PT012, SIM117
        with ServerProcess(python(code, "{port}")) as server:
            daemon = int(server.wait_output(r"daemon (\d+)")[1])
            os.kill(daemon, signal.SIGKILL)
            assert wait_until(lambda: not server.is_running, 10)


def test_what_ignores_the_signal_is_killed_after_the_timeout_and_logged(caplog: pytest.LogCaptureFixture):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with ServerProcess(python(code), ready=re.compile("up"), stop_timeout=0.2) as server:
        tree = server.tree()
        begin = time.monotonic()
        with caplog.at_level(logging.WARNING, "pytest_sockets"):
            server.stop()
        assert 0.2 <= time.monotonic() - begin < 5
    assert not any(map(is_alive, tree))
    assert server.returncode == -signal.SIGKILL
    assert "did not end within 0.2 s of SIGTERM and was killed" in caplog.text


def test_kill_asks_nobody():
    code = "import signal, time; signal.signal(15, lambda *_: print('asked', flush=True)); print('up', flush=True); time.sleep(600)"  # noqa: E501
    with ServerProcess(python(code), ready=re.compile("up\n")) as server:
        server.kill()
        assert server.returncode == -signal.SIGKILL
        assert server.output == "up\n"


def test_a_tree_that_keeps_forking_is_ended():
    code = "import os, signal, sys, time; signal.signal(15, signal.SIG_IGN); signal.signal(17, signal.SIG_IGN); print('up', flush=True)\n"  # noqa: E501
    code += "while True:\n  time.sleep(.002)\n  if os.fork() == 0: time.sleep(.05); os._exit(0)"
    with ServerProcess(python(code), ready=re.compile("up"), stop_timeout=0.1) as server:
        time.sleep(0.1)
    assert server.tree() == []


def test_a_signal_goes_to_the_started_process():
    code = "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True)); print('up', flush=True)\nwhile True: signal.pause()"  # noqa: E501
    with ServerProcess(python(code), ready=re.compile("up")) as server:
        server.signal(signal.SIGUSR1)
        server.wait_output("heard")
