"""When was each socket opened and closed? Gathered only for a report with a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.leaks.timeline import Timeline
from pytest_sockets.reports.spans import SocketLife

if TYPE_CHECKING:
    from pytest_sockets.leaks.finding_builder import FindingBuilder
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.leaks.timeline import Life
    from pytest_sockets.model import SocketEntry


class SocketLives:
    """The lives that have ended, or been judged, since they were taken last."""

    def __init__(self, ledger: Registry, builder: FindingBuilder, worker: str | None) -> None:
        self._places = ledger.places
        self._builder = builder
        self._worker = worker
        self._noted: list[SocketLife] = []
        self._timeline = ledger.timeline = Timeline(self._note, ledger.newest)

    def leaked(self, record: Record, entry: SocketEntry, kind: str) -> None:
        """This socket is a finding of this kind."""
        self._note(self._timeline.leaked(record, entry), kind)

    def take(self) -> list[SocketLife]:
        """Those of the time since the last call."""
        noted, self._noted = self._noted, []
        return noted

    def _note(self, life: Life, leak: str | None = None) -> None:
        call_site = life.record.call_site
        self._noted.append(
            SocketLife(
                tuple_text=life.text,
                protocol=life.protocol,
                status=life.status,
                opened=life.opened,
                closed=life.closed,
                owner=str(self._builder.named_owner(life.record)),
                opened_at=call_site.opened_at(self._places) if call_site else None,
                leak=leak,
                worker=self._worker,
                judged=life.seen if leak else None,
            )
        )
