"""The service names of ports: "5432/tcp (postgresql)", from the system's services database."""

from __future__ import annotations

import functools
from _socket import getservbyport  # the C function: tests and plugins replace the one in `socket`


@functools.lru_cache(maxsize=1024)
def service_name(port: int, protocol: str = "tcp") -> str | None:
    """Return the service name of this port ("postgresql"), or None. Cached."""
    try:
        return getservbyport(port, protocol)
    except (OSError, OverflowError):  # no such service, or not a port number
        return None


def port_name(port: int, protocol: str = "tcp") -> str:
    """Return `5432/tcp (postgresql)`, or `40001/tcp` for a port without a service.

    For the protocol "both", return the plain number, with the name that either protocol has.
    """
    if protocol == "both":
        name = service_name(port, "tcp") or service_name(port, "udp")
        return f"{port} ({name})" if name else str(port)
    name = service_name(port, protocol)
    return f"{port}/{protocol} ({name})" if name else f"{port}/{protocol}"
