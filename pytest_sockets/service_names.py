"""What a port number stands for: "5432/tcp (postgresql)", as the system's services database has it."""

from __future__ import annotations

import functools
from _socket import getservbyport  # the C function: tests and plugins replace what the `socket` module offers


@functools.lru_cache(maxsize=1024)
def service_name(port: int, protocol: str = "tcp") -> str | None:
    """The service that the system knows for this port ("postgresql"), or None. A look-up in /etc/services, then cached."""
    try:
        return getservbyport(port, protocol)
    except (OSError, OverflowError):  # no such service; no port number at all
        return None


def port_name(port: int, protocol: str = "tcp") -> str:
    """`5432/tcp (postgresql)`, or `40001/tcp` where the system knows no service. For the protocol "both" plain `40001`.

    A port of "both" carries the name that either protocol has.
    """
    if protocol == "both":
        name = service_name(port, "tcp") or service_name(port, "udp")
        return f"{port} ({name})" if name else str(port)
    name = service_name(port, protocol)
    return f"{port}/{protocol} ({name})" if name else f"{port}/{protocol}"
