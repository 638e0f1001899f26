"""One assigned partition: where the user is, where fetching is, what lies between.

        committable      position                fetch_offset           high_watermark
    ────────┼───────────────┼───────────────────────┼────────────────────────┼──────────►
            │ in the user's │   fetched, waits      │    still at the broker │
            │ hands         │   in `chunks`         │                        │

    committable <= position <= fetch_offset

`position` is the offset that the user is given next.  What was given last is *in hand* until the user asks for more:
an automatic commit stops before it, so that nothing is lost when the user fails over a record.

A partition needs a position before it can be fetched.  It comes from a committed offset (COMMITTED), from the log's
own ends or a time (RESET), or from the user, and after a change of leader it is held against the new leader's log
(VALIDATE, KIP-320).  `version` counts the times that the position was moved: an answer to a question that was asked
before a seek is not believed.

Pure; the clock comes from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import Any
from uuid import UUID

from ...protocol.errors import KafkaError
from ...protocol.values import dataclass, field
from ..admin.values import TopicPartition
from .chunk import Chunk
from .fetched_batch import DeserializationError, FetchedBatch
from .offset_reset import OffsetReset
from .record import ConsumerRecord

NO_EPOCH = -1


class Needs(Enum):
    """What a partition waits for before it can be fetched."""

    NOTHING = auto()
    COMMITTED = auto()
    RESET = auto()
    VALIDATE = auto()
    USER = auto()  # there is nothing to go by, and the user was told


@dataclass(slots=True, eq=False)
class Reading:
    """A batch whose records are being handed out one by one; `failure` is what is wrong with the one after the last."""

    batch: FetchedBatch[Any, Any]
    records: Iterator[ConsumerRecord[Any, Any]]
    failure: DeserializationError | None


@dataclass(slots=True, eq=False)
class PartitionState:
    """A partition as long as it is assigned; taken away and given back it is a new one."""

    id: TopicPartition
    topic_id: UUID | None = None  # of the topic that the position is in
    position: int = -1
    fetch_offset: int = -1
    position_epoch: int = NO_EPOCH  # leader epoch of the record before `position`
    leader_epoch: int = NO_EPOCH  # under which the position was last found valid
    in_hand_from: int | None = None
    is_iterated: bool = False  # the record before `position` is in the hands of an `async for`
    version: int = 0
    needs: Needs = Needs.COMMITTED
    reset: OffsetReset | None = None
    paused: bool = False
    held: bool = False  # about to be taken away, or just being given: nothing of it is handed out
    failure: KafkaError | None = None  # to be raised to the user before anything else of this partition
    not_before_s: float = 0.0  # after a refusal
    high_watermark: int | None = None
    last_stable_offset: int | None = None
    log_start_offset: int | None = None
    committed: int | None = None  # as this consumer last committed it
    chunks: deque[Chunk] = field(default_factory=deque)
    reading: Reading | None = None

    @property
    def committable(self) -> int:
        """Up to where the user is done."""
        if self.is_iterated:
            return self.position - 1
        return self.position if self.in_hand_from is None else self.in_hand_from

    @property
    def is_in_hand(self) -> bool:
        return self.is_iterated or self.in_hand_from is not None

    def settle(self) -> None:
        """The user is done with what it was given."""
        self.in_hand_from, self.is_iterated = None, False

    @property
    def has_position(self) -> bool:
        return self.position >= 0

    @property
    def waiting_bytes(self) -> int:
        """Of chunks that nobody has begun to read."""
        return sum(chunk.size_bytes for chunk in self.chunks if chunk.cursor is None)

    @property
    def is_fetchable(self) -> bool:
        return (
            self.needs is Needs.NOTHING
            and self.position >= 0
            and not self.paused
            and not self.held
            and self.failure is None
        )

    @property
    def is_consumable(self) -> bool:
        """Whether something of it can be handed to the user: records, or what is wrong."""
        return not self.paused and not self.held and (bool(self.chunks) or self.failure is not None)

    # -- the position

    def move(self, offset: int, epoch: int = NO_EPOCH) -> None:
        """Go on at `offset`; what was fetched is dropped, what is in hand is not."""
        self.drop()
        self.version += 1
        self.position = self.fetch_offset = offset
        self.position_epoch = epoch
        self.settle()
        self.leader_epoch = NO_EPOCH
        self.needs, self.reset, self.failure = Needs.NOTHING, None, None
        self.not_before_s = 0.0

    def await_reset(self, reset: OffsetReset) -> None:
        """The position is to be asked for."""
        self.drop()
        self.version += 1
        self.needs, self.reset, self.failure = Needs.RESET, reset, None

    def await_user(self, failure: KafkaError) -> None:
        """There is nothing to go by: tell the user, and wait for a seek."""
        self.drop()
        self.version += 1
        self.needs, self.failure = Needs.USER, failure

    def forget(self) -> None:
        """The topic is another one of the same name: of what was read in the old one nothing holds."""
        self.position = -1
        self.drop()
        self.version += 1
        self.settle()
        self.position_epoch = self.leader_epoch = NO_EPOCH
        self.committed = self.high_watermark = self.last_stable_offset = self.log_start_offset = None

    # -- what was fetched

    def add(self, chunk: Chunk) -> None:
        """Fetched records that follow what is there already."""
        assert chunk.next_offset > self.fetch_offset, "fetching goes forward"
        self.chunks.append(chunk)
        self.fetch_offset = chunk.next_offset

    def drop(self) -> None:
        """Forget what was fetched and not yet handed out; it will be fetched again."""
        while self.chunks:
            self.chunks.popleft().release()
        self.reading = None
        self.fetch_offset = self.position

    def finish_chunk(self) -> None:
        """The first chunk was handed out to its end."""
        chunk = self.chunks.popleft()
        self.position, self.position_epoch = max(self.position, chunk.next_offset), chunk.leader_epoch
        chunk.release()

    def begin(self, batch: FetchedBatch[Any, Any]) -> Reading:
        """Make the records of the next batch."""
        records, failure = batch.records_until_failure()
        self.position_epoch = batch.leader_epoch
        self.reading = Reading(batch, records, failure)
        return self.reading

    def finish_batch(self) -> None:
        """The batch that is read was handed out to its end."""
        assert self.reading is not None, "nothing is read"
        assert self.reading.failure is None, "a record is left that the user was not given"
        self.position = max(self.position, self.reading.batch.next_offset)
        self.reading = None

    def interrupt(self) -> None:
        """Whoever hands out records of this partition finds another reading in its place, and stops to look around."""
        if self.reading is not None:
            self.reading = replace(self.reading)

    # -- what the user is told

    def lag(self, *, committed_only: bool) -> int | None:
        """How many offsets are left to read; None before the first answer of the broker."""
        end = self.last_stable_offset if committed_only else self.high_watermark
        return None if end is None or not self.has_position else max(0, end - self.position)

    def check(self) -> None:
        """Raise AssertionError unless the invariants above hold."""
        if self.has_position:
            assert self.committable <= self.position <= self.fetch_offset, self
        assert self.needs is not Needs.RESET or self.reset is not None
        assert not self.chunks or self.needs is Needs.NOTHING or self.needs is Needs.VALIDATE
