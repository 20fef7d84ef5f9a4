"""A suite in a forked child of the fork server gives what it gives in a new process."""

from __future__ import annotations

import concurrent.futures
import os
import re
import socket
import sys
from pathlib import Path

import psutil
import pytest

from pytest_sockets.waiting import wait_until

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
sys.path.append(str(CORPUS))

from examiner.forking import AVAILABLE, ForkServer  # noqa: E402
from examiner.peers import peers  # noqa: E402
from examiner.running import Way, run  # noqa: E402
from examiner.scenario import all_scenarios, load  # noqa: E402

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs os.fork and pidfd_open")
SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
SAMPLE = list(SCENARIOS)[::40]


@pytest.fixture(scope="module")
def server():
    with ForkServer() as started:
        yield started


def told(done):
    """All of a run that does not name ports, descriptors, process ids or numbered temporary folders."""
    leaks = [
        (
            leak["kind"],
            leak["owner"],
            re.sub(r"(/pytest-of-[^/]+/pytest-)\d+/", r"\1N/", repr(leak["opened_at"])),
            leak["socket"]["protocol"],
            leak["socket"]["status"],
        )
        for leak in (done.report or {"leaks": []})["leaks"]
    ]
    return done.exit_code, done.outcomes, sorted(leaks, key=repr)


def compare_both_ways(name, server, tmp_path):
    scenario = SCENARIOS[name]
    if missing := scenario.missing():
        pytest.skip(f"needs {', '.join(missing)}")
    folders = [tmp_path / "forked", tmp_path / "new"]
    for folder in folders:
        folder.mkdir()
    with peers() as environment:
        new = run(scenario, folders[1], Way(), environment)
    forked = server.run(scenario, folders[0], Way())
    assert told(forked) == told(new), f"{forked.output}\n{new.output}"


@pytest.mark.parametrize("name", SAMPLE)
def test_both_ways_agree(name, server, tmp_path):
    compare_both_ways(name, server, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_ways_agree_on_the_whole_corpus(name, server, tmp_path):
    compare_both_ways(name, server, tmp_path)


SUITE = """
import os, socket, subprocess, sys, threading
KEPT = []

def test_is_alone():
    assert threading.active_count() == 1
    assert "pytest_sockets.leaks" in sys.modules  # this run's plugin
    assert sorted(map(int, os.listdir("/proc/self/fd")))[:3] == [0, 1, 2]

def test_is_its_own_session_and_group():
    assert os.getpid() == os.getsid(0) == os.getpgid(0)

def test_main_is_pytest():
    main = sys.modules["__main__"]
    assert main.__spec__.name == "pytest.__main__"
    assert sys.argv[0].endswith("__main__.py")

def test_leaves_a_child():
    KEPT.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
    with open("pid.txt", "w") as file:
        file.write(str(KEPT[0].pid))
"""


def write(folder, text):
    (folder / "topic").mkdir()
    path = folder / "topic" / "made_clean.py"
    path.write_text(text)
    place = folder / "suite"
    place.mkdir()
    return load(path), place


def test_a_forked_suite_looks_like_a_new_process_and_its_children_are_killed(server, tmp_path):
    scenario, folder = write(tmp_path, SUITE)
    done = server.run(scenario, folder, Way())
    assert (done.exit_code, done.outcomes) == (0, {"passed": 4}), done.output
    pid = int((folder / "pid.txt").read_text())
    assert psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)[1] == []


WAITS = """
import os, time

def test_waits():
    open("began", "w").close()
    deadline = time.monotonic() + 30
    while not os.path.exists("go"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


def test_a_slow_suite_does_not_hold_up_the_result_of_another(server, tmp_path):
    for name in ("slow", "fast"):
        (tmp_path / name).mkdir()
    slow, slow_folder = write(tmp_path / "slow", WAITS)
    fast, fast_folder = write(tmp_path / "fast", "def test_passes(): pass\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.run, slow, slow_folder, Way())
        assert wait_until((slow_folder / "began").exists, 30)
        assert server.run(fast, fast_folder, Way()).exit_code == 0
        (slow_folder / "go").touch()
        assert waiting.result().exit_code == 0, waiting.result().output


def test_a_suite_that_kills_its_process_is_reported(server, tmp_path):
    scenario, folder = write(
        tmp_path, "import os, signal\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert server.run(scenario, folder, Way()).exit_code == -9


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_suite_may_bind_a_port_that_is_taken_outside(server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        text = f"import socket\ndef test_binds():\n    socket.create_server({address}).close()\n"
        scenario, folder = write(tmp_path, text)
        done = server.run(scenario, folder, Way())
        assert done.exit_code == 0, done.output
        assert run(scenario, folder, Way(), {}).exit_code == 1
