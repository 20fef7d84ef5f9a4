"""Thousands of sockets from every kind of suspendable code: the interpreter survives, and no clean suite fails."""

from __future__ import annotations

LIBRARY = """
    import asyncio, socket

    class Stream:
        def __init__(self, sock):
            self.sock = sock

    async def opens():
        stream = Stream(socket.socket())
        await asyncio.sleep(0)
        stream.sock.close()

    async def opens_in_tasks(n):
        await asyncio.gather(*[asyncio.create_task(opens()) for _ in range(n)])

    def opens_in_generators():
        stream = Stream(socket.socket())
        yield stream
        stream.sock.close()
"""

SUITE = """
    import asyncio, gc, pathlib, socket, sys, threading
    import pytest

    sys.path.insert(0, str(pathlib.Path(__file__).parent / "site-packages"))
    import a_library

    @pytest.mark.parametrize("n", range(10))
    def test_tasks_of_a_loop_in_a_thread(n):
        for _ in range(10):
            thread = threading.Thread(target=asyncio.run, args=(a_library.opens_in_tasks(50),))
            thread.start()
            thread.join()

    def test_generators_and_async_generators():
        async def numbers():
            for number in range(500):
                socket.socket().close()
                yield number

        async def use():
            async for _ in numbers():
                for stream in a_library.opens_in_generators():
                    stream.sock.fileno()

        asyncio.run(use())

    def test_threads():
        def work():
            for _ in range(50):
                first, second = socket.socketpair()
                first.close()
                second.close()
                socket.socket().close()

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_finalizers():
        class Opens:
            def __init__(self):
                self.cycle = self

            def __del__(self):
                socket.socket().close()

        for _ in range(1000):
            Opens()
        gc.collect()

    def test_greenlets():
        greenlet = pytest.importorskip("greenlet")

        def work():
            for _ in range(50):
                sock = socket.socket()
                greenlet.getcurrent().parent.switch()
                sock.close()

        waiting = [greenlet.greenlet(work) for _ in range(20)]
        while waiting:
            for each in waiting:
                each.switch()
            waiting = [each for each in waiting if not each.dead]
"""


def test_no_crash_whatever_opens_sockets(suite):
    """On 3.11 and 3.12, asking a running coroutine what it awaits killed the interpreter."""
    (suite.folder / "site-packages").mkdir()
    suite.write(test_stress=SUITE)
    suite.write(library=LIBRARY)
    (suite.folder / "library.py").rename(suite.folder / "site-packages" / "a_library.py")
    done = suite.run("--sockets-leaks=error")
    assert done.exit_code == 0, done.text
    assert done.outcomes.get("passed", 0) >= 13
