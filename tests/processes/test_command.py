"""Bad input to a server process is one clear sentence, and placeholders are filled in while other braces stay."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time

import pytest

from pytest_sockets.errors import ProcessDied, ServerFault, SettingError, WaitTimeout
from pytest_sockets.processes import port_fields
from pytest_sockets.processes.server_process import ServerProcess

from .conftest import HTTP, needed, python


@pytest.mark.parametrize(
    ("command", "settings", "text"),
    [
        ([], {}, "command is empty: use a list of words"),
        ("", {}, "command is empty: use a list of words"),
        ([""], {}, "command[0] is empty: it must name the program to start"),
        (
            "redis-server --save x",
            {},
            "is one string: use a list of words, such as ['redis-server', '--save', 'x']",
        ),
        (7, {}, "command=7: use a list of words"),
        (["sleep", 7], {}, "command[1] is 7 (int): use a str or a path"),
        (["sleep", "a\0b"], {}, "has a null character"),
        (
            ["x", "{PORT}"],
            {},
            "unknown placeholder {PORT} in command[1] '{PORT}': use {port}, {host} or {NAME_port}",
        ),
        (["x", "--p={prot}"], {}, "unknown placeholder {prot} in command[1]"),
        (["x"], {"env": {"A": "{port_metrics}"}}, "unknown placeholder {port_metrics} in env['A']"),
        (["x"], {"timeout": -1}, "timeout=-1: use a number of seconds, 0 or more"),
        (["x"], {"stop_timeout": "5"}, "stop_timeout='5': use a number of seconds"),
        (["x"], {"stop_signal": "TERM"}, "stop_signal='TERM': use a signal such as signal.SIGTERM"),
        (["x"], {"stop_signal": 4711}, "stop_signal=4711: use a signal"),
        (["x"], {"protocol": "sctp"}, "protocol='sctp': use 'tcp' or 'udp'"),
        (["x"], {"ready": 5}, "ready=5: use None, a callable or re.compile(...)"),
        (["x"], {"env": ["A=1"]}, "env=['A=1']: use a mapping of names to values"),
        (["x"], {"env": {"A": 1}}, "env['A'] is 1: use a str, or None to remove the variable"),
        (["x"], {"env": {"A=B": "1"}}, "env: 'A=B' is not a valid name"),
        (["x"], {"cwd": 3}, "cwd=3: use the path of a directory"),
        (["x"], {"host": 3}, "host=3 (int)"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named_with_what_to_use(command, settings, text):
    with pytest.raises(SettingError) as caught:
        ServerProcess(command, **settings)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "settings", "text"),
    [
        (["no-such-server"], {}, "no program 'no-such-server' on PATH"),
        (["./nowhere/server"], {}, "does not exist"),
        (["/etc/passwd"], {}, "/etc/passwd is not executable"),
        (["sleep", "1"], {"cwd": "/nowhere"}, "cwd='/nowhere' is not a directory"),
    ],
)
def test_a_missing_program_or_directory_is_one_sentence(command, settings, text):
    with pytest.raises(ServerFault) as caught:
        ServerProcess(command, **settings)
    assert text in str(caught.value)
    assert "cannot be started" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_kernel_cannot_execute_is_one_sentence(tmp_path):
    program = tmp_path / "empty"
    program.write_bytes(b"\x7fELFnothing")
    program.chmod(0o755)
    with pytest.raises(ServerFault, match=r"cannot be started: Exec format error"):
        ServerProcess([program])


def test_a_mistake_in_ready_is_told_at_once_and_a_refusal_only_at_the_end():
    begin = time.monotonic()
    with pytest.raises(ServerFault, match=r"ready=wrong of server .* raised NameError: name 'nope'"):  # noqa: PT012

        def wrong() -> bool:
            return nope  # noqa: F821

        ServerProcess(["sleep", "30"], ready=wrong)
    assert time.monotonic() - begin < 5
    with pytest.raises(WaitTimeout, match=r"ready last raised ConnectionRefusedError"):
        ServerProcess(["sleep", "30"], timeout=0.2, ready=lambda: socket.create_connection(("127.0.0.1", 1)))


def test_an_asynchronous_ready_is_refused():
    async def ready() -> bool:
        return True

    with pytest.raises(SettingError, match=r"ready=ready is asynchronous: use a plain function"):
        ServerProcess(["sleep", "30"], ready=ready)


def test_a_typo_in_a_module_name_shows_pythons_last_line_within_a_second_and_a_half():
    begin = time.monotonic()
    with pytest.raises(ProcessDied) as caught:
        ServerProcess([sys.executable, "-m", "htp.server", "{port}"])
    assert time.monotonic() - begin < 1.5
    assert "exited with status 1 before it listened on port" in str(caught.value)
    assert "No module named 'htp'" in str(caught.value).splitlines()[-1]


def test_a_port_in_use_is_told_with_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ProcessDied) as caught:
            ServerProcess([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"])
    assert "exited with status 1 before it listened on a port" in str(caught.value)
    assert "Address already in use" in str(caught.value)


def test_a_port_in_use_is_told_with_its_holder_when_the_output_names_the_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ProcessDied) as caught:
            ServerProcess([needed("redis-server"), "--port", str(port)])
    assert f"{port}" in str(caught.value)
    assert "is held by:\n  this process" in str(caught.value)


class TestPlaceholders:
    def test_names_are_found_once_and_in_order(self):
        texts = [("--a={b_port}", "x"), ("{port}:{host}", "x"), ("{b_port}", "x")]
        assert port_fields.names_in(texts) == ["b", ""]

    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            "{x}",
            '{"port": 1}',
            "${port}",
            "{{port}}",
            "{ port }",
            "{0}",
            "{support}",
            "{report}",
            "{hostname}",
            "{a,b}",
        ],
    )
    def test_other_braces_stay(self, text: str):
        assert port_fields.names_in([(text, "x")]) == []
        assert port_fields.filled(text, "h", {}) == text

    def test_all_are_filled_in(self):
        text = port_fields.filled("{host}:{port} {metrics_port} {x}", "::1", {"": 1, "metrics": 2})
        assert text == "::1:1 2 {x}"

    def test_command_and_environment_are_filled_in_and_none_removes_a_variable(self, monkeypatch):
        monkeypatch.setenv("SOCKETS_TEST_GONE", "1")
        code = "import os, sys, socket; s = socket.create_server((sys.argv[1], int(sys.argv[2])));"
        code += "t = socket.create_server(('', int(os.environ['M']))); print(sys.argv[3:], 'SOCKETS_TEST_GONE' in os.environ, flush=True);"  # noqa: E501
        code += "import time; time.sleep(60)"
        env = {"M": "{metrics_port}", "SOCKETS_TEST_GONE": None}
        with ServerProcess(python(code, "{host}", "{port}", "{}", "{x}"), env=env) as server:
            server.wait_output(re.escape("['{}', '{x}'] False"))
            assert set(server.ports) == {"metrics"}
            for port in (server.port, server.ports["metrics"]):
                socket.create_connection((server.host, port)).close()


def test_signals_that_this_run_ignores_still_reach_the_server():
    """A run under nohup, or in the background of a shell, ignores SIGINT and SIGHUP."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ServerProcess(HTTP, stop_signal=signal.SIGINT, stop_timeout=30) as server:
            begin = time.monotonic()
            server.stop()
            assert time.monotonic() - begin < 10
            assert server.returncode is not None
            assert server.returncode != -9
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_runs_in_the_current_directory_or_in_cwd(tmp_path, monkeypatch):
    """The process that starts it works somewhere else."""
    code = "import os, time; print(os.getcwd(), flush=True); time.sleep(60)"
    (tmp_path / "a").mkdir()
    for folder, settings in ((tmp_path, {}), (tmp_path / "a", {"cwd": "a"})):
        monkeypatch.chdir(tmp_path)
        with ServerProcess(python(code), ready=re.compile("/"), **settings) as server:
            server.wait_output("\n")
            assert server.output == f"{folder}\n"
