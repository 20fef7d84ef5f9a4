"""Runs to make reports of, and a real browser to look at them."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from pytest_sockets.leaks.findings import Finding, Frame
from pytest_sockets.model import Endpoint, SocketEntry
from pytest_sockets.reports.run import Run, SocketLife, TestSpan

EPOCH = 1_790_000_000.0


def make_finding(
    *,
    owner="tests/test_api.py::test_upload",
    owner_kind="test",
    scope="function",
    nodeid=None,
    kind="open",
    local=("127.0.0.1", 40001),
    remote=None,
    status="LISTEN",
    place=("tests/test_api.py", 41, "test_upload"),
    process=None,
    worker=None,
    protocol="tcp",
    **more,
):
    """A finding like the ledger's, with every field open to change."""
    frame = Frame(*place) if place else None
    return Finding(
        kind=kind,
        nodeid=nodeid or owner,
        owner_kind=owner_kind,
        owner_name=owner,
        owner_scope=scope,
        phase=more.pop("phase", "call"),
        socket=SocketEntry(
            protocol,
            "AF_INET",
            Endpoint(*local),
            Endpoint(*remote) if remote else None,
            status,
            9,
            12345,
            4242,
        ),
        process=process,
        opened_at=frame,
        stack=more.pop("stack", (frame,) if frame else ()),
        worker=worker,
        **more,
    )


def made_run(tests=120, sockets=160, leaks=7, workers=("gw0", "gw1"), seconds=14.0, seed=7):
    """A run with a plausible course: tests one after the other on each worker, sockets inside tests or fixtures."""
    dice = random.Random(seed)
    run = Run("0.1.0", "warn", tests_seen=tests, opened_sockets=sockets, opened_total=sockets)
    clocks = dict.fromkeys(workers, EPOCH)
    files = [
        f"tests/{name}" for name in ("test_api.py", "test_client.py", "test_pool.py", "unit/test_parser.py")
    ]
    for number in range(tests):
        worker = min(clocks, key=clocks.get)
        length = dice.expovariate(tests / seconds / len(workers)) * 0.8 + 0.0004
        outcome = dice.choices(("passed", "failed", "skipped"), (95, 2, 3))[0]
        nodeid = f"{files[number * len(files) // tests]}::test_case_{number}[{dice.choice(('tcp', 'udp', 'http'))}]"
        run.tests.append(TestSpan(nodeid, clocks[worker], clocks[worker] + length, outcome, worker))
        clocks[worker] += length
    end = max(clocks.values())
    leaking = set(dice.sample(range(sockets), leaks))
    names = ("server", "redis_client", "event_bus")
    for number in range(sockets):
        test = dice.choice(run.tests)
        opened = dice.uniform(test.start, test.stop)
        protocol = dice.choices(("tcp", "udp", "unix"), (7, 2, 1))[0]
        status = dice.choice(("LISTEN", "ESTABLISHED", "CLOSE_WAIT")) if protocol == "tcp" else "NONE"
        local = ("127.0.0.1", 40_000 + number)
        remote = ("127.0.0.1", 6379) if status in ("ESTABLISHED", "CLOSE_WAIT") else None
        file = test.nodeid.partition("::")[0]
        place = (file, 10 + number % 90, test.nodeid.split("::")[1].split("[")[0])
        owner, owner_kind, scope = test.nodeid, "test", "function"
        closed = min(end, opened + dice.expovariate(2 / (seconds / tests * len(workers))))
        if number % 9 == 0:
            owner, owner_kind, scope = dice.choice(names), "fixture", "module"
            place = (f"{file.rpartition('/')[0]}/conftest.py", 12 + names.index(owner) * 9, owner)
            closed = min(end, opened + dice.uniform(0.05, 0.3) * seconds)
        leak = None
        if number in leaking:
            leak = "unclosed" if dice.random() < 0.25 else "open"
            closed = None if leak == "open" else closed
            finding = make_finding(
                owner=owner, owner_kind=owner_kind, scope=scope, nodeid=test.nodeid, kind=leak, local=local,
                remote=remote, status=status, place=place, protocol=protocol, worker=test.worker,
                stack=(Frame(*place), Frame(file, 88, "start_everything"), Frame(file, 14, place[2])),
                held_by=(f"attribute 'sock' of a Client at {file}", "module tests.helpers, name CLIENTS"),
            )  # fmt: skip
            run.findings.append(finding)
        text = f"{protocol} {Endpoint(*local)}" + (f" -> {Endpoint(*remote)}" if remote else "")
        owner_words = run.findings[-1].owner if leak else f"{owner_kind} {owner}"
        frame = Frame(*place)
        run.lives.append(
            SocketLife(
                text,
                protocol,
                status,
                opened,
                closed,
                owner_words,
                frame,
                leak,
                test.worker,
                test.stop if leak else None,
            )
        )
    run.listening = [
        ("127.0.0.1:6379", "redis-server *:6379"),
        ("0.0.0.0:8080", "python -m http.server 8080"),
    ]
    return run


@pytest.fixture(scope="session")
def finding_factory():
    """`make_finding`."""
    return make_finding


@pytest.fixture(scope="session")
def run_factory():
    """`made_run`."""
    return made_run


class Browser:
    """A headless Chromium through its WebDriver: just enough to open a file, look at it and hear it complain."""

    def __init__(self, url, profile):
        self._url = url
        options = {
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={profile}",
            ]
        }  # fmt: skip
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._session = ""
        answer = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    def _post(self, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}{self._session}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def command(self, name, **parameters):
        """One command of the DevTools protocol."""
        return self._post("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, path, *, scheme="light", width=1400, height=1000):
        """Show the file as a person with that colour scheme would see it."""
        self.command(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._logs("browser"), self._logs("performance")
        self._post("/url", {"url": Path(path).as_uri()})

    def run(self, script):
        """The value of a function body in the page."""
        return self._post("/execute/sync", {"script": script, "args": []})

    def _logs(self, kind):
        return self._post("/se/log", {"type": kind})

    def complaints(self):
        """Every message on the console since the page was opened."""
        return [entry["message"] for entry in self._logs("browser")]

    def requests(self):
        """Every address that was asked for since the page was opened, except for the page."""
        messages = [json.loads(entry["message"])["message"] for entry in self._logs("performance")]
        sent = [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("file:", "data:"))]

    def move(self, x, y, *, click=False):
        """The pointer, in pixels from the top left of the window."""
        actions = [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def screenshot(self, path, *, whole=True):
        """A picture of the whole page as PNG."""
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(picture["data"]))

    def quit(self):
        request = urllib.request.Request(f"{self._url}{self._session}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """The browser, or a skip that says which program is missing."""
    for program in ("chromedriver", "chromium"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian packages: chromium chromium-driver)")
    folder = tmp_path_factory.mktemp("browser")
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        port = next(
            found[1] for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line))
        )
        browser = Browser(f"http://127.0.0.1:{port}", folder / "profile")
        yield browser
        browser.quit()
    finally:
        driver.terminate()
        driver.wait(10)
        driver.stdout.close()
