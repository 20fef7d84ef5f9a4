"""A suite of random hostile tests, run with and without the plugin.

`python tests/proof/hostile_soak.py --minutes 30 --seed 1`. Each test performs one action of `SUITE`, chosen by the seed:
signals, timeouts, closed descriptors, forks, monkeypatching, garbage, lack of memory, leaks. The outcomes must equal those
of a run without the plugin. Memory and descriptors of the run with the plugin must stay flat. The exit status is 1 if they
do not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

SUITE = '''
import asyncio, contextlib, ctypes, gc, os, resource, signal, socket, subprocess, sys, threading, time, warnings, weakref
from pathlib import Path
import pytest

PLAN = {plan!r}
LOG = Path({log!r})
KEPT = []  # leaks of a test, closed by a later one, so that the number of descriptors has a bound


# A shell starts programs in its background with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


class FromOutside(BaseException):
    """What a timeout plugin raises."""


def churn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        socket.socket().close()


def alarm(error):
    def handler(*_):
        raise error("from a signal handler")

    old = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(error):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            churn(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def alarm_exception(monkeypatch): alarm(TimeoutError)
def alarm_base_exception(monkeypatch): alarm(FromOutside)
def alarm_memory_error(monkeypatch): alarm(MemoryError)


def interrupt(monkeypatch):
    timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        churn(5)
    timer.join()


def clean(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def leak(monkeypatch): KEPT.append(socket.create_server(("127.0.0.1", 0)))
def leak_udp(monkeypatch): KEPT.append(socket.socket(type=socket.SOCK_DGRAM))


def leak_detached(monkeypatch):
    fd = socket.create_server(("127.0.0.1", 0)).detach()
    KEPT.append(contextlib.ExitStack())
    KEPT[-1].callback(os.close, fd)


def close_kept(monkeypatch):
    while KEPT:
        KEPT.pop().close()


def fails_with_a_socket(monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    KEPT.append(server)
    assert server is None


def raises_base_exception(monkeypatch):
    server = socket.socket()
    raise FromOutside


def garbage(monkeypatch):
    for _ in range(20):
        cycle = [socket.socket()]
        cycle.append(cycle)


def collect(monkeypatch): gc.collect()


def no_collector(monkeypatch):
    gc.disable()
    try:
        garbage(monkeypatch)
    finally:
        gc.enable()


def finalizer_raises(monkeypatch):
    class Bad:
        def __del__(self):
            raise RuntimeError("in a finalizer")

    cycle = [Bad(), socket.socket()]
    cycle.append(cycle)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del cycle
        gc.collect()


def fork(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if not pid:
        try:
            socket.socket()
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def fork_that_leaks(monkeypatch):
    KEPT.append(socket.create_server(("127.0.0.1", 0)))
    fork(monkeypatch)


def child(monkeypatch): subprocess.run([sys.executable, "-S", "-c", "import socket; socket.socket()"], check=True)


def threads(monkeypatch):
    running = [threading.Thread(target=churn, args=(0.01,)) for _ in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def threads_leak(monkeypatch):
    opened = []
    running = [threading.Thread(target=lambda: opened.append(socket.socket())) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    KEPT.extend(opened)


def late_closer(monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    timer = threading.Timer(0.03, server.close)
    timer.daemon = True
    timer.start()


def event_loop(monkeypatch):
    async def main():
        async def serve(reader, writer):
            writer.write(await reader.read(1))
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def broken(*_, **__): raise RuntimeError("patched by a test")
def patched_listdir(monkeypatch): monkeypatch.setattr(os, "listdir", broken)
def patched_fstat(monkeypatch): monkeypatch.setattr(os, "fstat", broken)
def patched_clock(monkeypatch): monkeypatch.setattr(time, "monotonic", broken)
def patched_collect(monkeypatch): monkeypatch.setattr(gc, "collect", broken)
def patched_warnings(monkeypatch): monkeypatch.setattr(warnings, "warn_explicit", broken)


def patched_socket(monkeypatch):
    class Fake:
        def __init__(self, *_, **__): pass

    monkeypatch.setattr(socket, "socket", Fake)
    socket.socket()


def double_close(monkeypatch):
    sock = socket.socket()
    fd = sock.fileno()
    os.close(fd)
    with pytest.raises(OSError):
        sock.close()


def close_range(monkeypatch):
    sockets = [socket.socket() for _ in range(4)]
    moved = [os.dup2(sock.fileno(), 600 + number) for number, sock in enumerate(sockets)]
    os.closerange(min(moved), max(moved) + 1)
    for sock in sockets:
        sock.close()


def closed_by_number(monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    os.closerange(server.fileno(), server.fileno() + 1)
    server.detach()


def closes_netlink_of_others(monkeypatch):
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{{name}}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(name))) as sock:
                    if sock.family == socket.AF_NETLINK:
                        os.close(int(name))


def replaced_descriptor(monkeypatch):
    first, second = socket.socketpair()
    os.dup2(second.fileno(), first.fileno())
    first.close()
    second.close()


def no_memory(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, hard))
    try:
        with pytest.raises(MemoryError), socket.socket():
            bytearray(2**28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def no_descriptors(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
    held = []
    try:
        with pytest.raises(OSError):
            while True:
                held.append(socket.socket())
    finally:
        for sock in held:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hostile_proxy(monkeypatch):
    class Proxy:
        @property
        def __class__(self): raise RuntimeError("outside of its context")
        def __eq__(self, other): raise RuntimeError("compared")
        __hash__ = None

    KEPT.append(contextlib.ExitStack())
    KEPT[-1].proxy = Proxy()


def trace(monkeypatch):
    sys.settrace(lambda *_: None)
    try:
        clean(monkeypatch)
    finally:
        sys.settrace(None)


def profile(monkeypatch):
    sys.setprofile(lambda *_: None)
    try:
        clean(monkeypatch)
    finally:
        sys.setprofile(None)


def failing_trace(monkeypatch):
    def fails(frame, event, argument):
        if frame.f_code.co_name == "create_server":
            raise FromOutside

    sys.settrace(fails)
    try:
        with pytest.raises(FromOutside):
            clean(monkeypatch)
    finally:
        sys.settrace(None)


def monitoring(monkeypatch):
    if sys.version_info < (3, 12):
        return
    sys.monitoring.use_tool_id(3, "mine")
    sys.monitoring.free_tool_id(3)


def removed_folder(monkeypatch, ):
    before = os.getcwd()
    folder = os.path.join(before, f"gone{{os.getpid()}}")
    os.mkdir(folder)
    os.chdir(folder)
    os.rmdir(folder)
    try:
        clean(monkeypatch)
    finally:
        os.chdir(before)


def recursion(monkeypatch):
    def deeper():
        with socket.socket():
            deeper()

    with pytest.raises((RecursionError, OSError)):
        deeper()


def strict_warnings(monkeypatch):
    gc.collect()  # garbage of earlier tests must not depend on when the collector runs
    warnings.simplefilter("error")
    clean(monkeypatch)


@pytest.fixture(scope="module")
def shared():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(autouse=True)
def measured(request):
    yield
    number = request.node.callspec.params["number"]
    if number % 50 == 0:
        gc.collect()  # the cycles that `garbage` has just made hold descriptors
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        with LOG.open("a") as log:
            log.write(f"{{number}} {{pages * 4}} {{len(os.listdir('/proc/self/fd')) - len(KEPT)}}\\n")


@pytest.mark.parametrize("number", range(len(PLAN)))
def test_hostile(number, shared, monkeypatch):
    globals()[PLAN[number]](monkeypatch)
'''

NOT_ACTIONS = {"alarm", "churn", "broken", "shared", "measured", "test_hostile"}


def actions() -> list[str]:
    """The names of the functions in the suite that a plan may call."""
    found = [line[4:].partition("(")[0] for line in SUITE.splitlines() if line.startswith("def ")]
    return [name for name in found if name not in NOT_ACTIONS]


def run(folder: Path, plan: list[str], *options: str) -> tuple[int, dict[str, str], list[list[int]]]:
    """The exit status, each test's outcome, and what was measured: number, memory in kB, descriptors."""
    log, results = folder / "measured.txt", folder / "results.xml"
    log.write_text("")
    (folder / "test_soak.py").write_text(SUITE.format(plan=plan, log=str(log)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--tb=no",
        "-W",
        "ignore",
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(PROJECT)}
    with (folder / "output.txt").open("w") as output:
        done = subprocess.run(
            [*command, "-r", "N", f"--junitxml={results}", *options, "test_soak.py"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    outcomes = {}
    if results.exists():
        import xml.etree.ElementTree as ElementTree

        for case in ElementTree.parse(results).getroot().iter("testcase"):
            outcomes[case.get("name", "")] = ",".join(
                sorted(child.tag for child in case if child.tag != "properties")
            )
    measured = [[int(word) for word in line.split()] for line in log.read_text().splitlines()]
    return done.returncode, outcomes, measured


def compare(plan: list[str]) -> list[str]:
    """What differed between the two runs of this plan."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        status, plain, _ = run(folder, plan)
        with_status, with_plugin, measured = run(
            folder, plan, "-p", "pytest_sockets.plugin", "--sockets-grace=0.05"
        )
        text = (folder / "output.txt").read_text()[-3000:]
    wrong = []
    if status != with_status:
        wrong.append(f"exit status {with_status}, without the plugin {status}\n{text}")
    for name, outcome in plain.items():
        if with_plugin.get(name) != outcome:
            action = plan[int(name.partition("[")[2][:-1])]
            wrong.append(f"{name} ({action}): {with_plugin.get(name)!r}, without the plugin {outcome!r}")
    if "INTERNALERROR" in text:
        wrong.append(text)
    tail = measured[len(measured) // 4 :]
    if len(tail) >= 4:
        (_, first, first_open), (_, last, last_open) = tail[0], tail[-1]
        print(f"memory {first} -> {last} kB, descriptors {first_open} -> {last_open}", flush=True)
        if last > first * 1.2 + 8000:
            wrong.append(f"memory grew from {first} to {last} kB")
        if last_open > first_open + 4:
            wrong.append(f"descriptors grew from {first_open} to {last_open}")
    return wrong


def main() -> int:
    """Rounds of random plans until the time is over."""
    import time

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--tests", type=int, default=1500, help="tests in one round")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    end, number, wrong = time.monotonic() + options.minutes * 60, 0, []
    while not number or time.monotonic() < end:
        seed = options.seed + number
        plan = random.Random(seed).choices(actions(), k=options.tests)
        found = compare(plan)
        print(
            json.dumps({"round": number, "seed": seed, "tests": len(plan), "differences": found}), flush=True
        )
        wrong += found
        number += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
