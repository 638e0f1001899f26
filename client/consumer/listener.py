"""Being told of a rebalance: a listener with three methods, each of which may be a coroutine.

    class Flush(RebalanceListener):
        async def on_partitions_revoked(self, revoked):
            await flush(revoked)                     # nothing of them is handed out any more, and commits still count

The consumer waits for each before it goes on; heartbeats go on meanwhile.  A listener has `max_poll_interval_ms`, then
the group goes on without this member.  The names are aiokafka's; `on_partitions_lost` is Java's.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ..admin.values import TopicPartition


class RebalanceListener:
    """Override what you need."""

    def on_partitions_revoked(self, revoked: frozenset[TopicPartition]) -> Awaitable[Any] | None:
        """These will be taken away: their records are no longer handed out, their offsets can still be committed."""

    def on_partitions_assigned(self, assigned: frozenset[TopicPartition]) -> Awaitable[Any] | None:
        """These were given to this consumer, beside those it kept; seek here to begin elsewhere than at the commit."""

    def on_partitions_lost(self, lost: frozenset[TopicPartition]) -> Awaitable[Any] | None:
        """These are gone: somebody else may own them already.  Unless overridden, as if they were revoked."""
        return self.on_partitions_revoked(lost)
