"""What the plugin reads, sends and writes gives nothing away and runs nothing."""

from __future__ import annotations

import os
import stat

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.slow]

CHILD = """
    import subprocess, sys
    KEPT = []
    CODE = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('x', flush=True); time.sleep(60)"
    def test_one():
        child = subprocess.Popen([sys.executable, "-c", CODE], env={"TOKEN": "hunter2-environment"}, stdout=-1)
        child.stdout.readline()
        KEPT.append(child)
"""
PAYLOAD = """
    import socket
    KEPT = []
    def test_one():
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        client.sendall(b"hunter2-payload")
        password = "hunter2-local"
        KEPT.append((server, client))
"""


@pytest.mark.parametrize("suffix", [".json", ".html"])
@pytest.mark.parametrize(
    ("code", "secret"), [(CHILD, "hunter2-environment"), (PAYLOAD, "hunter2-")], ids=["child", "payload"]
)
def test_no_environment_payload_or_local_value_is_told(suite, suffix, code, secret):
    suite.write(test_a=code)
    done = suite.run(f"--sockets-report=extra{suffix}", "-vv")
    assert len(done.leaks) >= 1
    assert secret not in (suite.folder / f"extra{suffix}").read_text()
    assert secret not in done.text


@pytest.mark.parametrize("suffix", [".json", ".html"])
def test_a_new_report_is_only_for_its_owner(suite, suffix):
    suite.write(test_a="def test_one(): pass")
    before = os.umask(0)
    try:
        suite.run(f"--sockets-report=x{suffix}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((suite.folder / f"x{suffix}").stat().st_mode) == 0o600


def test_a_link_in_the_reports_place_is_replaced_and_not_followed(suite):
    target = suite.folder / "precious.txt"
    target.write_text("keep me")
    (suite.folder / "x.json").symlink_to(target)
    suite.write(test_a="def test_one(): pass")
    suite.run("--sockets-report=x.json")
    assert target.read_text() == "keep me"
    assert not (suite.folder / "x.json").is_symlink()


def test_a_socket_path_and_a_test_name_cannot_write_html(suite):
    suite.write(
        test_a="""
        import pytest, socket
        KEPT = []
        @pytest.mark.parametrize("name", ["<script>alert(1)</script>"])
        def test_one(name, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            sock = socket.socket(socket.AF_UNIX)
            sock.bind("<img src=x onerror=alert(2)>")
            sock.listen()
            KEPT.append(sock)
        """
    )
    done = suite.run("--sockets-kinds=tcp,udp,unix", "--sockets-report=x.html")
    assert len(done.leaks) == 1
    page = (suite.folder / "x.html").read_text()
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


def test_a_terminal_is_not_driven_by_a_childs_command_line(suite):
    """Whoever can start a process must not clear the screen of whoever reads the run, or forge lines of it."""
    suite.write(
        test_a="""
        import subprocess, sys
        KEPT = []
        CODE = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('x', flush=True); time.sleep(60)"
        def test_one():
            child = subprocess.Popen([sys.executable, "-c", CODE, "\\x1b[2J\\rFORGED\\nFORGED LINE"], stdout=subprocess.PIPE)
            child.stdout.readline()
            KEPT.append(child)
        """
    )
    done = suite.run()
    assert len(done.leaks) == 1
    assert "\x1b[2J" not in done.text
    assert "\nFORGED LINE" not in done.text


def test_what_a_worker_sends_is_data(suite):
    """A batch of a hostile or broken worker is refused with one line and changes nothing."""
    suite.write(
        conftest="""
        import pytest
        class Hostile:
            @pytest.hookimpl(trylast=True)
            def pytest_sessionfinish(self, session):
                if hasattr(session.config, "workerinput"):
                    session.config.workeroutput["sockets"] = {"opened": "x", "leaks": [{"finding": "__import__('os')"}]}
        def pytest_configure(config): config.pluginmanager.register(Hostile())
        """,
        test_a="def test_one(): pass",
    )
    done = suite.run("-n", "1", plugins=("xdist",))
    assert (done.exit_code, done.outcomes) == (0, {"passed": 1}), done.text
    assert "INTERNALERROR" not in done.text
