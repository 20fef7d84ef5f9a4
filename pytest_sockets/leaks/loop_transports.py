"""Find the sockets that an event loop will close on its own when it runs again."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from pytest_sockets import model
from pytest_sockets.leaks.safe_reading import attributes

if TYPE_CHECKING:
    from pytest_sockets.leaks.records import Record


def waiting_for_their_loop(records: list[Record]) -> list[Record]:
    """Return the records that a live event loop of a wider scope closes when it runs again.

    A closing transport calls close() on the loop's next turn. The loop also notices then that the peer of an accepted
    connection has closed. Waiting closes neither of them, and both would be false alarms.
    """
    if "asyncio" not in sys.modules:
        return []
    transports = _transports_of([sock for record in records if (sock := record.ref()) is not None])
    return [record for record in records if _is_waiting(record, transports.get(id(record.ref())))]


def _transports_of(socks: list[Any]) -> dict[int, dict[str, Any]]:
    """Return the attributes of each socket's asyncio transport, by the socket's id. One pass over the heap finds all."""
    found: dict[int, dict[str, Any]] = {}
    for referrer in gc.get_referrers(*socks) if socks else ():
        known = referrer if type(referrer) is dict else attributes(referrer)
        if "_loop" in known and "_sock" in known:
            found[id(known["_sock"])] = known
    return found


def _is_waiting(record: Record, transport: dict[str, Any] | None) -> bool:
    loop = attributes(transport["_loop"]) if transport is not None else {}
    if transport is None or loop.get("_closed", True) or loop.get("_thread_id") is not None:
        return False
    entry = record.entry
    peer_has_gone = entry is not None and entry.status not in (model.ESTABLISHED, model.LISTEN)
    return bool(transport.get("_closing")) or (record.accepted and peer_has_gone)
