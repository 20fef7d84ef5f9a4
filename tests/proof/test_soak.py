"""A hundred thousand tests that open and close sockets leave the plugin as small as it began."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.slow]

# Items that are made while they are run, so that pytest's own list of items does not grow and hide ours.
CONFTEST = """
    import gc, json, os, pathlib, socket, tracemalloc
    import pytest
    from _pytest.runner import runtestprotocol
    COUNT, LOOKS = {count}, 10
    class Item(pytest.Item):
        def runtest(self):
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(server.getsockname()):
                    server.accept()[0].close()
    class File(pytest.File):
        def collect(self): yield Item.from_parent(self, name="it")
    def pytest_collect_file(file_path, parent):
        if file_path.suffix == ".soak": return File.from_parent(parent, path=file_path)
    def ours():
        gc.collect()
        only = tracemalloc.Filter(True, "*/pytest_sockets/*")
        return sum(stat.size for stat in tracemalloc.take_snapshot().filter_traces([only]).statistics("filename"))
    def pytest_runtestloop(session):
        (item,) = session.items
        seen = []
        tracemalloc.start()
        for number in range(COUNT):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            reports = runtestprotocol(item, log=False, nextitem=item)
            assert all(report.passed for report in reports)
            for report in reports: {take}
            if (number + 1) % (COUNT // LOOKS) == 0: seen.append([ours(), len(os.listdir("/proc/self/fd"))])
        pathlib.Path("seen.json").write_text(json.dumps(seen))
        return True
"""
TAKE = (
    "session.config.pluginmanager.get_plugin('sockets-report-attachments').pytest_runtest_logreport(report)"
)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "arguments", [(), ("--sockets-unclosed=error", "-p", "no:unraisableexception")], ids=["leaks", "unclosed"]
)
def test_memory_and_descriptors_stay_flat(suite, arguments):
    count = 100_000 if not arguments else 10_000
    suite.write(conftest=CONFTEST.format(count=count, take=TAKE), a__dot__soak="")
    done = suite.run("--sockets-leaks=error", *arguments, timeout=900)
    assert done.exit_code == 0, done.text
    assert done.leaks == []
    assert done.report["tests"] == {"seen": count, "opened_sockets": count, "leaking": 0}
    seen = json.loads((suite.folder / "seen.json").read_text())
    memory, descriptors = zip(*seen, strict=True)
    print(f"{count} tests: bytes of the plugin {memory}, descriptors {descriptors}")
    assert len(set(descriptors)) == 1, descriptors
    # The books are cleared every thousand sockets, at 600 bytes each; the rest must not grow with the tests.
    assert max(memory[1:]) - memory[0] < 1_500_000, memory
    assert memory[-1] < 3_000_000, memory


@pytest.mark.timeout(0)
def test_the_same_look_sees_a_leak_grow(suite):
    """The twin: what does leak fills descriptors, and the look tells."""
    leaky = CONFTEST.replace("server.accept()[0].close()", "KEPT.append(server.accept()[0])").replace(
        "COUNT, LOOKS", "KEPT = []\n    COUNT, LOOKS"
    )
    suite.write(conftest=leaky.format(count=100, take=TAKE), a__dot__soak="")
    suite.run("--sockets-leaks=warn", timeout=120)
    seen = json.loads((suite.folder / "seen.json").read_text())
    assert seen[-1][1] - seen[0][1] == 90
