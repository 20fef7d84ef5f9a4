"""The fixture `sockets` in a real pytest: what passes, what fails, and the text of the failure."""

from __future__ import annotations

import pytest


def test_the_fixture_answers_and_its_twins_fail_with_an_answer(suite):
    suite.write(
        test_a="""
        import socket
        import pytest

        @pytest.fixture
        def server():
            with socket.create_server(("127.0.0.1", 0)) as server:
                yield server

        def port(server):
            return server.getsockname()[1]

        def test_good(sockets, server):
            assert port(server) in sockets.listening
            assert ("localhost", port(server)) in sockets.listening
            assert port(server) in sockets.loopback_only
            assert port(server) not in sockets.time_wait.where(lambda entry: entry.local == ("127.0.0.1", port(server)))
            assert sockets.new("LISTEN").on_port(port(server)) == sockets.new()
            assert sockets.new("ESTABLISHED") == []
            sockets.assert_no_new("ESTABLISHED")
            assert sockets.wait_listening(port(server))
            (holder,) = [one for one in sockets.who_holds(port(server)) if one.status == "LISTEN"]
            assert "fixture 'server'" in holder.test
            with socket.create_connection(server.getsockname()) as client:
                accepted, _ = server.accept()
                assert (client.getsockname(), server.getsockname()) in sockets.established
                accepted.close()
                client.recv(1)  # the FIN is here
                assert client.getsockname() in sockets.close_wait
            sockets.wait_no_connections(port(server))
            assert sockets.probe(server.getsockname()) == "open"

        def test_not_in(sockets, server):
            assert port(server) not in sockets.listening

        def test_in(sockets):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                assert port(free) in sockets.listening  # while it is ours: another process may listen there next

        def test_exposed(sockets):
            with socket.create_server(("0.0.0.0", 0)) as server:
                assert port(server) in sockets.loopback_only

        def test_empty(sockets, server):
            assert sockets.new() == []

        def test_assert_no_new(sockets, server):
            sockets.assert_no_new(grace=0.01)

        def test_bad_port(sockets):
            assert True in sockets.listening

        def test_bad_status(sockets):
            sockets.new("ESTAB")
        """
    )
    done = suite.run("--tb=short")
    assert done.outcomes == {"passed": 1, "failed": 7}, done.text
    for text in (
        "not in sockets.listening: this process, pid ",
        "opened by fixture 'server' (scope function)",
        "in sockets.listening: nothing listens on port ",
        "not only on loopback: reachable from outside",
        "assert sockets.new() == []: 1 socket",
        "1 new socket since this test's set-up began, after 0.01 s",
        "True (bool) cannot be looked for",
        "'ESTAB' is not a valid status; did you mean ESTABLISHED?",
    ):
        assert text in done.text
    assert "Full diff" not in done.text


def test_the_baseline_is_taken_before_the_first_fixture_and_only_where_it_is_used(suite):
    suite.write(
        test_a="""
        import socket
        import pytest

        @pytest.fixture(autouse=True, scope="module")
        def early():
            with socket.create_server(("127.0.0.1", 0)) as server:
                yield server

        def test_first(early, sockets):
            assert len(sockets.new("LISTEN")) == 1

        def test_second(early, sockets):
            assert sockets.new("LISTEN") == []

        def test_dynamic(request, early):
            assert request.getfixturevalue("sockets").new("LISTEN") == []
        """
    )
    assert suite.run().outcomes == {"passed": 3}


def test_children_count_as_new(suite):
    suite.write(
        test_a="""
        import subprocess, sys

        def test_child(sockets):
            show = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
            code = f"import socket, sys; {show}; sys.stdin.read()"
            with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
                port = int(child.stdout.readline())
                assert [entry.pid for entry in sockets.new("LISTEN").on_port(port)] == [child.pid]
                child.kill()
            sockets.assert_no_new()
        """
    )
    assert suite.run().outcomes == {"passed": 1}


def test_verbose_shows_what_the_cut_leaves_out(suite):
    suite.write(
        test_a="""
        import socket

        def test_many(sockets):
            made = [socket.create_server(("127.0.0.1", 0)) for _ in range(20)]
            try:
                assert sockets.new() == []
            finally:
                for one in made:
                    one.close()
        """
    )
    assert "-vv shows them" in suite.run().text
    full = suite.run("-vv").text
    assert "-vv shows them" not in full
    assert full.count(" listens on 127.0.0.1:") >= 20


@pytest.mark.parametrize("plugin", ["asyncio", "trio"])
def test_waits_can_be_awaited_in_tests(suite, plugin: str):
    mark, import_ = (
        ("@pytest.mark.asyncio", "pytest") if plugin == "asyncio" else ("@pytest.mark.trio", "pytest")
    )
    suite.write(
        test_a=f"""
        import socket
        import {import_}

        {mark}
        async def test_wait(sockets):
            with socket.create_server(("127.0.0.1", 0)) as server:
                assert await sockets.async_wait_listening(server.getsockname()[1])
                await sockets.async_wait_no_connections(server.getsockname()[1])
        """
    )
    module = {"asyncio": "pytest_asyncio.plugin", "trio": "pytest_trio.plugin"}[plugin]
    done = suite.run("-W", "ignore", plugins=(module,))
    assert done.outcomes == {"passed": 1}, done.text


def test_a_run_without_the_fixture_gets_no_hook_and_no_psutil(suite):
    suite.write(
        test_a="""
        import sys

        def test_light(pytestconfig):
            assert "psutil" not in sys.modules
            assert "pytest_sockets.asserting.view" not in sys.modules
            assert not pytestconfig.pluginmanager.has_plugin("pytest_sockets.baseline_of_sockets")
        """
    )
    done = suite.run(anew=True)
    assert done.outcomes == {"passed": 1}, done.text
