"""A listening socket is handed over: by object, by number, to a child process, to real servers."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from pytest_sockets.errors import SettingError
from pytest_sockets.ports.factory import PortFactory
from pytest_sockets.waiting import wait_until

APP = """
    import json, os

    def wsgi(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"pid": os.getpid(), "LISTEN_PID": os.environ.get("LISTEN_PID")}).encode()]

    async def asgi(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps({"pid": os.getpid()}).encode()})
"""


@pytest.fixture
def factory(pool):
    factory = PortFactory(pool)
    yield factory
    assert not any(released.still_listening for released in factory.close())


@pytest.fixture
def listener(factory):
    return factory.listener()


@pytest.fixture
def run(tmp_path, listener):
    """Starts a child with the app on its path; ended when the test ends."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    children = []

    def start(*args, **kwargs):
        with (tmp_path / "stderr").open("w") as stderr:
            children.append(subprocess.Popen(*args, **kwargs, cwd=tmp_path, stderr=stderr))
        return children[-1]

    yield start
    for child in children:
        child.terminate()
        child.wait(20)


def get(listener):
    """The first answer: the listener's backlog keeps the request until the server is up."""
    connection = http.client.HTTPConnection(*listener.address, timeout=30)
    try:
        connection.request("GET", "/")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::"])
def test_clients_can_connect_at_once(factory, host):
    listener = factory.listener(host)
    assert listener.port == listener.getsockname()[1] == listener.address.port
    for target in {"::": ["127.0.0.1", "::1"], "0.0.0.0": ["127.0.0.1"]}.get(host, [host]):
        with socket.create_connection((target, listener.port), timeout=5):
            connection, _ = listener.accept()
            connection.close()


def test_a_host_that_is_not_this_machine_is_an_error_and_keeps_no_port(factory, pool):
    with pytest.raises(SettingError, match=r"host='192\.0\.2\.1' is not an address of this machine"):
        factory.listener("192.0.2.1")
    assert pool.kept == ()


def test_an_empty_host_is_refused_in_the_words_of_a_port(factory, pool):
    """In bind(2) it is every address: nobody should be reachable from outside by leaving something out."""
    with pytest.raises(SettingError) as port:
        factory(host="")
    with pytest.raises(SettingError) as listener:
        factory.listener("")
    assert str(listener.value) == str(port.value)
    assert str(port.value).startswith("host='' cannot be resolved: ")
    assert pool.kept == ()


@pytest.mark.parametrize("backlog", [-1, 1.5, "1", True, 10**12])
def test_a_senseless_backlog_is_an_error_and_keeps_no_port(factory, pool, backlog):
    with pytest.raises(SettingError, match=f"^backlog={backlog!r}: use a whole number from 0 to 2147483647$"):
        factory.listener(backlog=backlog)
    assert pool.kept == ()


def test_asyncio_serves_on_it(listener):
    async def serve():
        async def answer(reader, writer):
            writer.write(b"hello")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.address)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()

    asyncio.run(serve())


def test_http_server_serves_on_it(listener):
    server = http.server.HTTPServer(
        listener.address, http.server.SimpleHTTPRequestHandler, bind_and_activate=False
    )
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    connection = http.client.HTTPConnection(*listener.address, timeout=10)
    connection.request("OPTIONS", "/")
    assert connection.getresponse().status == 501
    connection.close()
    thread.join(10)


def test_a_child_of_ones_own_finds_the_number_in_its_environment(listener):
    code = """if 1:
        import os, socket
        server = socket.socket(fileno=int(os.environ["PYTEST_SOCKETS_LISTENER_FD"]))
        connection, _ = server.accept()
        connection.sendall(f"{os.environ['LISTEN_FDS']} {os.environ.get('LISTEN_PID')}".encode())
        connection.close()
        server.close()
    """
    with subprocess.Popen([sys.executable, "-c", code], **listener.popen_kwargs()) as child:
        with socket.create_connection(listener.address, timeout=10) as client:
            assert client.recv(100) == b"1 None"
        assert child.wait(10) == 0


def test_socket_activation_is_complete_in_the_child(listener, monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "stale")
    code = """if 1:
        import json, os, socket
        server = socket.socket(fileno=3)
        fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
        found = {name: value for name, value in os.environ.items() if name.startswith("LISTEN_")}
        print(json.dumps({"env": found, "port": server.getsockname()[1], "pid": os.getpid(), "fds": fds}))
    """
    child = subprocess.Popen(
        **listener.popen_kwargs([sys.executable, "-W", "ignore", "-c", code]), stdout=subprocess.PIPE
    )
    answer = json.loads(child.communicate(timeout=20)[0])
    assert answer["env"] == {"LISTEN_FDS": "1", "LISTEN_PID": str(child.pid)}
    assert answer["port"] == listener.port
    assert answer["pid"] == child.pid
    assert len(answer["fds"]) <= 5, "0, 1, 2, 3 and the directory: the number that the parent had is closed"


def test_socket_activation_works_from_every_descriptor_number(factory):
    listeners = [factory.listener() for _ in range(12)]
    code = "import socket; print(socket.socket(fileno=3).getsockname()[1])"
    for listener in (listeners[0], listeners[-1]):
        kwargs = listener.popen_kwargs([sys.executable, "-W", "ignore", "-c", code])
        assert (
            int(subprocess.run(**kwargs, stdout=subprocess.PIPE, check=True, timeout=20).stdout)
            == listener.port
        )


def test_a_command_that_does_not_exist_ends_with_its_name(listener):
    kwargs = listener.popen_kwargs(["no-such-server", "--port"])
    done = subprocess.run(**kwargs, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == "no-such-server: No such file or directory\n"


@pytest.mark.parametrize("command", ["gunicorn app:app", b"gunicorn", []])
def test_a_command_that_is_no_list_of_words_is_an_error(listener, command):
    with pytest.raises(SettingError, match="as a list of words"):
        listener.popen_kwargs(command)


def test_a_closed_listener_cannot_be_handed_over(listener):
    listener.close()
    with pytest.raises(SettingError, match="is closed"):
        listener.popen_kwargs()


def test_asyncios_subprocesses_take_the_same_keywords(listener):
    async def start():
        kwargs = listener.popen_kwargs([sys.executable, "-c", "import os; print(os.environ['LISTEN_PID'])"])
        process = await asyncio.create_subprocess_exec(*kwargs.pop("args"), **kwargs, stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        assert int(out) == process.pid

    asyncio.run(start())


def test_a_port_is_refused_once_parent_and_child_have_closed_it(listener, run):
    child = run(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **listener.popen_kwargs(),
    )
    assert child.stdout.readline() == b"up\n"
    listener.close()
    socket.create_connection(listener.address, timeout=5).close()
    child.communicate(timeout=10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.address, timeout=5)


def test_gunicorn_takes_it_by_systemd_activation(listener, run):
    pytest.importorskip("gunicorn")
    server = run(**listener.popen_kwargs([sys.executable, "-m", "gunicorn", "-w", "1", "app:wsgi"]))
    listener.close()
    answer = get(listener)
    assert answer["pid"] != server.pid, "a worker answers"
    assert wait_until(lambda: get(listener)["pid"] == answer["pid"], 5)


def test_gunicorn_takes_it_by_number(listener, run):
    pytest.importorskip("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "-w", "1", "-b", f"fd://{listener.fileno()}", "app:wsgi"]
    kwargs = listener.popen_kwargs()
    del kwargs["env"]["LISTEN_FDS"]
    run(command, **kwargs)
    assert get(listener)["pid"] != os.getpid()


def test_uvicorn_takes_it_by_number(listener, run):
    pytest.importorskip("uvicorn")
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--fd",
        str(listener.fileno()),
        "--log-level",
        "error",
        "app:asgi",
    ]
    server = run(command, **listener.popen_kwargs())
    assert get(listener)["pid"] == server.pid


def test_uvicorn_takes_it_as_descriptor_3(listener, run):
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--fd", "3", "--log-level", "error", "app:asgi"]
    server = run(**listener.popen_kwargs(command))
    assert get(listener)["pid"] == server.pid


def test_what_the_factory_gave_comes_back_with_the_factory(pool):
    factory = PortFactory(pool)
    listener = factory.listener()
    ports = [factory(), factory("udp"), *factory.block(3), listener.port]
    assert set(pool.kept) == set(ports)
    assert sorted(released.port for released in factory.close()) == sorted(ports)
    assert pool.kept == ()
    assert listener.fileno() == -1
    assert factory.close() == []
