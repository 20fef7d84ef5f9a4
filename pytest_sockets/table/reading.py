"""`socket_table(scope)`: read the socket table now."""

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
    """Return the sockets of this process, of its process tree (with descendants) or of the whole system.

    The table has TCP, UDP and unix sockets in all states. Without privileges, entries of other users' processes lack
    pid and fd. A process that ends during the read is not an error. Raises `QueryError` for an invalid scope.
    """
    if scope not in SCOPES:
        raise QueryError(f"{scope!r} is not a valid scope; use one of: {', '.join(SCOPES)}")
    chosen = reader()
    if scope == "system":
        return chosen.system()
    own = chosen.own()
    children = holders.descendants(os.getpid()) if scope == "tree" else []
    # Not `own + ...`: a socket that parent and child share has an entry for each.
    return SocketTable((*own, *chosen.of_processes(children))) if children else own
