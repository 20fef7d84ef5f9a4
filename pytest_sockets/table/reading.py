"""`socket_table(scope)`: the socket table now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import QueryError
from pytest_sockets.model import SocketTable
from pytest_sockets.table import holders
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from pytest_sockets.literals import Scope

SCOPES: Final[tuple[Scope, ...]] = ("process", "tree", "system")


def socket_table(scope: Scope = "process") -> SocketTable:
    """The sockets of this process, of its process tree (itself and its descendants) or of the whole system, read now.

    TCP, UDP and unix sockets in all states. Without privilege, entries of other users' processes lack pid and fd. A process
    that vanishes meanwhile is no error. Raises `QueryError` for an unknown scope.
    """
    if scope not in SCOPES:
        raise QueryError(f"{scope!r} is no scope; use one of: {', '.join(SCOPES)}")
    chosen = reader()
    if scope == "system":
        return chosen.system()
    own = chosen.own()
    children = holders.descendants(os.getpid()) if scope == "tree" else []
    # Not `own + ...`: a socket that parent and child share has one entry for each.
    return SocketTable((*own, *chosen.of_processes(children))) if children else own
