"""Take the screenshots of the HTML report: a suite of the job queue example with some leaks, on two workers, in Chromium."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SUITE = """
import random, socket, threading, time
import pytest
from leaky_service.jobq import Client, JobServer, Subscriber, Worker, metrics

dice = random.Random({seed})
KEPT = []

@pytest.fixture(scope="module")
def queue():
    server = JobServer()
    server.start()
    yield server
    {stop}

@pytest.fixture(scope="class")
def second_queue():
    server = JobServer()
    server.start()
    yield server
    server.stop()

@pytest.mark.parametrize("number", range({count}))
def test_{name}(queue, number):
    clients = [Client(queue.server_address) for _ in range(dice.randrange(4))]
    time.sleep(dice.uniform(0.01, 0.16))
    for client in clients:
        client.close()
        time.sleep(dice.uniform(0, 0.03))

{leak}

class TestTwoQueues:
    @pytest.mark.parametrize("number", range({count} // 2))
    def test_jobs_move_over(self, queue, second_queue, number):
        with Client(queue.server_address), Client(second_queue.server_address):
            time.sleep(dice.uniform(0.01, 0.2))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            time.sleep(dice.uniform(0.01, 0.1))
"""
FILES = {
    "test_put": ("put_and_get", "server.stop()", "", 26),
    "test_subscribe": (
        "subscribe",
        "server.stop()",
        """
        def test_a_subscriber_hears_of_a_new_job(queue):
            KEPT.append(Subscriber(queue.server_address))
        """,
        22,
    ),
    "test_workers": (
        "work",
        "server.stop()",
        """
        def test_a_worker_tells_its_status():
            KEPT.append(Worker())

        def test_a_wrong_token_is_refused(queue):
            with pytest.raises(PermissionError):
                Client(queue.server_address, token="guess")

        def test_the_pool_reconnects(queue):
            KEPT.extend(Client(queue.server_address) for _ in range(3))
        """,
        20,
    ),
    "test_metrics": (
        "count",
        "pass",
        """
        def test_a_count_does_not_wait():
            metrics.count("jobs.done")
        """,
        24,
    ),
}


def take_pictures(folder: Path) -> None:
    """Write report-light.png, report-dark.png and run-light.png (the timeline alone) into `folder`."""
    browser_module = _browser_module()
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "jobs"
        project.mkdir()
        report = _run_suite(project)
        with browser_module.chromium(Path(name) / "profile") as browser:
            for scheme in ("light", "dark"):
                browser.open(report, scheme=scheme, width=1400, height=900)
                browser.run("return new Promise(done => setTimeout(done, 300))")
                browser.screenshot(folder / f"report-{scheme}.png")
                if scheme == "light":
                    browser.screenshot(folder / "run-light.png", until="#leaks")


def _run_suite(folder: Path) -> Path:
    for seed, (name, (test, stop, leak, count)) in enumerate(FILES.items()):
        text = SUITE.format(seed=seed, name=test, stop=stop, leak=textwrap.dedent(leak), count=count)
        (folder / f"{name}.py").write_text(text)
    shutil.copytree(
        DOCS / "examples" / "leaky_service", folder / "leaky_service", ignore=shutil.ignore_patterns("*test*")
    )
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    report = folder / "sockets.html"
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "sockets",
        "-p",
        "xdist",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-q",
    ]
    command += ["--sockets-unclosed=warn", f"--sockets-report={report.name}", "-W", "ignore"]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=120)
    return report


def _browser_module():
    spec = importlib.util.spec_from_file_location("browser", DOCS.parent / "tests" / "reports" / "browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
