"""Free ports under load: how often the port is taken when the server binds it, how often it is given twice, and how fast.

    python benchmarks/ports.py                                # all ways, 8 processes, 2,000 servers each way and kind
    python benchmarks/ports.py --servers 10000 --noise 2 --ways pytest-sockets anyio
    python benchmarks/ports.py --kinds plain reuse closes-first
    python benchmarks/ports.py --kinds                        # only how fast
    python benchmarks/ports.py --check                        # exits 1 if a goal is missed by more than 20 %

Each process: get a port, wait 0-20 ms as a fixture and a server's start do, bind and listen, close, give the port back.
Beside them processes take ports by bind(0) and connect() as fast as they can. Kinds: `plain` servers do not set
SO_REUSEADDR, `reuse` ones do, `closes-first` is plain and closes a connection before its client does (TIME_WAIT).
EADDRINUSE and "given twice" (to a second live holder) are per 10,000. Allocations/s: one process without load, best of
interleaved rounds, giving back not counted; pytest-sockets and portpicker look at TCP and UDP, the others at TCP only.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import json
import os
import random
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import results
from results import PROJECT, Goal, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Way = tuple[Callable[[], int], Callable[[int], Any]]

NOISE = PROJECT / "tests" / "ports" / "noise.py"
KINDS = ("plain", "reuse", "closes-first")
BATCH = 400


def nothing(port: int) -> None:
    """Most allocators have no way to give a port back."""


def ours(protocol: str) -> Way:
    """The pool behind `free_port` ("both") and `unused_tcp_port` ("tcp")."""
    from pytest_sockets.ports.pool import PortPool
    from pytest_sockets.ports.ranges import default_ranges, read_kernel

    pool = PortPool(default_ranges(read_kernel()))
    return lambda: pool.reserve(protocol).port, pool.release


def pytest_asyncio() -> Way:
    """What the loop in its `unused_tcp_port_factory` does."""
    from pytest_asyncio.plugin import _unused_port

    produced: set[int] = set()

    def factory() -> int:
        port = _unused_port(socket.SOCK_STREAM)
        while port in produced:
            port = _unused_port(socket.SOCK_STREAM)
        produced.add(port)
        return port

    return factory, nothing


def anyio() -> Way:
    """`free_tcp_port_factory`."""
    from anyio.pytest_plugin import FreePortFactory

    return FreePortFactory(socket.SOCK_STREAM), nothing


def portpicker() -> Way:
    """Without a server: bind(0), TCP and UDP."""
    import portpicker as picker

    return picker.pick_unused_port, picker.return_port


def reserve() -> Way:
    """ephemeral-port-reserve: a port in TIME_WAIT, which only servers with SO_REUSEADDR can bind."""
    from ephemeral_port_reserve import reserve as reserve_port

    return reserve_port, nothing


OURS = "pytest-sockets"
WAYS: dict[str, Callable[[], Way]] = {
    OURS: lambda: ours("both"),
    "pytest-sockets, TCP": lambda: ours("tcp"),
    "pytest-asyncio": pytest_asyncio,
    "anyio": anyio,
    "portpicker": portpicker,
    "portpicker + portserver": portpicker,
    "ephemeral-port-reserve": reserve,
}


def serve(port: int, kind: str) -> None:
    """One short life of a server."""
    with socket.socket() as server:
        if kind == "reuse":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        if kind == "closes-first":
            with socket.create_connection(("127.0.0.1", port)) as client:
                server.accept()[0].close()
                client.recv(1)


def work(way: str, kind: str, servers: int, folder: str) -> dict[str, int]:
    """One process of the stress."""
    get, give_back = WAYS[way]()
    chance, counts = random.Random(), {"in use": 0, "twice": 0}
    for _ in range(servers):
        port = get()
        with open(f"{folder}/{port}", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                counts["twice"] += 1
            time.sleep(chance.random() * 0.02)
            try:
                serve(port, kind)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                counts["in use"] += 1
        give_back(port)
    return counts


class Load(NamedTuple):
    """How many servers are started for each way and kind, by how many processes, beside how many that take ports."""

    servers: int = 2000
    processes: int = 8
    noise: int = 1


class Mishaps(NamedTuple):
    """Per 10,000."""

    in_use: float
    twice: float


def stress(way: str, kind: str, load: Load) -> Mishaps:
    """Every process at once."""
    each = load.servers // load.processes
    with tempfile.TemporaryDirectory() as folder, noise(load.noise):
        command = [sys.executable, "-W", "ignore", __file__, "--work", way, kind, str(each), folder]
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(load.processes)]
        counts = [json.loads(worker.communicate()[0]) for worker in workers]
    per = 10_000 / (each * load.processes)
    return Mishaps(*(sum(count[word] for count in counts) * per for word in ("in use", "twice")))


@contextlib.contextmanager
def noise(processes: int) -> Iterator[None]:
    """bind(0) and connect() of others."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    noises = [
        subprocess.Popen([sys.executable, "-W", "ignore", str(NOISE)], **pipes) for _ in range(processes)
    ]
    for one in noises:
        one.stdout.readline()
    yield
    for one in noises:
        one.communicate(b"\n")


@contextlib.contextmanager
def port_server() -> Iterator[None]:
    """portpicker's own, for its usual 10,000 ports."""
    script = Path(sysconfig.get_path("scripts")) / "portserver.py"
    address = f"@pytest-sockets-benchmark-{os.getpid()}"
    command = [sys.executable, "-W", "ignore", str(script), "--portserver_address", address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex("\0" + address[1:]) == 0:
                    break
            time.sleep(0.05)
        os.environ["PORTSERVER_ADDRESS"] = address
        try:
            yield
        finally:
            del os.environ["PORTSERVER_ADDRESS"]
            server.terminate()


def surroundings(way: str) -> contextlib.AbstractContextManager[None]:
    """What a way needs to be there."""
    return port_server() if way == "portpicker + portserver" else contextlib.nullcontext()


def allocations(ways: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Ports a second for each way in each of the interleaved rounds, giving back not counted."""
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    gets = {way: WAYS[way]() for way in ways}
    for _ in range(rounds):
        for way, (get, give_back) in gets.items():
            with surroundings(way):
                start = time.perf_counter()
                ports = [get() for _ in range(BATCH)]
                speeds[way].append(BATCH / (time.perf_counter() - start))
            if way.startswith(OURS):  # portpicker would only hand out again what it is given back
                for port in ports:
                    give_back(port)
    return speeds


def measure(
    ways: Sequence[str] = tuple(WAYS),
    kinds: Sequence[str] = KINDS[:2],
    servers: int = Load().servers,
    processes: int = Load().processes,
    noise: int = Load().noise,
    rounds: int = 9,
) -> Iterator[Result]:
    """How fast, then how safe; each row is ours beside one other way."""
    yield from speed_rows(ways, rounds)
    for kind in kinds:
        yield from stress_rows(ways, kind, Load(servers, processes, noise))


def speed_rows(ways: Sequence[str], rounds: int) -> Iterator[Result]:
    """Allocations a second."""
    speeds = allocations([OURS, *(way for way in ways if way != OURS)], rounds)
    mine = speeds.pop(OURS)
    yield Result("free ports a second", max(mine), "/s", goal=Goal("at least", 40_000, of="ours"))
    for way, theirs in speeds.items():
        ratios = tuple(one / other for one, other in zip(mine, theirs, strict=True))
        yield Result("free ports a second", max(mine), "/s", max(theirs), way, ratios)


def stress_rows(ways: Sequence[str], kind: str, load: Load) -> Iterator[Result]:
    """EADDRINUSE and ports given twice."""
    in_use, twice = f"EADDRINUSE, {kind} servers", f"given twice, {kind} servers"
    mine = stress(OURS, kind, load)
    never = Goal("at most", 0, of="ours")
    yield Result(in_use, mine.in_use, "per 10,000", goal=never)
    yield Result(twice, mine.twice, "per 10,000", goal=never)
    for way in ways:
        if way != OURS:
            with surroundings(way):
                theirs = stress(way, kind, load)
            yield Result(in_use, mine.in_use, "per 10,000", theirs.in_use, way)
            yield Result(twice, mine.twice, "per 10,000", theirs.twice, way)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=["plain", "reuse"])
    parser.add_argument("--servers", type=int, default=2000, help="for each way and kind (default: 2000)")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--noise", type=int, default=1, help="processes that take ports (default: 1)")
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--work", nargs=4, metavar=("WAY", "KIND", "SERVERS", "FOLDER"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.work:
        way, kind, servers, folder = options.work
        print(json.dumps(work(way, kind, int(servers), folder)))
        return
    shown = results.show(
        measure(options.ways, options.kinds, options.servers, options.processes, options.noise)
    )
    if options.check:
        results.check(shown)


if __name__ == "__main__":
    main()
