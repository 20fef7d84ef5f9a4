"""The line that opened a socket is the innermost one of the user's own code."""

from __future__ import annotations

import asyncio
import doctest
import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from pytest_sockets.leaks.call_site import Places, capture
from pytest_sockets.leaks.findings import Frame

THIS = "tests/leaks/test_call_site.py"
STDLIB = sysconfig.get_paths()["stdlib"]


def line_here():
    return sys._getframe(1).f_lineno


def call_through(path, function, name="library_call"):
    """Call `function` from code of a file at `path`."""
    names = {"function": function}
    exec(compile(f"def {name}(): return function()", str(path), "exec"), names)
    return names[name]()


class TestPlaces:
    @pytest.mark.parametrize(
        ("filename", "users"),
        [
            ("/repo/tests/test_a.py", True),
            ("/elsewhere/app/client.py", True),
            (f"{STDLIB}/socket.py", False),
            (f"{STDLIB}/site-packages/urllib3/connection.py", False),
            ("/repo/.venv/lib/python3.12/site-packages/redis/client.py", False),
            ("/usr/lib/python3/dist-packages/apt.py", False),
            ("<string>", False),
            ("<frozen runpy>", False),
        ],
    )
    def test_own_code_is_told_from_libraries(self, filename, users):
        assert Places(Path("/repo")).is_users(filename) is users

    def test_our_own_package_is_not_the_users(self):
        import pytest_sockets.leaks.call_site as ours

        assert not Places(Path("/repo")).is_users(ours.__file__)

    def test_an_installed_package_that_is_the_rootdir_is_the_users(self):
        places = Places(Path(STDLIB, "site-packages", "mypackage"))
        assert places.is_users(f"{STDLIB}/site-packages/mypackage/tests/test_a.py")
        assert not places.is_users(f"{STDLIB}/site-packages/other/a.py")

    def test_paths_below_rootdir_are_relative_and_others_are_not(self):
        places = Places(Path("/repo"))
        assert places.relative("/repo/tests/test_a.py") == "tests/test_a.py"
        assert places.relative("/repository/a.py") == "/repository/a.py"


class TestStacks:
    def test_the_users_line_behind_a_library_is_the_one(self, places):
        call_site = call_through(f"{STDLIB}/site-packages/lib.py", lambda: capture(sys._getframe(1), places))
        opened_at, here = call_site.opened_at(places), "call_through"
        assert (opened_at.file, opened_at.function) == (THIS, here)
        assert [frame.function for frame in call_site.stack(places)[:2]] == ["library_call", "call_through"]

    def test_the_innermost_of_several_users_lines_wins(self, places):
        def inner():
            return capture(sys._getframe(), places), line_here()

        call_site, line = inner()
        assert call_site.opened_at(places) == (type(call_site.opened_at(places)))(THIS, line, "inner")

    def test_a_line_number_is_exact_across_lines_of_one_call(self, places):
        call_site = capture(
            sys._getframe(),
            places,
        )
        assert call_site.opened_at(places).line in range(line_here() - 4, line_here())

    def test_a_user_behind_a_hundred_library_calls_is_found(self, places):
        names = {"capture": capture, "sys": sys, "places": places}
        source = "def deep(n): return deep(n - 1) if n else capture(sys._getframe(), places)"
        exec(compile(source, f"{STDLIB}/site-packages/deep.py", "exec"), names)
        call_site = names["deep"](100)
        assert call_site.opened_at(places).file == THIS
        assert len(call_site.stack(places)) <= 12

    @pytest.mark.parametrize(("above", "kept"), [(0, 2), (1, 3), (2, 4), (9, 4)])
    def test_three_of_the_users_lines_above_the_innermost_are_kept(self, places, above, kept):
        def opens(calls):
            return opens(calls - 1) if calls else capture(sys._getframe(), places)

        assert len(opens(above).stack(places)) == kept

    @pytest.mark.parametrize(("door", "known"), [("pytest_runtest_protocol", False), ("helper", True)])
    def test_what_calls_pytest_opened_nothing(self, places, door, known):
        names = {"capture": capture, "sys": sys, "places": places}
        source = "def opens(): return capture(sys._getframe(), places)"
        exec(compile(source, f"{STDLIB}/site-packages/lib.py", "exec"), names)
        call_site = call_through(f"{STDLIB}/site-packages/_pytest/runner.py", names["opens"], door)
        assert call_site.in_users_code is known

    def test_without_a_users_line_it_is_the_library_beside_socket_py(self):
        nowhere = Places(Path("/nowhere"))
        nowhere.mark = lambda _: 0
        call_site = call_through(
            f"{STDLIB}/socket.py", lambda: capture(sys._getframe(1), nowhere), "create_server"
        )
        assert call_site.opened_at(nowhere).function == "call_through"

    def test_equal_lines_are_equal_and_others_are_not(self, places):
        first, second = (capture(sys._getframe(), places) for _ in range(2))
        other = capture(sys._getframe(), places)
        assert (first == second, hash(first) == hash(second)) == (True, True)
        assert first != other

    def test_an_origin_keeps_no_object_alive(self, places):
        import gc
        import weakref

        class Thing:
            pass

        def opens():
            thing = Thing()
            return capture(sys._getframe(), places), weakref.ref(thing)

        call_site, thing = opens()
        gc.collect()
        assert thing() is None
        assert call_site.in_users_code


class TestDoctests:
    """An example is compiled by itself; what it opens is opened where it is written."""

    TEXT = "\n\n>>> 1\n1\n>>> def opens():\n...     1\n...     return capture(frame(), places)\n>>> found = opens()\n"

    def opened_at(self, places, filename, lineno):
        names = {"frame": sys._getframe, "capture": capture, "places": places}
        test = doctest.DocTestParser().get_doctest(self.TEXT, names, "of_a_user", filename, lineno)
        assert doctest.DocTestRunner(verbose=False).run(test, clear_globs=False).failed == 0
        return test.globs["found"].opened_at(places)

    @pytest.mark.parametrize("above", [0, 40])
    def test_the_line_is_that_of_the_file(self, places, above):
        opened_at = self.opened_at(places, places.rootdir + "docs/guide.rst", above)
        assert opened_at == Frame("docs/guide.rst", above + 7, "opens")

    @pytest.mark.parametrize(("filename", "lineno"), [(None, 0), ("/repo/a.py", None)])
    def test_without_a_known_place_it_is_the_example(self, places, filename, lineno):
        opened_at = self.opened_at(places, filename, lineno)
        assert opened_at == Frame("<doctest of_a_user[1]>", 3, "opens")

    def test_helpers_that_an_example_calls_come_first(self, places):
        names = {"helper": lambda: capture(sys._getframe(), places)}
        test = doctest.DocTestParser().get_doctest(
            ">>> found = helper()", names, "of_a_user", "/repo/a.py", 5
        )
        doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
        files = [frame.file for frame in test.globs["found"].stack(places)]
        assert files == [THIS, "/repo/a.py"]


class TestChildTasks:
    """What a library's child task opens belongs to the user's line that waits for it."""

    @staticmethod
    def outside(run, *arguments, **names):
        """Run a loop in a thread: as under pytest-asyncio, no line of the user's is on the stack below it."""
        results = []
        code = compile("results.append(run(*arguments, **names))", f"{STDLIB}/runner.py", "exec")
        scope = {"results": results, "run": run, "arguments": arguments, "names": names}
        thread = threading.Thread(target=exec, args=(code, scope))
        thread.start()
        thread.join()
        return results[0]

    async def in_a_child(self, places, gather):
        names = {"capture": capture, "sys": sys, "places": places, "found": []}
        source = "async def child(): found.append(capture(sys._getframe(), places))"
        exec(compile(source, f"{STDLIB}/site-packages/eyeballs.py", "exec"), names)
        await gather(names["child"])
        return names["found"][0]

    def test_asyncio(self, places):
        async def gather(child):
            await asyncio.gather(child())

        opened_at = self.outside(asyncio.run, self.in_a_child(places, gather)).opened_at(places)
        assert (opened_at.file, opened_at.function) == (THIS, "gather")

    def test_trio(self, places):
        trio = pytest.importorskip("trio")

        async def gather(child):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)

        opened_at = self.outside(trio.run, self.in_a_child, places, gather).opened_at(places)
        assert (opened_at.file, opened_at.function) == (THIS, "gather")

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_anyio(self, places, backend):
        anyio = pytest.importorskip("anyio")

        async def gather(child):
            async with anyio.create_task_group() as group:
                group.start_soon(child)

        opened_at = self.outside(anyio.run, self.in_a_child, places, gather, backend=backend).opened_at(
            places
        )
        assert (opened_at.file, opened_at.function) == (THIS, "gather")

    def test_with_two_candidates_nobody_is_blamed(self, places):
        async def gather(child):
            await asyncio.gather(child())

        async def two():
            async def bystander():
                await asyncio.sleep(30)

            beside = asyncio.create_task(bystander())
            await asyncio.sleep(0)
            call_site = await self.in_a_child(places, gather)
            beside.cancel()
            return call_site

        call_site = self.outside(asyncio.run, two())
        assert not call_site.in_users_code


def test_a_script_that_calls_pytest_main_is_not_the_opener(suite):
    """What pytest's own machinery or a plugin opens there has the script far out on its stack."""
    suite.write(
        run="""
        import sys, pytest
        if __name__ == "__main__":
            sys.exit(pytest.main(["-p", "no:cacheprovider", "-p", "pytest_sockets.plugin", "--sockets-report=leaks.json"]))
        """,
        test_a="""
        import socket
        KEPT = []
        def test_one():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
        """,
    )
    subprocess.run(
        [sys.executable, "run.py"], cwd=suite.folder, env=suite.environment(), check=True, capture_output=True
    )
    (leak,) = json.loads((suite.folder / "leaks.json").read_text())["leaks"]
    assert (leak["opened_at"]["file"], leak["opened_at"]["line"]) == ("test_a.py", 5)
    assert "run.py" not in [frame["file"] for frame in leak["stack"]]


def test_what_the_socket_module_does_between_is_in_the_stack(ledger, test_owner, places):
    with socket.create_server(("127.0.0.1", 0)):
        line = line_here() - 1
        ledger.checkpoint()
        ledger.end(test_owner)
        (record,) = ledger.suspects()
    between, opened = record.call_site.stack(places)[:2]
    assert (os.path.basename(between.file), between.function) == ("socket.py", "create_server")
    assert (opened.file, opened.line) == (THIS, line)
