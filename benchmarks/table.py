"""What a question to the socket table costs: `port in sockets.listening` against psutil, with 0 and 10,000 foreign sockets,
and how late a new listener is noticed.

    python benchmarks/table.py [--foreign 10000] [--rounds 7] [--check]

Ours and psutil's are measured in turns, with and without the foreign sockets in turns too; medians are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import results
from results import Goal, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Closed by a reset, so that no round leaves TIME_WAIT to the next.
FOREIGN = """
import resource, socket, struct, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30_000), hard))
server = socket.create_server(("127.0.0.1", 0), backlog=1000)
held = []
for _ in range(int(sys.argv[1]) // 2):
    held.append(socket.create_connection(server.getsockname()))
    held.append(server.accept()[0])
for sock in held:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
print("ready", flush=True)
sys.stdin.read()
"""


class Questions(NamedTuple):
    """Seconds of one round, each a median."""

    listening: float
    function: float
    not_listening: float
    psutil: float


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def ask_psutil(port: int) -> bool:
    """As a test without this plugin asks."""
    import psutil

    return any(
        one.laddr and one.laddr.port == port and one.status == "LISTEN"
        for one in psutil.net_connections("inet")
    )


def ask(port: int, closed: int) -> Questions:
    """One round of questions, ours and psutil's in turns."""
    from pytest_sockets import assert_listening
    from pytest_sockets.table.readers import reader

    ours, function, missing, theirs = [], [], [], []
    for _ in range(5):
        ours += [seconds(lambda: port in reader().listening()) for _ in range(60)]
        function += [seconds(lambda: assert_listening(port)) for _ in range(60)]
        missing += [seconds(lambda: closed not in reader().listening()) for _ in range(20)]
        theirs.append(seconds(lambda: ask_psutil(port)))
    return Questions(*(statistics.median(values) for values in (ours, function, missing, theirs)))


@contextlib.contextmanager
def foreign_sockets(wanted: int) -> Iterator[None]:
    """Connections of another process."""
    command = [sys.executable, "-c", FOREIGN, str(wanted)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdout
        if crowd.stdout.readline() != "ready\n":
            raise SystemExit(f"no process with {wanted} sockets could be made: raise `ulimit -n`")
        try:
            yield
        finally:
            crowd.communicate()


def questions(foreign: int, rounds: int, port: int, closed: int) -> Iterator[Result]:
    """With and without the foreign sockets, in turns."""
    alone, crowded = [], []
    for _ in range(rounds):
        alone.append(ask(port, closed))
        with foreign_sockets(foreign):
            crowded.append(ask(port, closed))
    few, many = (
        Questions(*(statistics.median(values) * 1e6 for values in zip(*one, strict=True)))
        for one in (alone, crowded)
    )
    name, more = "`port in sockets.listening`", f", {foreign:,} foreign sockets"
    yield Result(name, few.listening, "us", goal=Goal("at most", 100, of="ours"))
    yield Result(name + more, many.listening, "us", goal=Goal("at most", 100, of="ours"))
    yield Result(
        name + more,
        many.listening,
        "us",
        few.listening,
        "without them",
        tuple(one.listening / other.listening for one, other in zip(crowded, alone, strict=True)),
        goal=Goal("at most", 1.2, base=1.0),
    )
    yield Result(
        "`assert_listening(port)`",
        few.function,
        "us",
        few.listening,
        name,
        tuple(one.function / one.listening for one in alone),
        goal=Goal("at most", 1.5, base=1.0),
    )
    yield Result(f"{name}: no{more}", many.not_listening, "us", few.not_listening, "without them")
    for title, figures, each in ((name, few, alone), (name + more, many, crowded)):
        yield Result(
            title,
            figures.listening,
            "us",
            figures.psutil,
            "psutil",
            tuple(one.psutil / one.listening for one in each),
            times=True,
            goal=Goal("at least", 100),
        )


def notice(port: int, notices: int) -> Result:
    """How long after listen(2) `wait_listening` returns."""
    from pytest_sockets.asserting.waits import wait_listening

    late = []
    for number in range(notices):
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
        late.append(max(0.0, noticed - opened[0]) * 1e3)
        made[0].close()
    note = f"worst of {notices}: {max(late):.1f} ms"
    return Result(
        "a new listener is noticed",
        statistics.median(late),
        "ms",
        goal=Goal("at most", 8, of="ours"),
        note=note,
    )


def measure(foreign: int = 10_000, rounds: int = 7, notices: int = 60) -> Iterator[Result]:
    """All rows."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        closed = bound.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield from questions(foreign, rounds, server.getsockname()[1], closed)
    yield notice(closed, notices)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--foreign", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    shown = results.show(measure(options.foreign, options.rounds))
    if options.check:
        results.check(shown)


if __name__ == "__main__":
    main()
