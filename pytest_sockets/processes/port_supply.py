"""The ports of servers that are made without pytest: one pool for this process, with the default ranges."""

from __future__ import annotations

import atexit
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sockets.ports.pool import PortPool


@functools.cache
def default_pool() -> PortPool:
    """The pool of this process, built on first use."""
    from pytest_sockets.ports import ranges
    from pytest_sockets.ports.pool import PortPool
    from pytest_sockets.ports.port_server import PortServer, port_server_address

    address = port_server_address()
    server = PortServer(address) if address else None
    pool = PortPool(ranges.default_ranges(ranges.read_kernel()), server=server)
    atexit.register(pool.close)
    return pool
