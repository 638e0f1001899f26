"""Finding where to begin: for each assigned partition without a position, until it has one or the user must be told.

    COMMITTED   the group's committed offset; where there is none, as by `auto_offset_reset`
    RESET       the log's beginning or end, or the first record of a time
    VALIDATE    the leader has changed: does its log still have what was read?  (KIP-320)  If it was cut, go on where the
                two histories part, or, with auto_offset_reset "none", tell the user

A topic that was deleted and made again under its name is another topic (`notice`): an offset of the old one says nothing in
it, however well it fits, so that it is read from where `auto_offset_reset` says.  (Java's consumer goes on at the old offset.)

One task looks whenever it is woken, asks once, and asks again after a backoff what could not be answered.  An answer is
believed only when the position was not moved meanwhile.  Corresponds to Java's `OffsetFetcher`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from random import Random

from ...protocol.errors import ErrorCode, KafkaError
from ..cluster import Cluster
from ..errors import ClientError
from ..metadata import NO_ID, Metadata
from ..retry import is_retriable
from .fetch_plan import leaderless
from .offset_requests import OffsetAndTimestamp
from .offset_reset import LATEST, NONE, OffsetReset
from .offsets import NOT_A_MEMBER, Offsets
from .partition_state import NO_EPOCH, Needs, PartitionState
from .subscription import SubscriptionState
from .waking import Wake

_WAITING = frozenset({Needs.COMMITTED, Needs.RESET, Needs.VALIDATE})

log = logging.getLogger(__name__)

_Asked = dict[PartitionState, int]
"""Partitions that are asked about, and the version of the position that each had then."""


class Positions:
    """Finds positions for a subscription.  `run` is its task."""

    def __init__(
        self,
        cluster: Cluster,
        subscription: SubscriptionState,
        offsets: Offsets,
        *,
        reset: OffsetReset,
        has_group: bool,
        changed: Callable[[], None],
        random: Random,
    ) -> None:
        """`changed` is called when there may be more to fetch, or something to tell the user."""
        self.wake = Wake()
        self._cluster = cluster
        self._subscription = subscription
        self._offsets = offsets
        self._reset = reset
        self._has_group = has_group
        self._changed = changed
        self._random = random

    async def run(self) -> None:
        attempt = 0
        was_woken = True
        while True:
            self.wake.clear()
            self.notice()
            await self._find_committed()
            await self._find_reset()
            await self._validate()
            missing = self._missing_topics()
            if missing and not was_woken:
                self._cluster.add_topics(missing)
                self._cluster.request_update()
            if not missing and not any(state.needs in _WAITING for state in self._subscription):
                attempt = 0
                was_woken = await self.wake.wait()
            else:
                attempt = attempt if was_woken else attempt + 1
                delay_s = self._cluster.settings.backoff.delay_s(attempt + 1, self._random)
                was_woken = await self.wake.wait(delay_s)

    def notice(self) -> None:
        """Take from metadata what it means for positions.  To be called before anything is fetched by it."""
        for state in self._subscription:
            if is_another_topic(state, self._cluster.metadata):
                self._begin_again(state)
            notice_leader(state, self._cluster.metadata)

    def _begin_again(self, state: PartitionState) -> None:
        what = f"the topic {state.id.topic} was deleted and made again under its name"
        log.warning("%s: an offset of the old one says nothing about it", what)
        needs, reset = state.needs, state.reset
        state.forget()
        if needs is Needs.RESET and reset is not None:
            state.await_reset(reset)
        elif needs in (Needs.NOTHING, Needs.VALIDATE):
            self._begin_anew(state, what)

    def _missing_topics(self) -> frozenset[str]:
        """Topics that are wanted and not known, or with a partition that nobody leads: metadata is to be asked again."""
        metadata = self._cluster.metadata
        homeless = {state.id.topic for state in leaderless(self._subscription, metadata)}
        unknown = (name for name in self._subscription.topics if not self._cluster.known_topic(name))
        return frozenset(homeless.union(unknown))

    # -- committed offsets

    async def _find_committed(self) -> None:
        asked = self._asked(Needs.COMMITTED)
        if not asked:
            return
        if not self._has_group:
            for state in asked:
                self._begin_anew(state, f"{state.id} has no position")
            return
        try:
            timeout_s = self._cluster.settings.request_timeout_s
            found = await self._offsets.committed([state.id for state in asked], timeout_s)
        except (KafkaError, ClientError) as error:
            self._could_not_ask(self._unmoved(asked), error)
            return
        for state in self._unmoved(asked):
            committed = found.get(state.id)
            if committed is None:
                self._begin_anew(state, f"nothing is committed of {state.id}")
            else:
                state.move(committed.offset, committed.leader_epoch)
                state.committed = committed.offset
                notice_leader(state, self._cluster.metadata)
        self._changed()

    def _begin_anew(self, state: PartitionState, why: str) -> None:
        if self._reset is NONE:
            what = f"{why}, and auto_offset_reset is none: seek"
            state.await_user(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, what))
        else:
            state.await_reset(self._reset)

    # -- the log's own offsets

    async def _find_reset(self) -> None:
        asked = self._asked(Needs.RESET)
        now_ms = int(time.time() * 1000)  # the records' clock, not the loop's
        timestamps = {state.id: state.reset.timestamp(now_ms) for state in asked if state.reset is not None}
        wanted = {id_: timestamp for id_, timestamp in timestamps.items() if timestamp is not None}
        if not wanted:
            return
        outcomes = await self._offsets.try_list(wanted)
        for state in self._unmoved(asked):
            outcome = outcomes[state.id]
            if not isinstance(outcome, OffsetAndTimestamp):
                self._could_not_ask([state], outcome)
                continue
            if outcome.offset < 0:
                state.await_reset(LATEST)  # no record of that time or later: at the end
            else:
                log.info("%s begins at offset %d", state.id, outcome.offset)
                state.move(outcome.offset)
            self._changed()

    # -- after a change of leader

    async def _validate(self) -> None:
        asked = self._asked(Needs.VALIDATE)
        if not asked:
            return
        outcomes = await self._offsets.try_epochs({state.id: state.position_epoch for state in asked})
        for state in self._unmoved(asked):
            outcome = outcomes[state.id]
            if isinstance(outcome, Exception):
                self._could_not_ask([state], outcome)
                continue
            state.needs = Needs.NOTHING
            self._changed()
            epoch, end_offset = outcome
            if epoch < 0 or end_offset < 0:
                self._begin_anew(state, f"the log of {state.id} knows nothing of the epoch that was read last")
            elif epoch < state.position_epoch or end_offset < state.position:
                self._was_cut(state, end_offset)

    def _was_cut(self, state: PartitionState, end_offset: int) -> None:
        what = (
            f"the log of {state.id} was cut back to offset {end_offset}; this consumer had read up to {state.position}"
        )
        log.warning("%s", what)
        if self._reset is NONE:
            state.await_user(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{what}: seek"))
        else:
            state.move(min(state.position, end_offset), state.position_epoch)

    # -- what all have in common

    def _asked(self, needs: Needs) -> _Asked:
        now_s = asyncio.get_running_loop().time()
        return {state: state.version for state in self._subscription.in_need(needs, now_s)}

    def _unmoved(self, asked: _Asked) -> list[PartitionState]:
        return [
            state for state, version in asked.items() if self._subscription.holds(state) and state.version == version
        ]

    def _could_not_ask(self, asked: Iterable[PartitionState], error: KafkaError | ClientError) -> None:
        """Ask again later, unless that cannot help."""
        if isinstance(error, ClientError) or is_retriable(error) or error.code in NOT_A_MEMBER:
            log.info("no position yet: %s", error)
            return
        for state in asked:
            state.await_user(error)
        self._changed()


def is_another_topic(state: PartitionState, metadata: Metadata) -> bool:
    """Whether the topic has another id than when this was last asked; brokers before Kafka 2.8 tell none."""
    known = metadata.topics.get(state.id.topic)
    if known is None or known.id == NO_ID or known.id == state.topic_id:
        return False
    before, state.topic_id = state.topic_id, known.id
    return before is not None


def notice_leader(state: PartitionState, metadata: Metadata) -> None:
    """Have the position checked when another leader has come since it was found, or since it was committed."""
    known = metadata.partition(state.id.topic, state.id.partition)
    if known is None or known.leader_epoch <= state.leader_epoch or state.needs is not Needs.NOTHING:
        return
    state.leader_epoch = known.leader_epoch
    if NO_EPOCH < state.position_epoch < known.leader_epoch:
        state.drop()
        state.needs = Needs.VALIDATE
