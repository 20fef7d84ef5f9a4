"""Decide which sockets a run watches: the words of `--sockets-kinds`, and the sockets that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_sockets.model import SocketEntry

UNIX_PATH: Final = "unix-path"
"""Unix sockets with a path in the file system: listeners, their connections, and clients such as those of docker.sock."""
KINDS: Final = ("tcp", "udp", "unix", UNIX_PATH)
DEFAULT: Final = ("tcp", "udp", UNIX_PATH)


def watches(kinds: Collection[str], entry: SocketEntry) -> bool:
    """Whether a run with these `kinds` watches the socket."""
    if entry.protocol in kinds:
        return True
    return entry.protocol == "unix" and UNIX_PATH in kinds and _has_path(entry)


def watches_unix(kinds: Collection[str]) -> bool:
    """Whether these kinds include any unix sockets."""
    return "unix" in kinds or UNIX_PATH in kinds


def includes(kinds: Collection[str], others: Collection[str]) -> bool:
    """Whether a run with these `kinds` watches every socket that a run with the `others` watches."""
    return all(kind in kinds or (kind == UNIX_PATH and "unix" in kinds) for kind in others)


def _has_path(entry: SocketEntry) -> bool:
    hosts = [endpoint.host for endpoint in (entry.local, entry.remote) if endpoint is not None]
    return any(host and not host.startswith("@") for host in hosts)  # "@name" is abstract: no file
