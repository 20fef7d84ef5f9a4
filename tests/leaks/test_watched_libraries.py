"""Sockets and children of other libraries are reported, each in a new interpreter."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap

import pytest

MONITORING = getattr(sys, "monitoring", None)

REPORTS = """
    import sys, threading
    from pytest_sockets.leaks import watcher

    class Listener(watcher.Listener):
        seen = []
        def socket_opened(self, sock, frame, given): self.note("socket", frame)
        def child_starting(self, starter, frame, command): self.note("child", frame)
        def note(self, what, frame):
            while frame.f_code.co_filename != __file__:
                frame = frame.f_back
            self.seen.append((what, frame.f_code.co_name))

    watcher.listen(Listener())
    {imports}
    watcher.look_again()

    def opens():
        {does}

    if __name__ == "__main__":
        opens()
        print(Listener.seen)
"""


def reported(tmp_path, does, imports="pass"):
    """What a new interpreter's listener hears."""
    script = tmp_path / "reports.py"
    script.write_text(textwrap.dedent(REPORTS).format(does=does, imports=imports))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_sockets_of_green_libraries_are_reported(tmp_path, name):
    pytest.importorskip(name)
    module = "gevent.socket" if name == "gevent" else "eventlet.green.socket"
    assert reported(tmp_path, f"{module}.socket().close()", f"import {module}") == [("socket", "opens")]


def test_and_those_of_a_patched_socket_module(tmp_path):
    pytest.importorskip("gevent")
    patched = "import socket, gevent.monkey; gevent.monkey.patch_all()"
    assert reported(tmp_path, "socket.socket().close()", patched) == [("socket", "opens")]


def test_sockets_of_a_guarding_subclass_are_reported(tmp_path):
    """As pytest-socket's."""
    guard = "import socket; socket.socket = type('GuardedSocket', (socket.socket,), {})"
    assert reported(tmp_path, "socket.socket().close()", guard) == [("socket", "opens")]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_every_start_method_of_multiprocessing_is_reported(tmp_path, method):
    does = f"process = multiprocessing.get_context({method!r}).Process(target=int); process.start(); process.join()"
    assert ("child", "opens") in reported(tmp_path, does, "import multiprocessing")


def test_the_twin_a_socket_of_c_code_is_not_reported(tmp_path):
    assert reported(tmp_path, "_socket.socket().close()", "import _socket") == []


def test_coverage_by_sys_monitoring_runs_beside_it(tmp_path):
    pytest.importorskip("coverage")
    if MONITORING is None:
        pytest.skip("sys.monitoring came with Python 3.12")
    covered = "import coverage, socket; coverage.Coverage(data_file=None).start()"
    old = os.environ.get("COVERAGE_CORE")
    os.environ["COVERAGE_CORE"] = "sysmon"
    try:
        assert reported(tmp_path, "socket.socket().close()", covered) == [("socket", "opens")]
    finally:
        os.environ.pop("COVERAGE_CORE")
        if old is not None:
            os.environ["COVERAGE_CORE"] = old
