"""Which line is named: that of the user's own code, wherever pytest found it."""

from __future__ import annotations

import os

from tests.conftest import PROJECT


def test_what_pytest_collected_is_the_users_also_in_an_installed_package(suite):
    package = suite.folder / "site-packages" / "a_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "conftest.py").write_text(
        "import pytest, socket\n"
        "@pytest.fixture(scope='module')\n"
        "def kept():\n"
        "    return socket.create_server(('127.0.0.1', 0))\n"
    )
    (package / "test_a.py").write_text(
        "import socket\n"
        "def test_a(kept):\n"
        "    test_a.server = socket.create_server(('127.0.0.1', 0))\n"
        "    test_a.kept = kept\n"
    )
    path = os.pathsep.join([str(suite.folder / "site-packages"), str(PROJECT)])
    done = suite.run("--pyargs", "a_package", environment={"PYTHONPATH": path})
    places = sorted(place.rpartition("a_package/")[2] for place in done.places)
    assert places == ["conftest.py:4", "test_a.py:3"], done.text


LIBRARY = """
import socket
class Server:
    def serve(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        KEPT.append(self)
KEPT = []
"""


def test_a_socket_of_a_librarys_thread_is_reported_at_the_line_that_started_the_thread(suite):
    installed = suite.folder / "site-packages"
    installed.mkdir()
    (installed / "a_library.py").write_text(LIBRARY)
    suite.write(
        test_a="""
            import sys, threading
            sys.path.insert(0, "site-packages")
            import a_library

            def test_a():
                thread = threading.Thread(target=a_library.Server().serve)
                thread.start()  # LEAK
                thread.join()

            def test_b():
                a_library.Server().serve()  # LEAK
        """
    )
    done = suite.run()
    assert done.places == ["test_a.py:8", "test_a.py:12"], done.text
