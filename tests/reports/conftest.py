"""Runs for reports, and a real browser to look at them."""

from __future__ import annotations

import random
import runpy
import shutil
from pathlib import Path

import pytest

from pytest_sockets.leaks.findings import Finding, Frame
from pytest_sockets.model import Endpoint, SocketEntry
from pytest_sockets.reports.run import Run
from pytest_sockets.reports.spans import SocketLife, TestSpan

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
    """Return a finding like those of the registry, with every field open to change."""
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
    """Return a plausible run: tests one after the other on each worker, sockets inside tests or fixtures."""
    dice = random.Random(seed)
    run = Run("0.1.0", tests_seen=tests, opened_sockets=sockets, opened_total=sockets)
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
    """The function `make_finding`."""
    return make_finding


@pytest.fixture(scope="session")
def run_factory():
    """The function `made_run`."""
    return made_run


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """The browser, or a skip that names the missing program."""
    for program in ("chromedriver", "chromium"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian packages: chromium chromium-driver)")
    chromium = runpy.run_path(str(Path(__file__).with_name("browser.py")))["chromium"]
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser
