"""When the user last came for records: one who takes too long between two calls is taken for stuck.

A call begins with `asked` and ends with `given`; in between, while the user waits for records, it cannot be late.  The
quick ways to a record (an `async for`, a `getone` of what is there already) do without: that positions move is the sign
that the user goes on, and it is looked for now and then.  Times are the loop's, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...protocol.values import dataclass
from .partition_state import PartitionState

_LOOKS_PER_INTERVAL = 8
_MAX_PAUSE_S = 5.0


@dataclass(slots=True)
class PollClock:
    """One consumer's."""

    max_interval_ms: int
    last_s: float
    waiting_count: int = 0  # calls that wait for records
    _seen: int = -1

    def asked(self, now_s: float) -> None:
        self.last_s = now_s
        self.waiting_count += 1

    def given(self, now_s: float) -> None:
        self.last_s = now_s
        self.waiting_count -= 1

    def is_overdue(self, states: Iterable[PartitionState], now_s: float) -> bool:
        """Whether the user is late; `states` are the assigned partitions."""
        progress = sum(state.position for state in states)
        if progress != self._seen:
            self._seen = progress
            self.last_s = now_s
        return not self.waiting_count and now_s - self.last_s > self.max_interval_ms / 1000

    def look_again_s(self, now_s: float) -> float:
        """When to ask the next time."""
        return now_s + min(_MAX_PAUSE_S, max(0.01, self.max_interval_ms / 1000 / _LOOKS_PER_INTERVAL))
