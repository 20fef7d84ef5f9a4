"""With `process`, a wait is for the listener of that process or thread, and ends when it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from pytest_sockets.asserting import waits
from pytest_sockets.errors import ProcessDied, WaitTimeout
from tests.asserting.conftest import LATE, server


class TestWhoseListenerItIs:
    """With `process`, only a listener of that process or of a descendant ends the wait."""

    def test_a_foreign_one_is_named_when_the_process_dies_of_it(self, port: int):
        code = "import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler)"
        with (  # noqa: SIM117
            socket.create_server(("127.0.0.1", port)),
            server(port, code=code, stderr=subprocess.PIPE) as process,
        ):
            with pytest.raises(ProcessDied) as caught:
                waits.wait_listening(port, process=process, timeout=30)
        text = str(caught.value)
        assert f"process {process.pid} exited with status 1 before it listened on port {port}/tcp" in text
        assert "is held by:\n  this process" in text
        assert "Address already in use" in text

    def test_a_foreign_one_is_named_when_the_process_lives_on(self, port: int):
        begin = time.monotonic()
        with (
            socket.create_server(("127.0.0.1", port)),
            server(port, code="import sys; sys.stdin.read()") as process,
        ):
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(port, process=process, timeout=30)
            process.kill()
        assert time.monotonic() - begin < 15
        assert f"process {process.pid} cannot listen on port {port}/tcp: another process does" in str(
            caught.value
        )
        assert "is held by:\n  this process" in str(caught.value)

    def test_a_foreign_one_that_goes_in_time_is_waited_out(self, port: int):
        code = "import socket, sys, time\nwhile True:\n  try: s = socket.create_server(('127.0.0.1', {port})); break\n  except OSError: time.sleep(.01)\nsys.stdin.read()"  # noqa: E501
        holder = socket.create_server(("127.0.0.1", port))
        with server(port, code=code) as process:
            timer = threading.Timer(0.3, holder.close)
            timer.start()
            (entry,) = waits.wait_listening(port, process=process, timeout=30)
            assert entry.pid == process.pid
            timer.join()
            process.kill()

    def test_a_descendant_counts(self, port: int):
        with subprocess.Popen(
            ["sh", "-c", f'"$0" -Ic "{LATE.format(port=port, delay=0)}"; true', sys.executable],
            stdin=subprocess.PIPE,
        ) as process:
            (entry,) = waits.wait_listening(port, process=process, timeout=30)
            assert entry.pid != process.pid
            process.stdin.close()

    def test_a_listener_that_was_passed_on_counts(self, port: int):
        with socket.create_server(("127.0.0.1", port)) as listener:
            code = "import sys; sys.stdin.read()"
            with server(port, code=code, pass_fds=[listener.fileno()]) as process:
                assert waits.wait_listening(port, process=process)[0].pid == process.pid
                process.kill()

    def test_a_daemon_that_the_process_left_counts(self, port: int):
        code = "import os, sys, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
        code += "import socket; s = socket.create_server(('127.0.0.1', {port})); print(os.getpid(), flush=True); time.sleep(60)"  # noqa: E501
        with server(port, code=code, stdout=subprocess.PIPE) as process:
            pid = int(process.stdout.readline())
            process.wait()
            try:
                assert waits.wait_listening(port, process=process)[0].pid == pid
            finally:
                os.kill(pid, 9)

    def test_a_server_process_with_its_tree(self, port: int):
        from pytest_sockets.processes.server_process import ServerProcess

        command = [
            "sh",
            "-c",
            f'"$0" -Ic "{LATE.format(port=port, delay=0)}" < /dev/zero; true',
            sys.executable,
        ]
        with ServerProcess(command, ready=lambda server: len(server.tree()) == 2) as running:
            assert waits.wait_listening(port, process=running, timeout=30)[0].pid in running.tree()


class TestThreads:
    def test_a_server_in_a_thread(self, port: int):
        listeners: list[socket.socket] = []
        thread = threading.Thread(target=lambda: listeners.append(socket.create_server(("127.0.0.1", port))))
        thread.start()
        assert waits.wait_listening(port, process=thread)[0].pid == os.getpid()
        thread.join()
        listeners[0].close()

    @pytest.mark.parametrize("error", [ValueError("no config"), SystemExit(3)])
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_its_exception_ends_the_wait_and_is_the_cause(self, port: int, error: BaseException):
        go = threading.Event()
        hook = threading.excepthook

        def run() -> None:
            go.wait()
            raise error

        thread = threading.Thread(target=run, name="api")
        thread.start()
        threading.Timer(0.1, go.set).start()
        with pytest.raises(ProcessDied, match=rf"thread 'api' ended with {type(error).__name__}") as caught:
            waits.wait_listening(port, process=thread, timeout=30)
        assert caught.value.__cause__ is error
        assert threading.excepthook is hook

    def test_one_that_returns_ends_the_wait(self, port: int):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        with pytest.raises(ProcessDied, match=r"ended before it listened on"):
            waits.wait_listening(port, process=thread, timeout=30)

    def test_another_process_that_has_the_port_is_foreign(self, port: int):
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        with server(port) as process:
            waits.wait_listening(port, process=process)
            thread.start()
            with pytest.raises(WaitTimeout, match=r"cannot listen on port .*: another process does"):
                waits.wait_listening(port, process=thread, timeout=30)
            stop.set()
            thread.join()
            process.kill()
