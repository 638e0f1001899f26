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
from dataclasses import dataclass, field
from enum import Enum, auto

from ...protocol.errors import KafkaError
from ..admin_values import TopicPartition
from .chunk import Chunk, Frame
from .offset_reset import OffsetReset

NO_EPOCH = -1


class Needs(Enum):
    """What a partition waits for before it can be fetched."""

    NOTHING = auto()
    COMMITTED = auto()
    RESET = auto()
    VALIDATE = auto()
    USER = auto()  # there is nothing to go by, and the user was told


@dataclass(slots=True, eq=False)
class PartitionState:
    """A partition as long as it is assigned; taken away and given back it is a new one."""

    id: TopicPartition
    position: int = -1
    fetch_offset: int = -1
    position_epoch: int = NO_EPOCH  # leader epoch of the record before `position`
    fetch_epoch: int = NO_EPOCH  # the same for `fetch_offset`
    leader_epoch: int = NO_EPOCH  # under which the position was last found valid
    in_hand_from: int | None = None
    version: int = 0
    needs: Needs = Needs.COMMITTED
    reset: OffsetReset | None = None
    paused: bool = False
    revoking: bool = False  # about to be taken away: nothing of it is handed out any more
    failure: KafkaError | None = None  # to be raised to the user before anything else of this partition
    not_before_s: float = 0.0  # after a refusal
    high_watermark: int | None = None
    last_stable_offset: int | None = None
    log_start_offset: int | None = None
    committed: int | None = None  # as this consumer last committed it
    chunks: deque[Chunk] = field(default_factory=deque)

    @property
    def committable(self) -> int:
        """Up to where the user is done."""
        return self.position if self.in_hand_from is None else self.in_hand_from

    @property
    def has_position(self) -> bool:
        return self.position >= 0

    @property
    def buffered_bytes(self) -> int:
        return sum(chunk.size_bytes for chunk in self.chunks)

    @property
    def is_fetchable(self) -> bool:
        return (
            self.needs is Needs.NOTHING
            and self.position >= 0
            and not self.paused
            and not self.revoking
            and self.failure is None
        )

    @property
    def is_consumable(self) -> bool:
        """Whether something of it can be handed to the user: records, or what is wrong."""
        return not self.paused and not self.revoking and (bool(self.chunks) or self.failure is not None)

    # -- the position

    def move(self, offset: int, epoch: int = NO_EPOCH) -> None:
        """Go on at `offset`; what was fetched is dropped, what is in hand is not."""
        self.drop()
        self.version += 1
        self.position = self.fetch_offset = offset
        self.position_epoch = self.fetch_epoch = epoch
        self.in_hand_from = None
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

    # -- what was fetched

    def add(self, chunk: Chunk, next_offset: int, epoch: int) -> None:
        """Fetched records that follow what is there already; the next ones are at `next_offset`."""
        assert next_offset > self.fetch_offset, "fetching goes forward"
        self.chunks.append(chunk)
        self.fetch_offset = next_offset
        if epoch != NO_EPOCH:
            self.fetch_epoch = epoch

    def drop(self) -> None:
        """Forget what was fetched and not yet handed out; it will be fetched again."""
        while self.chunks:
            self.chunks.popleft().release()
        self.fetch_offset, self.fetch_epoch = self.position, self.position_epoch

    def finish_chunk(self) -> None:
        """The first chunk was handed out to its end."""
        self.chunks.popleft().release()

    # -- what the user is told

    def lag(self, *, committed_only: bool) -> int | None:
        """How many offsets are left to read; None before the first answer of the broker."""
        end = self.last_stable_offset if committed_only else self.high_watermark
        return None if end is None or not self.has_position else max(0, end - self.position)

    def frames(self) -> Iterator[Frame]:
        """The answers of the broker that this partition keeps in memory."""
        return (chunk.frame for chunk in self.chunks)

    def check(self) -> None:
        """Raise AssertionError unless the invariants above hold."""
        if self.has_position:
            assert self.committable <= self.position <= self.fetch_offset, self
        assert self.needs is not Needs.RESET or self.reset is not None
        assert not self.chunks or self.needs is Needs.NOTHING or self.needs is Needs.VALIDATE
