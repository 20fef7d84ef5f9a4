"""What a question to the socket table costs: `port in sockets.listening` against psutil, with 0 and 10,000 foreign sockets,
how late a new listener is noticed, and what "address already in use" costs a phase that passes.

    python benchmarks/table.py [--foreign 10000]

Ours and psutil's are measured in turns, so that a noisy machine hits both; medians are printed, ratios of medians too.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import threading
import time
import timeit
import types
from typing import TYPE_CHECKING

import psutil

from pytest_sockets.asserting.waits import wait_listening
from pytest_sockets.plugin.address_in_use import pytest_runtest_makereport
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from collections.abc import Callable

FOREIGN = """
import resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30_000), hard))
server = socket.create_server(("127.0.0.1", 0), backlog=1000)
held = []
for _ in range(int(sys.argv[1]) // 2):
    held.append(socket.create_connection(server.getsockname()))
    held.append(server.accept()[0])
print("ready", flush=True)
sys.stdin.read()
"""


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def ask_psutil(port: int) -> bool:
    return any(
        one.laddr and one.laddr.port == port and one.status == "LISTEN"
        for one in psutil.net_connections("inet")
    )


def questions(title: str, port: int, closed: int) -> None:
    ours, missing, theirs = [], [], []
    for _ in range(15):
        ours += [seconds(lambda: port in reader().listening()) for _ in range(40)]
        missing += [seconds(lambda: closed not in reader().listening()) for _ in range(40)]
        theirs.append(seconds(lambda: ask_psutil(port)))
    hit, miss, other = (statistics.median(values) for values in (ours, missing, theirs))
    print(
        f"{title:<28} listening {hit * 1e6:7.1f} us (best {min(ours) * 1e6:5.1f})   not listening {miss * 1e6:7.1f} us   "
        f"psutil {other * 1e3:7.1f} ms   psutil / ours {other / hit:7.0f}"
    )


def notice(port: int, rounds: int = 60) -> None:
    late = []
    for number in range(rounds):
        opened: list[float] = []
        made: list[socket.socket] = []

        def listen(delay: float = 0.01 + number / 1000, made=made, opened=opened) -> None:
            time.sleep(delay)
            made.append(socket.create_server(("127.0.0.1", port)))
            opened.append(time.perf_counter())

        thread = threading.Thread(target=listen)
        thread.start()
        wait_listening(port)
        noticed = time.perf_counter()
        thread.join()
        late.append(max(0.0, noticed - opened[0]))
        made[0].close()
    print(
        f"{'a new listener is noticed':<28} median {statistics.median(late) * 1e3:.2f} ms, worst {max(late) * 1e3:.2f} ms"
    )


def passing_phase() -> None:
    item, call = object(), types.SimpleNamespace(excinfo=None)
    best = (
        min(timeit.repeat(lambda: pytest_runtest_makereport(item, call), number=100_000, repeat=5)) / 100_000
    )
    print(f"{'makereport of a passing phase':<28} {best * 1e9:.0f} ns (without pluggy's call)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--foreign", type=int, default=10_000)
    wanted = parser.parse_args().foreign
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        closed = bound.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        print(
            f"{sys.version.split()[0]}, {len(reader().listening())} listeners, {len(reader().system())} sockets on this host"
        )
        questions("as it is", port, closed)
        command = [sys.executable, "-c", FOREIGN, str(wanted)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as foreign:
            assert foreign.stdout
            foreign.stdout.readline()
            questions(f"{wanted} foreign sockets more", port, closed)
            notice(closed)
            foreign.kill()
    passing_phase()


if __name__ == "__main__":
    main()
