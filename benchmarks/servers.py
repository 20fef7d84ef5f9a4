"""How fast are the echo servers, beside asyncio, uvloop and socketserver in the same run?

    python benchmarks/servers.py            # start + stop, round trips and throughput at 1 and at 100 connections
    python benchmarks/servers.py --quick    # a tenth of the work, to see that it runs

Each measurement goes round all servers in turn, several times, so that a noisy machine is noisy for all. Medians are
shown; the ratio to uvloop is the median of the ratios within each turn. For round trips and throughput every server runs
in a process of its own. On Linux the server's processor time per round trip is shown too: it is steadier than the clock.
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

TURNS = 5
KINDS = ("pytest-sockets", "asyncio", "uvloop")


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


def start_and_stop(scale: float) -> None:
    print("start + stop of an idle TCP server, microseconds (median, best)")
    rows = ((ours, 300), (asyncio_in_a_thread, 100), (socketserver_in_a_thread, 1))
    times: dict[str, list[float]] = {make.__name__: [] for make, _ in rows}
    for _ in range(TURNS):
        for make, count in rows:
            for _ in range(max(1, int(count * scale))):
                began = time.perf_counter()
                make()
                times[make.__name__].append(time.perf_counter() - began)
    for name, seconds in times.items():
        print(f"  {name:28} {statistics.median(seconds) * 1e6:10.0f} {min(seconds) * 1e6:10.0f}")


# Round trips and throughput


def serve(kind: str, pipe) -> None:
    """In a process of its own until the pipe says stop."""
    if kind == "pytest-sockets":
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
    """MiB a second, there and back counted once."""
    share = total // connections
    block = b"x" * (256 * 1024)

    def push(sock: socket.socket) -> None:
        left = share
        while left > 0:
            left -= sock.send(block[: min(left, len(block))])

    def pull(sock: socket.socket) -> None:
        left, buffer = share, bytearray(256 * 1024)
        while left > 0:
            left -= sock.recv_into(buffer)

    socks = [socket.create_connection(address) for _ in range(min(connections, 8))]
    share = total // len(socks)
    threads = [threading.Thread(target=work, args=(sock,)) for sock in socks for work in (push, pull)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for sock in socks:
        sock.close()
    return total / seconds / (1 << 20)


def processor_time(pid: int) -> float:
    """Seconds that a process and its threads ran; 0 where the system does not tell."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as file:
            total += int(file.read().split()[0])
    return total / 1e9


def compare(title: str, measure, trips: int = 0) -> None:
    """Every server in every turn; medians, and the median of the ratios to uvloop."""
    services = {kind: Service(kind) for kind in KINDS}
    results: dict[str, list[float]] = {kind: [] for kind in KINDS}
    busy: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        for service in services.values():
            measure(service.address)  # warm
        for _ in range(TURNS):
            for kind, service in services.items():
                before = processor_time(service.process.pid)
                results[kind].append(measure(service.address))
                busy[kind].append(processor_time(service.process.pid) - before)
    finally:
        for service in services.values():
            service.stop()
    print(title)
    for kind, values in results.items():
        ratios = [mine / theirs for mine, theirs in zip(values, results["uvloop"], strict=True)]
        each = f"   {statistics.median(busy[kind]) / trips * 1e6:6.1f} us of processor each" if trips else ""
        print(
            f"  {kind:28} {statistics.median(values):10.0f}   {statistics.median(ratios):5.2f} of uvloop{each}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="a tenth of the work")
    scale = 0.1 if options.parse_args().quick else 1.0
    start_and_stop(scale)
    for connections in (1, 100):
        trips = int(20_000 * scale)
        compare(
            f"round trips of 1 KiB a second, {connections} connections",
            lambda address, n=connections, trips=trips: round_trips(address, n, trips),
            trips,
        )
    for connections in (1, 8):
        size = int((256 << 20) * scale)
        compare(
            f"MiB a second through {connections} connections",
            lambda address, n=connections, size=size: throughput(address, n, size),
        )


if __name__ == "__main__":
    main()
