"""What one answer to a fetch brought for one partition, and the memory behind it.

The answers of a broker are not copied: each chunk is a view of the frame that the socket filled, so a frame stays in
memory as long as one chunk of it does.  Memory is therefore counted by frames, in one `Budget`: a frame is entered
with what it may be at most when its request is sent, corrected to what it is when it has come, and struck out when its
last chunk has been handed out or dropped.  Buffers that a connection keeps for later answers (`receiving`, a few
megabytes at most) are not counted.

Every broker has a share of the whole, a budget of its own within it: one whose partitions nobody reads, or whose answer is
long in coming, cannot take the room of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.values import dataclass, field

if TYPE_CHECKING:
    from .batch_walk import BatchCursor


@dataclass(slots=True)
class Budget:
    """How many bytes of answers may be in memory or on their way."""

    limit_bytes: int
    whole: Budget | None = None  # of which this is a share
    used_bytes: int = 0
    peak_bytes: int = 0

    @property
    def room_bytes(self) -> int:
        room = self.limit_bytes - self.used_bytes
        return room if self.whole is None else min(room, self.whole.room_bytes)

    def take(self, size_bytes: int) -> None:
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        if self.whole is not None:
            self.whole.take(size_bytes)

    def give_back(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        assert self.used_bytes >= 0, "more was given back than taken"
        if self.whole is not None:
            self.whole.give_back(size_bytes)


@dataclass(slots=True, eq=False)
class Frame:
    """An answer in memory, or still on its way; its bytes are in the budget until the last chunk is released."""

    budget: Budget
    size_bytes: int
    chunk_count: int = 0
    is_received: bool = False

    @classmethod
    def reserve(cls, budget: Budget, size_bytes: int) -> Frame:
        """Make room for an answer of at most this size."""
        budget.take(size_bytes)
        return cls(budget, size_bytes)

    def received(self, size_bytes: int) -> None:
        """It has come, and is so large (a first batch may be larger than was asked for)."""
        self.budget.give_back(self.size_bytes)
        self.size_bytes = size_bytes
        self.budget.take(size_bytes)

    def done(self) -> None:
        """All chunks of it are made, or it will never come."""
        self.is_received = True
        self._forget_if_unused()

    def release(self) -> None:
        self.chunk_count -= 1
        self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        if self.is_received and not self.chunk_count:
            self.budget.give_back(self.size_bytes)
            self.size_bytes = 0


@dataclass(slots=True, eq=False)
class Chunk:
    """Whole batches of one partition, one after the other; behind them the log goes on at `next_offset`."""

    frame: Frame
    records: memoryview
    next_offset: int
    leader_epoch: int
    aborted: tuple[tuple[int, int], ...] = ()  # (producer id, first offset), for read_committed
    cursor: BatchCursor | None = field(default=None, repr=False)  # while it is read

    def __post_init__(self) -> None:
        self.frame.chunk_count += 1

    @property
    def size_bytes(self) -> int:
        return len(self.records)

    def release(self) -> None:
        """Whoever holds it does not need it any more; to be called once."""
        self.records = memoryview(b"")
        self.cursor = None
        self.frame.release()
