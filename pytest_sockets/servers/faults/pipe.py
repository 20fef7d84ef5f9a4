"""One direction of one stream: the stages in the order given, and the sink behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sockets.servers.faults.base import Ending, Stage


class Pipe:
    """Data and endings go in at the front and come out at the sink, in order. Stages can change while it runs."""

    __slots__ = ("_sink", "_sink_end", "_stages", "end", "feed")

    def __init__(self, sink: Callable[[bytes], None], sink_end: Callable[[Ending], None]) -> None:
        self._sink = sink
        self._sink_end = sink_end
        self._stages: tuple[Stage, ...] = ()
        self.feed = sink
        self.end = sink_end

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages now at work."""
        return self._stages

    @property
    def held(self) -> int:
        """Bytes that the stages keep back."""
        return sum(stage.held for stage in self._stages)

    def set_stages(self, stages: Sequence[Stage]) -> None:
        """Put these in force, in this order. What a removed one kept back is passed on first."""
        gone = [stage for stage in self._stages if stage not in stages]
        for stage in gone:
            stage.release()
        new = [stage for stage in stages if stage not in self._stages]
        self._stages = tuple(stages)
        feed, end = self._sink, self._sink_end
        for stage in reversed(self._stages):
            stage.pass_on, stage.pass_end = feed, end
            feed, end = stage.data, stage.end
        self.feed, self.end = feed, end
        for stage in new:
            stage.started()
