"""What hostile suites do to sockets, modules and the interpreter changes no outcome and hides no leak beside it."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.proof

LEAK = """
    def test_leak():
        import socket
        global kept
        kept = socket.create_server(("127.0.0.1", 0))
    def test_next():
        pass
"""
CLEAN = """
    def test_clean():
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
"""
PATCHED = (
    """
    import builtins, gc, io, os, socket, sys, threading, time
    import pytest
    def broken(*_, **__): raise AssertionError("patched")
    @pytest.fixture(autouse=True)
    def patched(monkeypatch): monkeypatch.setattr({})
"""
    + CLEAN
)

WAYS = {
    "a constructor that raises or closes": """
    import socket
    import pytest
    class ClosesAndRaises(socket.socket):
        def __init__(self):
            super().__init__()
            self.close()
            raise OSError
    class Raises(socket.socket):
        def __init__(self): raise OSError
    class Reopens(socket.socket):
        def __init__(self):
            super().__init__()
            self.close()
            super().__init__()
    def test_constructors():
        for kind in (ClosesAndRaises, Raises):
            with pytest.raises(OSError): kind()
        with Reopens() as sock: assert sock.fileno() > 0
""",
    "a replaced constructor": """
    import socket
    real = socket.socket.__init__
    def replaced(self, *args, **kwargs): real(self, *args, **kwargs)
    socket.socket.__init__ = replaced
"""
    + CLEAN,
    "a reloaded socket module": """
    import importlib, socket
    def test_reload():
        old = socket.socket
        importlib.reload(socket)
        assert socket.socket is not old
"""
    + CLEAN,
    "a socket module imported anew": """
    import sys, socket
    def test_new():
        global socket
        del sys.modules["socket"]
        import socket
"""
    + CLEAN,
    "a low recursion limit": """
    import socket, sys
    import pytest
    @pytest.fixture(autouse=True)
    def low():
        old, frame, depth = sys.getrecursionlimit(), sys._getframe(), 0
        while frame: frame, depth = frame.f_back, depth + 1
        sys.setrecursionlimit(depth + 40)
        yield
        sys.setrecursionlimit(old)
    def down(levels): return down(levels - 1) if levels else socket.socket()
    @pytest.mark.parametrize("levels", range(20, 45))
    def test_at_the_edge(levels):
        try: down(levels).close()
        except RecursionError: pass
""",
    "a frozen clock": PATCHED.format('time, "monotonic", lambda: 0.0') + CLEAN.replace("clean", "clean_too"),
    "no sleep": PATCHED.format('time, "sleep", broken'),
    "no list of descriptors": PATCHED.format('os, "listdir", broken'),
    "no links": PATCHED.format('os, "readlink", broken'),
    "no process id": PATCHED.format('os, "getpid", lambda: 1'),
    "no current thread": PATCHED.format('threading, "current_thread", broken'),
    "no list of threads": PATCHED.format('threading, "enumerate", broken'),
    "no list of objects": PATCHED.format('gc, "get_objects", broken'),
    "no references": PATCHED.format('gc, "get_referrers", broken'),
    "a default time-out": """
    import socket
    socket.setdefaulttimeout(0.001)
    def test_one(): socket.socket().close()
""",
    "a fast switch of threads": """
    import socket, sys, threading
    sys.setswitchinterval(1e-6)
    def test_threads():
        threads = [threading.Thread(target=lambda: socket.socket().close()) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
""",
    "a frozen heap without a collector": """
    import gc, socket
    gc.disable()
    gc.freeze()
"""
    + CLEAN,
    "few descriptors": """
    import resource, socket
    import pytest
    def test_few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = []
        with pytest.raises(OSError):
            while True: held.append(socket.socket())
        for sock in held: sock.close()
""",
    "closed standard streams": """
    import os, socket
    def test_close():
        for fd in (0, 1, 2):
            try: os.close(fd)
            except OSError: pass
        for sock in [socket.socket() for _ in range(5)]: sock.close()
""",
    "no hooks and no streams": """
    import socket, sys, threading
    def test_none():
        sys.unraisablehook = sys.excepthook = threading.excepthook = sys.stdout = sys.stderr = None
        with socket.socket(): pass
""",
    "a fork in a fixture": """
    import os, signal, socket
    import pytest
    @pytest.fixture(scope="module")
    def address():
        with socket.create_server(("127.0.0.1", 0)) as server:
            pid = os.fork()
            while not pid:
                try:
                    client, _ = server.accept()
                    client.sendall(b"x")
                    client.close()
                except BaseException: os._exit(1)
            yield server.getsockname()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    @pytest.mark.parametrize("n", range(2))
    def test_served(address, n):
        with socket.create_connection(address) as client: assert client.recv(1) == b"x"
""",
    "a run inside a test": """
    import pytest
    def test_inner(tmp_path):
        inner = tmp_path / "test_inner.py"
        inner.write_text("import socket\\ndef test_one():\\n with socket.socket(): pass\\n")
        assert pytest.main(["-q", "-p", "no:cacheprovider", str(inner)]) == 0
""",
    "a class that answers no question": """
    import socket
    class Kind(type):
        def __instancecheck__(cls, instance): raise RuntimeError
        def __hash__(cls): raise RuntimeError
        def __eq__(cls, other): raise RuntimeError
    class Mute(socket.socket, metaclass=Kind):
        __hash__ = None
        def fileno(self): raise RuntimeError
        def __eq__(self, other): raise RuntimeError
        def __repr__(self): raise RuntimeError
        def __getattribute__(self, name):
            if name in ("family", "type", "_closed"): raise RuntimeError
            return super().__getattribute__(name)
    def test_mute():
        sock = Mute()
        socket.socket.close(sock)
""",
    "imports of the plugin that fail": """
    import builtins, socket
    import pytest
    @pytest.fixture(scope="class")
    def blocked():
        real = builtins.__import__
        def guarded(name, *args, **kwargs):
            if name.startswith("pytest_sockets"): raise ImportError("blocked")
            return real(name, *args, **kwargs)
        builtins.__import__ = guarded
        yield
        builtins.__import__ = real
    @pytest.mark.usefixtures("blocked")
    class TestBlocked:
        def test_first(self): socket.socket().close()
        def test_second(self): socket.socket().close()
""",
}


@pytest.mark.skipif(sys.platform != "linux", reason="some of these ways exist on Linux only")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", WAYS)
def test_outcomes_stay_and_the_leak_is_found(suite, way):
    suite.write(test_a=WAYS[way] + LEAK)
    plain = suite.run(sockets=False, anew=True)
    done = suite.run(anew=True)
    assert plain.outcomes.keys() <= {"passed"}, plain.text  # a way that breaks pytest proves nothing
    assert (done.outcomes, done.exit_code) == (plain.outcomes, plain.exit_code), done.text
    assert done.owners == ["test_leak"], done.text
