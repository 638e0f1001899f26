"""Committing what the user has read: by hand, and in the background every `auto_commit_interval_ms`.

An automatic commit stops before what is in the user's hands, so that a record over which the user fails is read again.
A commit by hand is the user's word: without arguments it says that everything handed out so far is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from operator import index
from typing import Any, SupportsIndex

from ...protocol.errors import KafkaError
from ..admin.values import TopicPartition
from ..errors import ClientError
from .fetched_batch import FetchedBatch
from .offset_requests import OffsetAndMetadata
from .offsets import CommitFailed, Offsets, TopicIsGone
from .partition_state import PartitionState
from .record import ConsumerRecord
from .subscription import SubscriptionState

OffsetLike = int | OffsetAndMetadata | tuple[int, str]
Commitable = Mapping[TopicPartition, OffsetLike] | ConsumerRecord[Any, Any] | FetchedBatch[Any, Any] | None
"""What can be committed: offsets by partition, a record or a batch that is done, or None for all that was handed out."""

_OFFSET_BOUND = 2**63

log = logging.getLogger(__name__)


class Committing:
    """Commits for one consumer."""

    def __init__(
        self,
        subscription: SubscriptionState,
        offsets: Offsets,
        *,
        timeout_s: float,
        must_be_member: Callable[[], None],
        refused: Callable[[CommitFailed], None],
    ) -> None:
        """`must_be_member` raises CommitFailed, and `refused` is told, when the group goes on without this consumer."""
        self._subscription = subscription
        self._offsets = offsets
        self._timeout_s = timeout_s
        self._must_be_member = must_be_member
        self._refused = refused

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """CommitFailed, another KafkaError, or a ClientError when it did not succeed."""
        if not offsets:
            return
        self._must_be_member()
        try:
            await self._offsets.commit(offsets, self._timeout_s)
        except CommitFailed as error:
            self._refused(error)
            raise
        for id_, each in offsets.items():
            state = self._subscription.get(id_)
            if state is not None:
                state.committed = each.offset

    async def commit_what_is_done(self, partitions: Iterable[TopicPartition] | None = None) -> bool:
        """Commit where the user is done, of these or all partitions; whether that succeeded, for nothing is raised."""
        states = self._subscription if partitions is None else map(self._subscription.get, partitions)
        done = {
            state.id: _at(state, state.committable)
            for state in states
            if state is not None and state.has_position and state.committable not in (state.committed, -1)
        }
        try:
            await self.commit(done)
        except TopicIsGone as error:
            log.info("automatic commit: %s", error)
            return False
        except (KafkaError, ClientError) as error:
            log.warning("automatic commit: %s", error)
            return False
        return True

    async def run(self, interval_s: float) -> None:
        """The task of automatic commits."""
        while True:
            await asyncio.sleep(interval_s)
            await self.commit_what_is_done()


def offsets_of(what: Commitable, subscription: SubscriptionState) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets that the user means; ValueError or TypeError where that cannot be said."""
    if what is None:
        return {state.id: _at(state, state.position) for state in subscription if state.has_position}
    if isinstance(what, ConsumerRecord):
        offset = OffsetAndMetadata(what.offset + 1, "", what.leader_epoch)
        return {what.topic_partition: offset}
    if isinstance(what, FetchedBatch):
        return {what.partition: OffsetAndMetadata(what.next_offset, "", what.leader_epoch)}
    if not isinstance(what, Mapping):
        raise TypeError(f"commit takes offsets by partition, a record or a batch, not {type(what).__name__}")
    return {id_: _offset(id_, each) for id_, each in what.items()}


def _at(state: PartitionState, offset: int) -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, "", state.position_epoch)


def _offset(id_: TopicPartition, given: OffsetLike) -> OffsetAndMetadata:
    if isinstance(given, int):
        given = OffsetAndMetadata(given)
    elif not isinstance(given, OffsetAndMetadata):
        given = OffsetAndMetadata(*given)
    must_be_offset(given.offset, id_)
    return given


def must_be_offset(offset: object, id_: TopicPartition) -> None:
    """TypeError or ValueError for what no request could say, nor any request after it."""
    if not isinstance(offset, SupportsIndex):
        raise TypeError(f"offset {offset!r} of {id_}: an offset is an int")
    if index(offset) < 0:
        raise ValueError(f"offset {offset} of {id_}: an offset is not negative")
    if index(offset) >= _OFFSET_BOUND:
        raise ValueError(f"offset {offset} of {id_}: an offset fits into 64 bits")
