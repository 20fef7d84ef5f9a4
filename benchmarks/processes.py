"""A server process by pytest-sockets, mirakuru, pytest-xprocess and plain subprocess: what each costs and what it tells.

    python benchmarks/processes.py              # a minute; prints the table of docs/explanation/server-processes.md
    python benchmarks/processes.py --rounds 9

Needs mirakuru and pytest-xprocess. Each tool gets the same task, written as its own documentation does it: start a server
that listens on a free port, wait until it is ready, stop it. Measured are

* the lines of that code;
* the seconds until a server that dies at once is reported, and whether the report shows its last line;
* the connections that the server accepts while it is waited for: it listens after half a second;
* the processes that are left one second after SIGKILL of pytest.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVER = """
import os, socket, sys, threading, time
if sys.argv[2:] == ["die"]:
    open("died", "w").write(str(time.monotonic()))
    sys.exit("FATAL: no configuration")
if sys.argv[2:] == ["child"]:
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("pids", "a").write(f"{child.pid} ")
time.sleep(0.5)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open("pids", "a").write(f"{os.getpid()} ")
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    open("accepted", "a").write("x")
    connection.close()
"""

TOOLS = {
    "pytest-sockets": """
import sys
import pytest

@pytest.fixture
def server(server_process_factory):
    return server_process_factory([sys.executable, "server.py", "{port}", "MODE"])
""",
    "mirakuru": """
import sys
import pytest
from mirakuru import TCPExecutor

@pytest.fixture
def server(free_tcp_port):
    command = [sys.executable, "server.py", str(free_tcp_port), "MODE"]
    with TCPExecutor(command, "127.0.0.1", free_tcp_port, timeout=15) as executor:
        yield executor
""",
    "pytest-xprocess": """
import sys
import pytest
from xprocess import ProcessStarter

@pytest.fixture
def server(xprocess, free_tcp_port):
    class Starter(ProcessStarter):
        pattern = "ready"
        timeout = 15
        args = [sys.executable, "-u", "FOLDER/server.py", str(free_tcp_port), "MODE"]
        popen_kwargs = {"cwd": "FOLDER"}
        terminate_on_interrupt = True
    xprocess.ensure("server", Starter)
    yield
    xprocess.getinfo("server").terminate()
""",
    "subprocess": """
import socket
import subprocess
import sys
import time
import pytest

@pytest.fixture
def server(free_tcp_port):
    command = [sys.executable, "server.py", str(free_tcp_port), "MODE"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(150):
            try:
                socket.create_connection(("127.0.0.1", free_tcp_port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        else:
            pytest.fail("the server did not start")
        yield process
    finally:
        process.terminate()
        process.wait()
""",
}
PLUGINS = {
    "pytest-sockets": ["-p", "pytest_sockets.plugin"],
    "mirakuru": ["-p", "anyio"],
    "pytest-xprocess": ["-p", "anyio", "-p", "xprocess.pytest_xprocess"],
    "subprocess": ["-p", "anyio"],
}
CONFTEST = """
import time
def pytest_runtest_logreport(report):
    if report.failed:
        open("reported", "w").write(str(time.monotonic()))
"""
TEST = """
def test_it(server):
    import pathlib, time
    pathlib.Path("running").touch()
    time.sleep(WAIT)
"""


def suite(tool: str, folder: Path, mode: str, wait: float) -> list[str]:
    """Write the files; returns the command."""
    (folder / "server.py").write_text(SERVER)
    (folder / "conftest.py").write_text(CONFTEST)
    text = TOOLS[tool].replace('"MODE"', f'"{mode}"').replace("FOLDER", str(folder))
    (folder / "test_it.py").write_text(text + TEST.replace("WAIT", str(wait)))
    return [sys.executable, "-m", "pytest", "-q", *PLUGINS[tool], "test_it.py"]


def environment() -> dict[str, str]:
    """Only the plugins that are named; without the variables of a surrounding run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    project = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")]))
    return kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path}


def until_death_is_told(tool: str) -> tuple[float, bool]:
    """Seconds from the server's last line of code to pytest's report, and whether its last line of output is shown."""
    with tempfile.TemporaryDirectory() as name:
        command = suite(tool, Path(name), "die", 0)
        done = subprocess.run(
            command, cwd=name, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done.stdout + done.stderr
        died, reported = (float(Path(name, what).read_text()) for what in ("died", "reported"))
        return reported - died, "FATAL: no configuration" in done.stdout


def connections_while_waiting(tool: str) -> int:
    """How many connections the server accepted in a run whose test makes none."""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            suite(tool, Path(name), "serve", 0.5),
            cwd=name,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        accepted = Path(name, "accepted")
        return len(accepted.read_text()) if accepted.exists() else 0


def left_after_kill(tool: str) -> tuple[int, int]:
    """Of the server and its child: how many run one second after SIGKILL of pytest, and of how many."""
    with tempfile.TemporaryDirectory() as name:
        process = subprocess.Popen(
            suite(tool, Path(name), "child", 600), cwd=name, env=environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not Path(name, "running").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert Path(name, "running").exists()
        pids = [int(word) for word in Path(name, "pids").read_text().split()]
        process.kill()
        process.wait()
        time.sleep(1)
        left = [pid for pid in pids if is_alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return len(left), len(pids)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def lines_of(tool: str) -> int:
    """Lines of code, without blank ones."""
    return sum(1 for line in TOOLS[tool].splitlines() if line.strip())


def main() -> None:
    """Measure and print a table in markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"Linux, Python {sys.version.split()[0]}; seconds are the median of {rounds}\n")
    print(
        "| | lines | seconds until a death is reported | reason shown | connections made | left after SIGKILL |"
    )
    print("|---|---|---|---|---|---|")
    for tool in TOOLS:
        deaths = [until_death_is_told(tool) for _ in range(rounds)]
        seconds = statistics.median(second for second, _ in deaths)
        shown = "yes" if all(told for _, told in deaths) else "no"
        made = connections_while_waiting(tool)
        left, of = left_after_kill(tool)
        print(
            f"| {tool} | {lines_of(tool)} | {seconds:.2f} | {shown} | {made} | {left} of {of} |", flush=True
        )


if __name__ == "__main__":
    main()
