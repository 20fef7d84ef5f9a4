"""A message tells a reader who was not there what happened, and what helps."""

from __future__ import annotations

import os


class TestMessages:
    """Texts for a reader who was not there."""

    def test_a_set_up_that_raises_gets_a_fix_for_that_case(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def db():
                leak()
                raise RuntimeError("no schema")
                yield
            def test_one(db): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"error": 1}
        above = done.text.partition("1 leaked socket of")[0]
        assert "1 socket left open by fixture 'db' (scope function)" in above
        assert "the set-up raised after this was opened" in above
        assert "in a `with` that reaches over the `yield`" in above

    def test_a_set_up_that_does_not_raise_gets_the_fix_with_yield(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def db():
                leak()
                yield
            def test_one(db): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert "close it after the `yield` of fixture 'db'" in done.text
        assert "the set-up raised" not in done.text

    def test_a_socket_of_a_fixtures_thread_also_names_the_test_that_ran(self, leaky):
        leaky.write(
            test_a="""
            import pytest, queue, threading
            from leaking import leak
            @pytest.fixture(scope="module")
            def worker():
                tasks = queue.Queue()
                def work():
                    for task in iter(tasks.get, None):
                        task()
                        tasks.task_done()
                thread = threading.Thread(target=work)
                thread.start()
                yield tasks
                tasks.put(None)
                thread.join()
            def test_one(worker): pass
            def test_two(worker):
                worker.put(leak)
                worker.join()
            """
        )
        done = leaky.run("--sockets-leaks=error", "-p", "no:randomly")
        assert done.owners == ["worker"]
        assert "note       opened while test test_a.py::test_two ran" in done.text

    def test_a_socket_of_a_librarys_thread_also_names_the_line_that_started_the_thread(
        self, suite, monkeypatch
    ):
        place = suite.folder / "site-packages"
        place.mkdir()
        (place / "library.py").write_text(
            "import socket\nKEPT = []\ndef serve(): KEPT.append(socket.create_server(('127.0.0.1', 0)))\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
        suite.write(
            test_a="""
            import library, threading
            def test_one():
                thread = threading.Thread(target=library.serve)
                thread.start()
                thread.join()
            """
        )
        done = suite.run("--sockets-leaks=error")
        assert done.owners == ["test_one"]
        assert "note       opened in a thread that was started at test_a.py:5 in test_one" in done.text

    def test_a_server_whose_shell_has_ended_gets_a_note_and_a_fix(self, leaky):
        leaky.write(
            test_a="""
            import shlex, subprocess, sys
            SERVER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(1, flush=True); time.sleep(9)"
            def test_one():
                command = shlex.join([sys.executable, "-c", SERVER]) + "; true"
                with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE) as shell:
                    shell.stdout.readline()
                    shell.kill()
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.owners == ["test_one"], done.text
        assert "note       the process that was started there has ended" in done.text
        assert "run the server without a shell" in done.text
