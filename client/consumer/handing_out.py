"""Giving the user what was fetched: one record, many, whole batches, or an endless iteration; all move the same positions.

    chunks ──► batch ──► records, made when the batch is begun ──► the user
                 └─────────────────────────────────────────────► the user, in bulk form

Asking for more says that the user is done with what it was given before (`_asked`); until then that is *in hand*.  The
iteration is a generator around a list's iterator: a record costs a store and a comparison.  Whoever pauses, seeks or takes
a partition away puts another reading, or none, in place of the one that is iterated, and so stops it there.

What is wrong with a partition (a refusal, a record that cannot be deserialized, bytes that are corrupt) is raised when
the user comes to it, with the position before it; a seek leads past it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ...protocol.values import dataclass
from ..admin.values import TopicPartition
from ..home_loop import must_be_on
from .batch_walk import BatchCursor
from .fetched_batch import NO_DESERIALIZERS, CorruptRecords, DeserializationError, Deserializers, FetchedBatch
from .fetcher import Fetcher
from .partition_state import Needs, PartitionState, Reading
from .poll_clock import PollClock
from .record import ConsumerRecord
from .subscription import SubscriptionState
from .turns import RECORDS_PER_LOOK, Turns
from .waking import Wake

AnyRecord = ConsumerRecord[Any, Any]
AnyBatch = FetchedBatch[Any, Any]
Among = Collection[TopicPartition] | None


@dataclass(frozen=True, slots=True)
class HandingOutSettings:
    """How batches are read."""

    committed_only: bool = False
    check_crcs: bool = True
    deserializers: Deserializers = NO_DESERIALIZERS


class HandingOut:
    """Takes from the partitions of a subscription.  Several callers may wait at once; each record goes to one of them."""

    def __init__(
        self,
        subscription: SubscriptionState,
        fetcher: Fetcher,
        settings: HandingOutSettings,
        clock: PollClock,
        *,
        check: Callable[[], None],
        came_back: Callable[[], None],
    ) -> None:
        """`check` raises what is wrong with the consumer as a whole; `came_back` is called when the user asks.

        Made on the consumer's loop: asking for more on another one raises, what is left of a batch is given on any.
        """
        self.settled = Wake()
        self._subscription = subscription
        self._fetcher = fetcher
        self._settings = settings
        self._clock = clock
        self._check = check
        self._came_back = came_back
        self._loop = asyncio.get_running_loop()
        self._in_hand: list[PartitionState] = []
        self._turns = Turns()
        self._before_look = RECORDS_PER_LOOK  # records that `at_once` gives before it looks whether a turn is due

    # -- the user comes, and goes with what it was given

    @contextmanager
    def _asked(self) -> Iterator[None]:
        must_be_on(self._loop, "consumer")
        self.settle()
        self._clock.asked(self._loop.time())
        self._came_back()
        try:
            yield
        finally:
            self._clock.given(self._loop.time())

    def settle(self) -> None:
        """The user is done with what is in hand."""
        for state in self._in_hand:
            state.settle()
        self._in_hand.clear()
        self.settled.set()

    def has_in_hand(self, partitions: Collection[TopicPartition]) -> bool:
        return any(state.id in partitions and state.is_in_hand for state in self._in_hand)

    @property
    def has_lost_some(self) -> bool:
        """Whether something is in hand of a partition that was taken away."""
        return not all(map(self._subscription.holds, self._in_hand))

    def _give(self, state: PartitionState, *, first_offset: int | None) -> None:
        """None: it is iterated."""
        state.in_hand_from, state.is_iterated = first_offset, first_offset is None
        self._in_hand.append(state)
        self.settled.clear()

    # -- the forms

    def at_once(self) -> AnyRecord | None:
        """The next record of the batch that `one` is in the middle of, if it is; None says nothing, ask `one`."""
        state = self._in_hand[0] if self._in_hand else None
        if state is None or state.reading is None or state.held or state.paused or len(self._in_hand) > 1:
            return None
        self._before_look -= 1
        if self._before_look <= 0:
            self._before_look = RECORDS_PER_LOOK
            if self._turns.is_due:
                return None
        record = next(state.reading.records, None)
        if record is not None:
            state.in_hand_from, state.is_iterated = record.offset, False
            state.position = record.offset + 1
        return record

    async def one(self, among: Among) -> AnyRecord:
        """The next record, waited for without end."""
        with self._asked():
            while True:
                state = await self._ready(among, None)
                assert state is not None, "waited without end"
                record = self._next_record(state)
                if record is not None:
                    self._give(state, first_offset=record.offset)
                    return record

    def _next_record(self, state: PartitionState) -> AnyRecord | None:
        reading = self._reading(state)
        record = next(reading.records, None)
        if record is None:
            self._end_of(state, reading)
        else:
            state.position = record.offset + 1
        return record

    async def many(
        self, among: Among, timeout_s: float, max_records: int | None
    ) -> dict[TopicPartition, list[AnyRecord]]:
        """What is there by now, or comes first within the time; of each partition at most what one fetch brought."""
        with self._asked():
            taken: dict[TopicPartition, list[AnyRecord]] = {}
            left = max_records
            state = await self._ready(among, timeout_s)
            while state is not None and (left is None or left > 0):
                try:
                    records = self._take(state, left)
                except (CorruptRecords, DeserializationError):
                    if not taken:
                        raise
                    break  # what was taken is given first; the next call comes to it again
                if records:
                    if state.id not in taken:
                        self._give(state, first_offset=records[0].offset)
                        taken[state.id] = records
                    else:
                        taken[state.id] += records
                    left = None if left is None else left - len(records)
                state = self._more(among, taken)
            return taken

    def _more(self, among: Among, taken: dict[TopicPartition, list[AnyRecord]]) -> PartitionState | None:
        """The rest of a chunk that was begun, or another partition; what is wrong waits for the next call."""
        rest = [state for state in self._subscription if among is None or state.id in among]
        for state in rest:
            begun = bool(state.chunks) and state.chunks[0].cursor is not None
            if state.is_consumable and state.failure is None and (begun or state.id not in taken):
                if state.reading is not None and state.reading.failure is not None:
                    continue
                return state
        return None

    def _take(self, state: PartitionState, most: int | None) -> list[AnyRecord]:
        if state.reading is None and not self._begin_batch(state):
            return []
        reading = self._reading(state)
        records = list(islice(reading.records, most))
        if records:
            state.position = records[-1].offset + 1
        if most is None or len(records) < most:
            if reading.failure is None:
                state.finish_batch()
            elif not records:
                raise reading.failure.with_traceback(None)  # kept, and would grow with each raise
        return records

    async def records(self) -> AsyncIterator[AnyRecord]:
        """Every record, one by one, without end."""
        while True:
            with self._asked():
                state = await self._ready(None, None)
                assert state is not None, "waited without end"
                reading = self._reading(state)
            self._give(state, first_offset=None)
            before_look = RECORDS_PER_LOOK
            for record in reading.records:
                state.position = record.offset + 1
                yield record
                before_look -= 1
                if state.reading is not reading:
                    break
                if before_look <= 0:
                    if self._turns.is_due:
                        break
                    before_look = RECORDS_PER_LOOK
            else:
                state.settle()
                self._end_of(state, reading)

    async def batch(self, among: Among, timeout_s: float | None) -> AnyBatch | None:
        """The next batch, whole, or what is left of one that was begun; None when none comes within the time."""
        with self._asked():
            deadline_s = None if timeout_s is None else _now_s() + timeout_s
            while True:
                left_s = None if deadline_s is None else max(0.0, deadline_s - _now_s())
                state = await self._ready(among, left_s, decode=False)
                if state is None:
                    return None
                batch = self._rest_of_batch(state)
                if batch is not None:
                    self._give(state, first_offset=max(batch.first_offset, batch.header.base_offset))
                    return batch

    def _rest_of_batch(self, state: PartitionState) -> AnyBatch | None:
        """None when nothing was left of it, or of the chunk."""
        if state.reading is not None:
            batch = state.reading.batch.rest(state.position)
            if not len(batch):
                self._end_of(state, state.reading)
                return None
            state.reading = None
        else:
            try:
                following = self._next_batch(state)
            except CorruptRecords:
                state.drop()
                self._fetcher.more_room()
                raise
            if following is None:
                return None
            batch = following
        state.position, state.position_epoch = max(state.position, batch.next_offset), batch.leader_epoch
        return batch

    # -- finding something

    async def _ready(self, among: Among, timeout_s: float | None, *, decode: bool = True) -> PartitionState | None:
        """A partition with records to hand out (`decode`: made); None when there is none within the time."""
        deadline_s = None if timeout_s is None else _now_s() + timeout_s
        is_late = False  # told by the timer, which may ring a little before the time that was computed
        has_waited = False  # the loop has had its turn
        while True:
            self._fetcher.arrival.clear()
            self._check()
            state = self._subscription.next_consumable(among)
            if state is not None:
                self._raise_failure(state)
                if self._open_chunk(state) and not has_waited:
                    await self._turns.give()  # the fetcher asks for the next one, which comes while this one is read
                elif not has_waited and self._turns.is_due:
                    has_waited = True
                    await self._turns.give()
                elif state.reading is not None or not decode or self._begin_batch(state):
                    return state
                continue
            left_s = None if deadline_s is None else deadline_s - _now_s()
            if is_late or (left_s is not None and left_s <= 0):
                if has_waited:
                    return None
                # Or nothing would ever come for who asks again and again without a time to wait.
                has_waited = True
                await self._turns.give()
                continue
            is_late = not await self._fetcher.wait(among, left_s)
            has_waited = True  # and the fetcher, when that came, has asked for the next

    def _raise_failure(self, state: PartitionState) -> None:
        failure = state.failure
        if failure is None:
            return
        if state.needs is not Needs.USER:  # Else it stays until the user seeks.
            state.failure = None
            self._fetcher.poke()
        raise failure.with_traceback(None)

    def _begin_batch(self, state: PartitionState) -> bool:
        try:
            batch = self._next_batch(state)
            if batch is not None:
                state.begin(batch)
        except CorruptRecords:
            state.drop()  # what is corrupt in memory may be right on the disk: fetch it again
            self._fetcher.more_room()
            raise
        return batch is not None

    def _open_chunk(self, state: PartitionState) -> bool:
        """Begin the first chunk, so that the next may be fetched; False when it was begun before, or there is none."""
        if not state.chunks or state.chunks[0].cursor is not None:
            return False
        chunk = state.chunks[0]
        chunk.cursor = BatchCursor(
            state.id,
            chunk.records,
            aborted=chunk.aborted,
            committed_only=self._settings.committed_only,
            check_crcs=self._settings.check_crcs,
            deserializers=self._settings.deserializers,
        )
        self._fetcher.more_room()
        return True

    def _next_batch(self, state: PartitionState) -> AnyBatch | None:
        """The next batch of the first chunk; None when that was at its end, and is gone now."""
        if not state.chunks:
            return None
        self._open_chunk(state)
        cursor = state.chunks[0].cursor
        assert cursor is not None, "just opened"
        batch = cursor.next(state.position)
        if batch is None:
            state.finish_chunk()
            self._fetcher.more_room()
        return batch

    def _reading(self, state: PartitionState) -> Reading:
        assert state.reading is not None, "a ready partition is being read"
        return state.reading

    def _end_of(self, state: PartitionState, reading: Reading) -> None:
        """All records of the batch that can be made were handed out."""
        if reading.failure is not None:
            raise reading.failure.with_traceback(None)
        if state.reading is reading:
            state.finish_batch()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
