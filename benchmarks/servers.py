"""How fast are the echo servers and the scripted server, beside asyncio, uvloop and socketserver in the same run?

    python benchmarks/servers.py            # start + stop, round trips and throughput at 1 and at 100 connections
    python benchmarks/servers.py --quick    # a tenth of the work, to see that it runs
    python benchmarks/servers.py --check    # exits 1 if a goal is missed by more than 20 %

Each measurement goes round all servers in turn, several times, so that a noisy machine is noisy for all. Medians are
shown; a ratio is the median of those within each turn. For round trips and throughput every server runs in a process of
its own. On Linux the server's processor time is shown too: it is steadier than the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import glob
import multiprocessing
import select
import socket
import socketserver
import statistics
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import results
from results import Goal, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TURNS = 5
OURS = "pytest-sockets"
KINDS = (OURS, "asyncio", "uvloop")
_BLOCK = bytes(256 * 1024)
_CLIENT_THREADS = 2
"""The clients of a throughput: they share the connections, each watches its own by epoll."""


class EchoProtocol(asyncio.Protocol):
    """What uvloop's own benchmark does."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


# Start and stop


def ours() -> None:
    from pytest_sockets.servers.echo import EchoServer

    EchoServer().stop()


def scripted() -> None:
    from pytest_sockets.servers.scripted import ScriptedServer

    ScriptedServer(lambda conn: None).stop()


def asyncio_in_a_thread() -> None:
    loop = asyncio.new_event_loop()
    ready: list[socket.socket] = []
    started = threading.Event()

    async def serve() -> None:
        server = await loop.create_server(EchoProtocol, "127.0.0.1", 0)
        ready.append(server)
        started.set()

    loop.call_soon(lambda: loop.create_task(serve()))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started.wait()
    loop.call_soon_threadsafe(ready[0].close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


def socketserver_in_a_thread() -> None:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.shutdown()
    thread.join()
    server.server_close()


def start_and_stop(scale: float, turns: int) -> Iterator[Result]:
    """Of an idle TCP server, in microseconds."""
    makers = {ours: 300, scripted: 300, asyncio_in_a_thread: 100, socketserver_in_a_thread: 1}
    times: dict[str, list[float]] = {make.__name__: [] for make in makers}
    for _ in range(turns):
        for make, count in makers.items():
            each = []
            for _ in range(max(1, int(count * scale))):
                began = time.perf_counter()
                make()
                each.append((time.perf_counter() - began) * 1e6)
            times[make.__name__].append(statistics.median(each))
    yield Result(
        "start + stop of an idle scripted server",
        statistics.median(times.pop("scripted")),
        "us",
        goal=Goal("at most", 300, of="ours"),
    )
    name, mine = "start + stop of an idle TCP server", times.pop("ours")
    median = statistics.median(mine)
    yield Result(name, median, "us", goal=Goal("at most", 100, of="ours"))
    for kind, theirs in times.items():
        ratios = tuple(one / other for one, other in zip(mine, theirs, strict=True))
        yield Result(name, median, "us", statistics.median(theirs), kind.replace("_", " "), ratios)


# Round trips and throughput


def serve(kind: str, pipe) -> None:
    """In a process of its own until the pipe says stop."""
    if kind == OURS:
        from pytest_sockets.servers.echo import EchoServer

        with EchoServer(backlog=1024) as server:
            pipe.send(server.address)
            pipe.recv()
        return
    if kind == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(EchoProtocol, "127.0.0.1", 0, backlog=1024))
    pipe.send(server.sockets[0].getsockname())
    loop.run_in_executor(None, lambda: (pipe.recv(), loop.call_soon_threadsafe(loop.stop)))
    loop.run_forever()


class Service:
    """A server in its process."""

    def __init__(self, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=serve, args=(kind, there))
        self.process.start()
        self.address = self.pipe.recv()

    def stop(self) -> None:
        self.pipe.send("stop")
        self.process.join(10)


def round_trips(address, connections: int, total: int) -> float:
    """Round trips of 1 KiB a second: every connection always has one under way."""
    socks = [socket.create_connection(address) for _ in range(connections)]
    payload = b"x" * 1024
    poll = select.epoll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for sock in socks:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(sock.fileno(), select.EPOLLIN)
    began = time.perf_counter()
    for sock in socks:
        sock.send(payload)
    done = 0
    while done < total:
        for fd, _ in poll.poll():
            sock = by_fd[fd]
            sock.recv(2048)
            sock.send(payload)
            done += 1
    seconds = time.perf_counter() - began
    poll.close()
    for sock in socks:
        sock.close()
    return done / seconds


def throughput(address, connections: int, total: int) -> float:
    """MiB a second, there and back counted once, over all connections at once."""
    share = total // connections
    socks = [socket.create_connection(address) for _ in range(connections)]
    groups = [socks[start::_CLIENT_THREADS] for start in range(min(_CLIENT_THREADS, connections))]
    threads = [threading.Thread(target=push_and_pull, args=(group, share)) for group in groups]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for sock in socks:
        sock.close()
    return share * connections / seconds / (1 << 20)


def push_and_pull(socks: list[socket.socket], share: int) -> None:
    """Send `share` bytes on each connection and receive them again, whatever is ready first."""
    by_fd = {sock.fileno(): sock for sock in socks}
    to_send, to_receive = dict.fromkeys(by_fd, share), dict.fromkeys(by_fd, share)
    buffer, block = bytearray(len(_BLOCK)), memoryview(_BLOCK)
    poll = select.epoll()
    for sock in socks:
        sock.setblocking(False)
        poll.register(sock, select.EPOLLIN | select.EPOLLOUT)
    while by_fd:
        for fd, events in poll.poll():
            sock = by_fd[fd]
            if events & select.EPOLLIN:
                received = sock.recv_into(buffer)
                if not received:
                    raise SystemExit("the server closed a connection too early")
                to_receive[fd] -= received
            if events & select.EPOLLOUT and to_send[fd]:
                to_send[fd] -= sock.send(block[: to_send[fd]])
                if not to_send[fd]:
                    poll.modify(fd, select.EPOLLIN)
            if not to_receive[fd]:
                poll.unregister(fd)
                del by_fd[fd]
    poll.close()


def processor_time(pid: int) -> float:
    """Seconds that a process and its threads ran; 0 where the system does not tell."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Task(NamedTuple):
    """What the clients do: `run(address)` is a speed in `unit`; `pieces` of work cost the server something each."""

    name: str
    unit: str
    run: Callable[[object], float]
    pieces: float
    piece: str


def compare(task: Task, turns: int) -> Iterator[Result]:
    """Every server in every turn; ours beside each of the others."""
    services = {kind: Service(kind) for kind in KINDS}
    speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    busy: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        for service in services.values():
            task.run(service.address)  # warm
        for _ in range(turns):
            for kind, service in services.items():
                before = processor_time(service.process.pid)
                speeds[kind].append(task.run(service.address))
                spent = processor_time(service.process.pid) - before
                busy[kind].append(spent / task.pieces * 1e6)
    finally:
        for service in services.values():
            service.stop()
    spent_each = ", ".join(f"{kind} {statistics.median(values):.1f}" for kind, values in busy.items())
    for kind in KINDS[1:]:
        ratios = tuple(mine / theirs for mine, theirs in zip(speeds[OURS], speeds[kind], strict=True))
        yield Result(
            task.name,
            statistics.median(speeds[OURS]),
            task.unit,
            statistics.median(speeds[kind]),
            kind,
            ratios,
            goal=Goal("at least", 0.9) if kind == "uvloop" else None,
            note=f"processor time of the server, us a {task.piece}: {spent_each}"
            if kind == KINDS[-1]
            else "",
        )


def tasks(scale: float) -> Iterator[Task]:
    """Round trips and throughput, at 1 and at 100 connections."""
    for connections in (1, 100):
        trips, title = max(int(20_000 * scale), 500), _title(connections)
        yield Task(
            f"round trips of 1 KiB, {title}",
            "/s",
            lambda address, n=connections, trips=trips: round_trips(address, n, trips),
            trips,
            "round trip",
        )
    for connections in (1, 100):
        size, title = max(int((256 << 20) * scale), 64 << 20), _title(connections)
        yield Task(
            f"throughput, {title}",
            "MiB/s",
            lambda address, n=connections, size=size: throughput(address, n, size),
            size / (1 << 20),
            "MiB",
        )


def _title(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def measure(scale: float = 1.0, turns: int = TURNS) -> Iterator[Result]:
    """All rows."""
    yield from start_and_stop(scale, turns)
    for task in tasks(scale):
        yield from compare(task, turns)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    shown = results.show(measure(0.1 if options.quick else 1.0))
    if options.check:
        results.check(shown)


if __name__ == "__main__":
    main()
