"""The fixtures of server processes in a real pytest run: sharing, deaths, reports, and no blame for their listeners."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HTTP = """
    import os, sys, time, urllib.request, pytest
    HTTP = [sys.executable, "-m", "http.server", "{port}", "--bind", "{host}"]
    def get(server, path="/"):
        return urllib.request.urlopen(server.url() + path).read()
"""


def test_servers_of_both_scopes_are_no_leaks_and_end(suite):
    """Their listeners outlive every test, and the helper that starts them is a child of this process."""
    suite.write(
        test_a=HTTP
        + """
    PIDS = []

    @pytest.fixture(scope="session")
    def of_session(session_server_process_factory):
        return session_server_process_factory(HTTP)

    def test_first(server_process_factory):
        server = server_process_factory(HTTP)
        PIDS.append(server.pid)
        get(server)

    def test_second(of_session):
        with pytest.raises(ProcessLookupError):
            os.kill(PIDS[0], 0)
        get(of_session)

    @pytest.mark.parametrize("n", range(3))
    def test_more(of_session, n):
        get(of_session)
    """
    )
    done = suite.run("--sockets-leaks=error", "--sockets-unclosed=error", "--sockets-kinds=tcp,udp,unix")
    assert done.outcomes == {"passed": 5}, done.text
    assert done.leaks == []


def test_a_server_that_a_test_starts_by_hand_beside_ours_is_still_found(suite):
    """The twin: the helper is exempt, other children are not."""
    suite.write(
        test_a=HTTP
        + """
    import subprocess
    from pytest_sockets import wait_listening

    def test_by_hand(server_process_factory, free_port):
        server_process_factory(HTTP)
        process = subprocess.Popen([sys.executable, "-m", "http.server", str(free_port)], stderr=subprocess.DEVNULL)
        wait_listening(free_port, process=process)

    def test_next():
        pass
    """
    )
    done = suite.run("--sockets-leaks=error")
    assert done.owners == ["test_by_hand"], done.text


def test_a_server_that_died_fails_the_fixtures_teardown_and_shows_its_output(suite):
    suite.write(
        test_a=HTTP
        + """
    CODE = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(.2); sys.exit('out of cheese')"

    def test_passes(server_process_factory):
        server = server_process_factory([sys.executable, "-c", CODE, "{port}"])
        while server.is_running:
            time.sleep(0.01)

    def test_stops_it(server_process_factory):
        server_process_factory(HTTP).stop()
    """  # noqa: E501
    )
    done = suite.run()
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert "ERROR at teardown of test_passes" in done.text
    assert "exited with status 1 before it was stopped" in done.text
    assert "out of cheese" in done.text
    assert "process_fixtures.py" not in done.text


def test_a_failing_test_shows_what_its_servers_wrote_during_it(suite):
    suite.write(
        test_a=HTTP
        + """
    @pytest.fixture(scope="session")
    def of_session(session_server_process_factory):
        return session_server_process_factory(HTTP)

    def test_passes(of_session):
        get(of_session, "/?first")

    def test_fails(of_session):
        get(of_session, "/?second")
        assert False

    def test_sees_it_die(of_session):
        os.kill(of_session.pid, 9)
        get(of_session)
    """
    )
    done = suite.run()
    assert done.outcomes == {"passed": 1, "failed": 2, "error": 1}, done.text
    failed, died = done.text.split("_ test_fails _")[1].split("_ test_sees_it_die _")
    assert "server processes of pytest-sockets" in failed
    assert "wrote during this test:" in failed
    assert "/?second" in failed
    assert "/?first" not in failed
    assert "was killed by SIGKILL before it was stopped" in died


def test_a_server_that_cannot_start_is_an_error_at_the_users_line(suite):
    suite.write(
        test_a=HTTP
        + """
    @pytest.fixture
    def api(server_process_factory):
        return server_process_factory([sys.executable, "-m", "htp.server", "{port}"])

    def test_a(api):
        pass
    """
    )
    done = suite.run()
    assert done.outcomes == {"error": 1}, done.text
    assert "No module named 'htp'" in done.text
    assert re.search(r"test_a\.py:\d+: ProcessDied", done.text)
    assert "server_process.py" not in done.text


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_shared_server_is_one_process_for_all_workers(suite, workers: str):
    suite.write(
        test_a=HTTP
        + """
    import pathlib

    @pytest.fixture(scope="session")
    def shared(session_server_process_factory):
        return session_server_process_factory(HTTP, shared=True)

    @pytest.fixture(scope="session")
    def other(session_server_process_factory, shared):
        return session_server_process_factory(HTTP, shared=True)

    @pytest.mark.parametrize("n", range(8))
    def test_a(shared, other, n, request):
        get(shared, f"/?{n}")
        get(other)
        assert f"/?{n}" in shared.output
        worker = os.environ.get("PYTEST_XDIST_WORKER", "-")
        pathlib.Path(f"seen-{n}").write_text(f"{worker} {shared.pid} {other.pid} {shared.port}")
        time.sleep(0.1)
    """
    )
    done = suite.run("-n", workers, "--sockets-leaks=error", plugins=("xdist",))
    assert done.outcomes == {"passed": 8}, done.text
    seen = [path.read_text().split() for path in suite.folder.glob("seen-*")]
    assert len({words[0] for words in seen}) == max(1, int(workers))
    assert len({tuple(words[1:]) for words in seen}) == 1
    assert seen[0][1] != seen[0][2]
    assert not Path(f"/proc/{seen[0][1]}").exists()


def test_a_shared_server_cannot_be_stopped_by_one_worker(suite):
    suite.write(
        test_a=HTTP
        + """
    from pytest_sockets import ServerFault

    @pytest.mark.parametrize("n", range(4))
    def test_a(session_server_process_factory, n):
        shared = session_server_process_factory(HTTP, shared=True)
        for what in (shared.kill, shared.restart, shared.pause, shared.resume):
            with pytest.raises(ServerFault, match=f"{what.__name__}: server .* is shared with other workers"):
                what()
        shared.stop()
        get(shared)
    """
    )
    done = suite.run("-n", "2", plugins=("xdist",))
    assert done.outcomes == {"passed": 4}, done.text


def test_a_shared_server_that_died_is_an_error_with_its_output(suite):
    suite.write(
        test_a=HTTP
        + """
    def test_a(session_server_process_factory):
        shared = session_server_process_factory(HTTP, shared=True)
        get(shared)
        os.kill(shared.pid, 9)
        while shared.is_running:
            time.sleep(0.01)
    """
    )
    done = suite.run("-n", "1", plugins=("xdist",))
    assert done.outcomes == {"passed": 1, "error": 1}, done.text
    assert "was killed by SIGKILL before it was stopped" in done.text
    assert "GET / HTTP/1.1" in done.text


def test_a_run_without_server_processes_starts_no_helper_and_imports_nothing(suite):
    suite.write(
        test_a="""
    import sys

    def test_a():
        assert "pytest_sockets.processes.server_process" not in sys.modules
        assert "pytest_sockets.processes.keeper" not in sys.modules
    """
    )
    assert suite.run().outcomes == {"passed": 1}


def test_help_names_both_fixtures(suite):
    done = suite.run("--fixtures", report=False)
    assert "server_process_factory" in done.text
    assert "session_server_process_factory [session scope]" in done.text


def test_the_process_ends_without_a_resource_warning():
    code = "import sys; from pytest_sockets import ServerProcess; ServerProcess([sys.executable, '-m', 'http.server', '{port}']).stop()"  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_only_the_sessions_factory_shares(suite):
    suite.write(
        test_a=HTTP
        + """
    def test_a(server_process_factory):
        with pytest.raises(ValueError, match="use session_server_process_factory to share one"):
            server_process_factory(HTTP, shared=True)
        with pytest.raises(ValueError, match="shared='yes': use True or False"):
            server_process_factory(HTTP, shared="yes")
    """
    )
    assert suite.run().outcomes == {"passed": 1}
