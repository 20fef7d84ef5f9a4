"""The pool of this process, for code that reserves ports without the plugin."""

from __future__ import annotations

import atexit
import functools

from pytest_sockets.ports.pool import PortPool
from pytest_sockets.ports.port_server import PortServer, port_server_address
from pytest_sockets.ports.ranges import PortRanges, default_ranges, read_kernel


@functools.cache
def process_pool() -> PortPool:
    """Return the pool of this process.

    It is built on first use, from the ports outside the ephemeral range or from the port server, and closed at exit.
    """
    pool = make_pool(default_ranges(read_kernel()))
    atexit.register(pool.close)
    return pool


def make_pool(ranges: PortRanges) -> PortPool:
    """Return a pool of `ranges`, or of the port server that PORTSERVER_ADDRESS names."""
    address = port_server_address()
    return PortPool(ranges, server=PortServer(address) if address else None)
