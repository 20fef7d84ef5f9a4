"""Other event loops and start methods: seen like any other, or said in docs/explanation/limits.md."""

from __future__ import annotations

import sys

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.slow]


def test_uvloop_servers_and_clients(suite):
    pytest.importorskip("uvloop")
    suite.write(
        test_a="""
        import asyncio, uvloop
        KEPT = []
        async def leaky():
            KEPT.append(await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0))
        async def clean():
            server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()
        def test_leaky():
            loop = uvloop.new_event_loop()
            KEPT.append(loop)
            loop.run_until_complete(leaky())
        def test_clean():
            loop = uvloop.new_event_loop()
            loop.run_until_complete(clean())
            loop.close()
        """
    )
    done = suite.run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert set(done.owners) == {"test_leaky"}


def test_trio_in_guest_mode(suite):
    pytest.importorskip("trio")
    suite.write(
        test_a="""
        import asyncio, trio
        KEPT = []
        async def opens(close):
            sock = trio.socket.socket()
            await sock.bind(("127.0.0.1", 0))
            sock.listen()
            if close: sock.close()
            else: KEPT.append(sock)
        async def host(close):
            loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
            trio.lowlevel.start_guest_run(
                opens, close, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result)
            (await done).unwrap()
        def test_leaky(): asyncio.run(host(False))
        def test_clean(): asyncio.run(host(True))
        """
    )
    done = suite.run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert (done.owners, done.places) == (["test_leaky"], ["test_a.py:5"])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_server_that_nobody_ends(suite, method):
    suite.write(
        served="""
        import socket, time
        def serve(pipe):
            server = socket.create_server(("127.0.0.1", 0))
            pipe.send("ready")
            time.sleep(60)
        """,
        test_a=f"""
        import multiprocessing
        from served import serve
        KEPT = []
        def start():
            context = multiprocessing.get_context({method!r})
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            assert ours.recv() == "ready"
            return process
        def test_leaky(): KEPT.append(start())
        def test_clean():
            process = start()
            process.kill()
            process.join()
        """,
    )
    done = suite.run("--sockets-leaks=error", "-W", "ignore::DeprecationWarning")
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert done.owners == ["test_leaky"]
    assert done.leaks[0]["socket"]["process"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="_interpreters came with 3.13")
def test_a_subinterpreters_socket_is_found_without_a_line(suite):
    """Audit hooks of Python code are per interpreter; the descriptors are the process's."""
    suite.write(
        test_a="""
        import _interpreters
        KEPT = []
        def test_leaky():
            interpreter = _interpreters.create()
            KEPT.append(interpreter)
            _interpreters.exec(interpreter, "import _socket; s = _socket.socket(2, 1); s.bind(('127.0.0.1', 0)); s.listen()")
        def test_clean():
            interpreter = _interpreters.create()
            _interpreters.exec(interpreter, "import _socket; s = _socket.socket(2, 1); s.close()")
            _interpreters.destroy(interpreter)
        """
    )
    done = suite.run("--sockets-leaks=error", "-p", "no:logging", "-W", "ignore")
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert (done.owners, done.places) == (["test_leaky"], [""])


def test_gevent_servers(suite):
    pytest.importorskip("gevent")
    suite.write(
        test_a="""
        from gevent.server import StreamServer
        KEPT = []
        def serve():
            server = StreamServer(("127.0.0.1", 0), lambda sock, address: None)
            server.start()
            return server
        def test_leaky(): KEPT.append(serve())
        def test_clean(): serve().stop()
        """
    )
    done = suite.run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert done.owners == ["test_leaky"]
