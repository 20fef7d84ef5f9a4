"""When the system or the suite misbehaves, the outcomes are the tests' own, and what could not be said is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.slow]

LEAK = """
    import socket
    KEPT = []
    def leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""
LOST = "pytest-sockets could not do all of its work"


@pytest.fixture
def leaky(suite):
    """A suite with `leak()`, which leaves one listener open for ever."""
    return suite.write(leaking=LEAK)


def assert_calm(done, **outcomes):
    """The outcomes are these, and nothing of ours is in a traceback."""
    assert done.outcomes == outcomes, done.text
    assert "INTERNALERROR" not in done.text
    assert "Traceback" not in done.text, done.text


class TestDescriptorsExhausted:
    CODE = """
        import os, resource, socket, errno
        from leaking import leak
        def fill():
            held = []
            try:
                while True: held.append(os.dup(0))
            except OSError as error:
                assert error.errno == errno.EMFILE
            return held
        def test_in_the_test():
            held = fill()
            try: socket.socket()
            except OSError as error: assert error.errno == errno.EMFILE
            for fd in held: os.close(fd)
        def test_sockets_until_the_end():
            opened = []
            try:
                while True: opened.append(socket.socket())
            except OSError as error:
                assert error.errno == errno.EMFILE
            for sock in opened: sock.close()
        HELD = []
        def test_leak_while_none_is_left():
            leak()
            HELD.extend(fill())
        def test_next_with_none_left(): pass
        def test_frees():
            for fd in HELD: os.close(fd)
        def test_last(): leak()
    """
    LIMIT = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    """

    def test_a_full_table_of_descriptors_loses_no_leak(self, leaky):
        leaky.write(test_a=self.CODE, conftest=self.LIMIT)
        done = leaky.run("-p", "no:logging", "-s")
        assert_calm(done, passed=6)
        assert done.owners == ["test_last", "test_leak_while_none_is_left"]

    def test_in_error_mode_each_errs_for_itself(self, leaky):
        leaky.write(test_a=self.CODE, conftest=self.LIMIT)
        done = leaky.run("--sockets-leaks=error", "-s")
        assert done.outcomes == {"passed": 6, "error": 2}, done.text

    def test_a_leak_of_all_descriptors_is_one_bounded_message(self, leaky):
        leaky.write(
            conftest=self.LIMIT,
            test_a="""
            import socket
            KEPT = []
            def test_one():
                try:
                    while True: KEPT.append(socket.socket())
                except OSError: pass
            def test_two(): pass
            """,
        )
        done = leaky.run("-s", "--sockets-leaks=error")
        assert done.outcomes == {"passed": 2, "error": 1}, done.text
        assert len(done.text.splitlines()) < 60


class TestTheSystemRefuses:
    def test_proc_unreadable(self, leaky):
        """Where /proc/self/fd cannot be read, Python's own sockets are judged all the same."""
        leaky.write(
            conftest="""
            import os
            real = os.listdir, os.stat, os.open
            def refused(path):
                if str(path).startswith("/proc"): raise PermissionError(13, "Permission denied", str(path))
            def listdir(path="."): refused(path); return real[0](path)
            def stat(path, *a, **k): refused(path); return real[1](path, *a, **k)
            def open_(path, *a, **k): refused(path); return real[2](path, *a, **k)
            os.listdir, os.stat, os.open = listdir, stat, open_
            """,
            test_a="""
            import os, subprocess, sys
            from leaking import leak
            def test_one(): leak()
            def test_two(): os.close(os.dup(0))
            def test_three(): subprocess.run([sys.executable, "-c", ""])
            """,
        )
        done = leaky.run()
        assert_calm(done, passed=3)
        assert done.owners == ["test_one"]

    def test_sock_diag_refused(self, leaky):
        leaky.write(
            conftest="""
            import socket
            from pytest_sockets import real_socket
            real = real_socket.RealSocket.__init__
            def refuse(self, family=-1, *a, **k):
                if family == getattr(socket, "AF_NETLINK", None): raise PermissionError(1, "Operation not permitted")
                real(self, family, *a, **k)
            real_socket.RealSocket.__init__ = refuse
            """,
            test_a="""
            import subprocess, sys
            from leaking import leak
            KEPT = []
            CHILD = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('x', flush=True); time.sleep(60)"
            def test_one(): leak()
            def test_two():
                child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
                child.stdout.readline()
                KEPT.append(child)
            """,
        )
        done = leaky.run()
        assert_calm(done, passed=2)
        assert done.owners == ["test_one", "test_two"]

    def test_a_broken_reader_is_one_line_not_a_failure(self, leaky):
        leaky.write(
            conftest="""
            from pytest_sockets.table import own_socket
            def broken(fd): raise RuntimeError("made up")
            own_socket.describe = broken
            """,
            test_a="from leaking import leak\ndef test_one(): leak()\ndef test_two(): pass",
        )
        done = leaky.run("--sockets-leaks=error")
        assert_calm(done, passed=2)
        assert done.text.count(LOST) == 1
        assert "RuntimeError: made up" in done.text
        assert done.exit_code == 0

    @pytest.mark.parametrize(
        "broken",
        [
            "pytest_sockets.leaks.judgement.Judge.judge",
            "pytest_sockets.leaks.registry.Registry.checkpoint",
            "pytest_sockets.leaks.registry.Registry.begin",
            "pytest_sockets.leaks.registry.Registry.enter",
            "pytest_sockets.leaks.registry.Registry.leave",
            "pytest_sockets.leaks.registry.Registry.suspects",
            "pytest_sockets.leaks.registry.Registry.end",
            "pytest_sockets.leaks.call_site.CallSite.stack",
            "pytest_sockets.leaks.referrers.holders",
            "pytest_sockets.leaks.reachability.keepers",
            "pytest_sockets.leaks.children.Children.checkpoint",
            "pytest_sockets.leaks.children.Children.listeners",
            "pytest_sockets.leaks.findings.Finding.as_json",
            "pytest_sockets.leaks.rules.Ignores.cover",
            "pytest_sockets.plugin.live_objects.LiveObjects.alive",
            "pytest_sockets.plugin.payload.Payload.as_json",
            "pytest_sockets.plugin.payload.Payload.from_json",
            "pytest_sockets.reports.text.message",
            "pytest_sockets.reports.text.short_message",
            "pytest_sockets.reports.text.summary",
            "pytest_sockets.reports.run.Run.totals",
            "pytest_sockets.reports.json_report.render_json",
            "pytest_sockets.leaks.attribution.Attribution.socket_opened",
            "pytest_sockets.leaks.finalizers.FinalizerWatch.start",
            "pytest_sockets.leaks.finalizers.FinalizerWatch.look_again",
        ],
    )
    @pytest.mark.parametrize("mode", ["warn", "error"])
    def test_a_bug_of_ours_anywhere_leaves_every_outcome_alone(self, leaky, broken, mode):
        module, _, name = broken.rpartition(".")
        leaky.write(
            broken=f"""
            import importlib, pytest
            def lookup(path):
                parts = path.split(".")
                for end in range(len(parts), 0, -1):
                    try: found = importlib.import_module(".".join(parts[:end]))
                    except ImportError: continue
                    for part in parts[end:]: found = getattr(found, part)
                    return found
            def broken(*a, **k):
                open({str(leaky.folder / "touched")!r}, "w").close()
                raise RuntimeError("made up")
            @pytest.hookimpl(tryfirst=True)
            def pytest_sessionstart(): setattr(lookup({module!r}), {name!r}, broken)
            """,
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture(scope="module")
            def server():
                leak()
                yield
            def test_one(server): leak()
            def test_two(): pass
            def test_three(): assert False
            """,
        )
        done = leaky.run(f"--sockets-leaks={mode}", "--sockets-unclosed=warn", plugins=("broken",), environment={
            "PYTHONPATH": f"{leaky.folder}{os.pathsep}{leaky.environment()['PYTHONPATH']}"})  # fmt: skip
        outcomes = done.outcomes
        assert outcomes.pop("error", 0) <= (2 if mode == "error" else 0), done.text
        assert (done.exit_code, outcomes) == (1, {"passed": 2, "failed": 1}), done.text
        assert "INTERNALERROR" not in done.text
        assert ("made up" in done.text) == (leaky.folder / "touched").exists(), done.text


class TestReports:
    def test_a_full_disk_loses_the_report_not_the_results(self, leaky):
        folder = leaky.folder / "small"
        folder.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], capture_output=True
        ).returncode:
            pytest.skip("no right to mount a small file system")
        try:
            (folder / "filler").write_bytes(b"x" * 4096)
            leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
            done = leaky.run(f"--sockets-report={folder}/full.json", report=False)
            assert (done.exit_code, done.outcomes) == (0, {"passed": 1})
            assert (
                "full.json was not written: No space left on device; make room or choose another place"
                in done.text
            )
            assert sorted(path.name for path in folder.iterdir()) == ["filler"]
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def test_a_folder_that_a_test_removes_loses_only_the_report(self, leaky):
        (leaky.folder / "out").mkdir()
        leaky.write(test_a="import shutil\ndef test_one(): shutil.rmtree('out')")
        done = leaky.run("--sockets-report=out/x.json", report=False)
        assert (done.exit_code, done.outcomes) == (0, {"passed": 1})
        assert f"{LOST}: the report" in done.text
        assert "its folder is gone: did a test remove it?" in done.text


class TestHostileTests:
    @pytest.mark.parametrize(
        "patch",
        [
            "monkeypatch.setattr(time, 'time', lambda: 0.0); monkeypatch.setattr(time, 'monotonic', lambda: -1e9)",
            "monkeypatch.setattr(time, 'sleep', lambda seconds: (_ for _ in ()).throw(RuntimeError('no sleeping')))",
            "monkeypatch.setattr(socket, 'socket', None)",
            "monkeypatch.setattr(socket, 'socket', type('Fake', (), {'__init__': lambda self, *a, **k: None}))",
            "monkeypatch.setattr(socket.socket, 'fileno', lambda self: (_ for _ in ()).throw(RuntimeError('no')))",
            "monkeypatch.setattr(socket.socket, 'close', lambda self: None)",
            "monkeypatch.setattr(os, 'listdir', lambda *a: ['x'])",
            "monkeypatch.setattr(os, 'fstat', lambda fd: (_ for _ in ()).throw(RuntimeError('no')))",
            "monkeypatch.setattr(os, 'stat', lambda *a, **k: (_ for _ in ()).throw(PermissionError()))",
            "monkeypatch.setattr(gc, 'collect', lambda *a: (_ for _ in ()).throw(RuntimeError('no')))",
            "monkeypatch.setattr(sys, '_getframe', lambda *a: None)",
            "monkeypatch.setattr(warnings, 'warn_explicit', lambda *a, **k: (_ for _ in ()).throw(RuntimeError('no')))",
            "monkeypatch.setattr('builtins.open', lambda *a, **k: (_ for _ in ()).throw(RuntimeError('no')))",
        ],
    )
    def test_a_patch_that_is_undone_after_the_test_costs_nothing(self, leaky, patch):
        leaky.write(
            test_a=f"""
            import gc, os, socket, sys, time, warnings
            from leaking import leak
            def test_one(monkeypatch):
                {patch}
            def test_two(): leak()
            """
        )
        done, without = leaky.run(), leaky.run(sockets=False)
        assert (done.exit_code, done.outcomes) == (without.exit_code, without.outcomes), done.text
        assert "INTERNALERROR" not in done.text
        assert "test_two" in done.owners

    @pytest.mark.parametrize(
        "patch",
        [
            "time.time = time.monotonic = lambda: 0.0",
            "time.sleep = None",
            "socket.socket = None",
            "os.listdir = lambda *a: ['x']",
            "gc.collect = None",
            "sys._getframe = None",
            "warnings.warn_explicit = None",
            "threading._active = None",
            "sys.modules.pop('asyncio', None); sys.modules.pop('socket', None)",
            "sys.settrace(lambda *a: None)",
            "os.chdir('/')",
            "os.environ.clear()",
            "gc.disable()",
            "locale.setlocale(locale.LC_ALL, 'C')",
        ],
    )
    def test_one_that_stays_changes_no_outcome(self, leaky, patch):
        leaky.write(
            test_a=f"""
            import gc, locale, os, socket, sys, threading, time, warnings
            from leaking import leak, KEPT
            def test_one(): leak()
            def test_two():
                {patch}
            def test_three(): pass
            """
        )
        done, without = leaky.run(), leaky.run(sockets=False)
        assert (done.exit_code, done.outcomes) == (without.exit_code, without.outcomes), done.text
        if "INTERNALERROR" not in without.text:
            assert "INTERNALERROR" not in done.text
            assert "test_one" in done.owners

    def test_a_test_that_closes_every_descriptor_hurts_only_itself(self, leaky):
        leaky.write(
            test_a="""
            import os, socket
            from leaking import leak
            def test_one(): leak()
            def test_two():
                for name in os.listdir("/proc/self/fd"):
                    if int(name) > 2:
                        try:
                            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"): os.close(int(name))
                        except OSError: pass
            def test_three(): leak()
            """
        )
        done = leaky.run("-W", "ignore")
        assert_calm(done, passed=3)
        assert "test_three" in done.owners

    def test_a_fork_in_a_test_that_returns_into_pytest_does_not_report_twice(self, leaky):
        leaky.write(
            test_a="""
            import os
            from leaking import leak
            def test_one():
                leak()
                pid = os.fork()
                if pid == 0:
                    leak()
                    os._exit(0)
                os.waitpid(pid, 0)
            def test_two(): pass
            """
        )
        done = leaky.run("-W", "ignore::DeprecationWarning")
        assert_calm(done, passed=2)
        assert done.owners == ["test_one"]

    def test_a_fork_with_threads_at_work_does_not_hang(self, leaky):
        leaky.write(
            test_a="""
            import os, socket, threading
            def test_one():
                stop = threading.Event()
                def busy():
                    while not stop.is_set():
                        with socket.socket() as sock: sock.bind(("127.0.0.1", 0))
                threads = [threading.Thread(target=busy) for _ in range(8)]
                for thread in threads: thread.start()
                for _ in range(20):
                    pid = os.fork()
                    if pid == 0:
                        socket.create_server(("127.0.0.1", 0)).close()
                        os._exit(0)
                    assert os.waitpid(pid, 0)[1] == 0
                stop.set()
                for thread in threads: thread.join()
            """
        )
        done = leaky.run("-W", "ignore::DeprecationWarning", timeout=60)
        assert_calm(done, passed=1)
        assert done.leaks == []

    def test_gevent_monkey_patching(self, leaky):
        pytest.importorskip("gevent")
        leaky.write(
            conftest="import gevent.monkey; gevent.monkey.patch_all()",
            test_a="""
            import gevent, socket
            KEPT = []
            def test_one(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
            def test_clean():
                with socket.create_server(("127.0.0.1", 0)) as server:
                    accepted = gevent.spawn(server.accept)
                    with socket.create_connection(server.getsockname()): accepted.get()[0].close()
            """,
        )
        done = leaky.run("-W", "ignore")
        assert_calm(done, passed=2)
        assert done.owners == ["test_one"]


class TestLoad:
    def test_five_thousand_sockets_of_one_test_are_one_bounded_report(self, leaky):
        leaky.write(
            conftest="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9000, 9000))",
            test_a="""
            import socket
            KEPT = []
            def test_one():
                for _ in range(5000): KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            def test_two(): pass
            """,
        )
        began = time.monotonic()
        done = leaky.run("--sockets-leaks=error", timeout=60)
        assert done.outcomes == {"passed": 2, "error": 1}
        assert len(done.leaks) == 5000
        assert len(done.text.splitlines()) < 60
        assert time.monotonic() - began < 20

    @pytest.mark.slow
    def test_five_thousand_connections_are_too(self, leaky):
        leaky.write(
            conftest="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))",
            test_a="""
            import socket
            KEPT = []
            def test_one():
                server = socket.create_server(("127.0.0.1", 0), backlog=128)
                KEPT.append(server)
                for _ in range(2500):
                    KEPT.append(socket.create_connection(server.getsockname()))
                    KEPT.append(server.accept()[0])
            """,
        )
        done = leaky.run("--sockets-leaks=error", timeout=90)
        assert done.outcomes == {"passed": 1, "error": 1}
        assert len(done.leaks) == 2501
        assert len(done.text.splitlines()) < 60

    def test_fifty_threads_that_open_and_close_while_it_is_judged(self, leaky):
        leaky.write(
            test_a="""
            import socket, threading, pytest
            from leaking import leak
            @pytest.fixture(scope="session")
            def noise():
                stop = threading.Event()
                def busy():
                    while not stop.wait(0.002):  # without it the interpreter's lock is all that is measured
                        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock: sock.bind(("127.0.0.1", 0))
                threads = [threading.Thread(target=busy) for _ in range(50)]
                for thread in threads: thread.start()
                yield
                stop.set()
                for thread in threads: thread.join()
            @pytest.mark.parametrize("n", range(10))
            def test_one(noise, n):
                if n == 5: leak()
            """
        )
        done = leaky.run("--sockets-leaks=error", timeout=60)
        assert (done.outcomes, done.owners) == ({"passed": 10, "error": 1}, ["test_one[5]"])

    @pytest.mark.slow
    def test_twenty_thousand_sockets_of_another_process(self, leaky):
        """Foreign sockets are neither named nor looked at."""
        code = """
            import resource, socket, sys
            resource.setrlimit(resource.RLIMIT_NOFILE, (5100, 5100))
            kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5000)]
            for sock in kept: sock.bind((sys.argv[1], 0))
            print("ready", flush=True)
            sys.stdin.read()
        """
        leaky.write(
            crowd=code, test_a="from leaking import leak\ndef test_one(): leak()\ndef test_two(): pass"
        )
        crowd = [
            subprocess.Popen(
                [
                    sys.executable,
                    "crowd.py",
                    f"127.0.0.{number}",
                ],  # 20,000 ports of one address may not be free
                cwd=leaky.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(2, 6)
        ]
        try:
            assert [process.stdout.readline() for process in crowd] == ["ready\n"] * 4
            done = leaky.run()
        finally:
            for process in crowd:
                process.communicate()
        assert (done.outcomes, done.owners) == ({"passed": 2}, ["test_one"])


def test_the_programs_that_these_tests_use_are_there():
    assert shutil.which("mount")
