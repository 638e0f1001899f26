"""One partition of an internal topic with the state that its records make: the place where a coordinator decides.

    look at `machine`, decide --> write(records) --> appended as one batch, applied --> the next decision
                                       |  sync (thread, shared by all that wait for this partition)
                                       v
                                  durable --> the answer

`write` does not wait: when it returns the records are in the log and the state has changed, so the next decision, an
instant later, sees what this one has done. When it raises, nothing happened at all (a full disk refuses an append whole).
What the state holds may be ahead of the disk, so an answer that says "it is kept" waits until it is: `durable`, or
`when_durable` with a callback. So does an answer that tells what the state holds, for else a crash would take back what
somebody has read. Appends that wait together share one sync.

- The records of one `write` are one batch: after a crash all of them are there or none.
- A failed sync poisons the log, and the log says so at every further write and to all who wait. The state is then ahead of
  what the disk may have, and nobody is told any of it: what is here is settled at the next start.
- A disk that fills up between append and sync is told to those who wait; their records stay in the log and count, unless
  the machine crashes first. Not acknowledged, and perhaps there nevertheless: as with any answer that got lost.

Kafka's class: `CoordinatorRuntime`, its `CoordinatorContext` and `scheduleWriteOperation`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from ....protocol.compression import Codec
from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.records import BatchBuilder, ControlType
from ....storage.log import TransactionEnd, Verification
from ...clock import Clock
from ...partition import Partition
from ...telling import teller
from .machine import Machine, TransactionalProducer

R = TypeVar("R")
M = TypeVar("M", bound=Machine[Any])

KAFKAS_SEQUENCE = 0
"""What Kafka's coordinators write where there is no producer. It means nothing, and byte for byte it is the same."""

Told = Callable[[KafkaError | None], None]
"""Called on the loop: None when the records are on the disk, else why that cannot be said."""

log = logging.getLogger(__name__)


class Shard(Generic[R, M]):
    """A loaded partition and its machine. Owned by the loop."""

    def __init__(self, partition: Partition, machine: M, *, codec: Codec, clock: Clock) -> None:
        self.index = partition.index
        self.machine = machine
        self._partition = partition
        self._codec = codec
        self._clock = clock
        self._refusal: KafkaError | None = None
        self._applying = _Applying(self)

    def __repr__(self) -> str:
        return f"<Shard {self._partition.name}>"

    @property
    def end_offset(self) -> int:
        """Behind everything written so far."""
        return self._partition.log.log_end_offset

    @property
    def leader_epoch(self) -> int:
        """The epoch under which this node has the partition: a coordinator's epoch, which grows with every start."""
        return self._partition.leader_epoch

    # --- changing the state

    def write(
        self,
        records: Sequence[R],
        *,
        producer: TransactionalProducer | None = None,
        verification: Verification | None = None,
    ) -> int:
        """Append `records` as one batch and apply them; returns the offset behind them.

        With a `producer` they are part of its transaction, and `verification` comes with the first of them. KafkaError:
        NOT_COORDINATOR when the partition is here no more, KAFKA_STORAGE_ERROR (full disk, or poisoned),
        RECORD_LIST_TOO_LARGE, and what the log says of producers; then nothing has changed.
        """
        self._check()
        if not records:
            return self.end_offset
        now_ms = self._clock.now_ms()
        builder = self._builder(producer)
        for record in records:
            builder.append(now_ms, *self.machine.encode(record))
        batch = builder.build()
        if verification is None:
            offset = self._partition.append_own_one(batch, now_ms).base_offset
        else:
            appended = self._partition.append_own(memoryview(batch), now_ms=now_ms, verification=verification)
            offset = appended.base_offset
        return self._apply(records, offset, producer)

    def write_batch(self, batch: bytearray, records: Sequence[R], now_ms: int) -> int:
        """As `write`, of records whose batch has been built: as `write` would have, without a producer, at `now_ms`."""
        self._check()
        return self._apply(records, self._partition.append_own_one(batch, now_ms).base_offset, None)

    def _apply(self, records: Sequence[R], offset: int, producer: TransactionalProducer | None) -> int:
        apply = self.machine.apply
        with self._applying:
            for record in records:
                apply(record, offset=offset, producer=producer)
                offset += 1
        return offset

    def end_transaction(self, end: TransactionEnd) -> int:
        """Append the marker that ends a producer's transaction here, and let the state follow; returns the offset behind
        it. KafkaError as in `write`, and what the log says of markers (INVALID_PRODUCER_EPOCH,
        TRANSACTION_COORDINATOR_FENCED).
        """
        self._check()
        self._partition.end_transaction(end, now_ms=self._clock.now_ms())
        with self._applying:
            self.machine.end_transaction(end.producer_id, committed=end.marker.type is ControlType.COMMIT)
        return self.end_offset

    def _builder(self, producer: TransactionalProducer | None) -> BatchBuilder:
        if producer is None:
            return BatchBuilder(self._codec, base_sequence=KAFKAS_SEQUENCE)
        # Without a sequence, which says to the log that it is no client's.
        return BatchBuilder(
            self._codec,
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            is_transactional=True,
        )

    def _check(self) -> None:
        if self._refusal is not None:
            raise self._refusal.again()

    def close(self, refusal: KafkaError) -> None:
        """Take no more: `refusal` is what everybody is told from now on."""
        self._refusal = self._refusal or refusal

    # --- waiting for the disk

    def is_durable(self, end_offset: int) -> bool:
        """Whether all in front of `end_offset` is on the disk."""
        return end_offset <= self._partition.log.recovery_point

    def when_durable(self, end_offset: int, told: Told, *, deadline: float = math.inf) -> None:
        """Have `told` called when all in front of `end_offset` is on the disk, at once if it is; at `deadline` (the loop's
        clock) with REQUEST_TIMED_OUT.
        """
        self._partition.when_durable(end_offset, partial(_tell, told), deadline=deadline)

    async def durable(self, end_offset: int | None = None, *, deadline: float = math.inf) -> None:
        """Return when all in front of `end_offset`, or all that is written, is on the disk.

        KafkaError: KAFKA_STORAGE_ERROR when that cannot be said, REQUEST_TIMED_OUT at the deadline.
        """
        self._check()
        wanted = self.end_offset if end_offset is None else end_offset
        if self.is_durable(wanted):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_durable(wanted, teller(future), deadline=deadline)
        await future


class _Applying:
    """Around what changes the state by records that are in the log: what goes wrong here is a bug of ours, and the state
    is neither the old nor the new one, so nobody goes on with it.
    """

    def __init__(self, shard: Shard[Any, Any]) -> None:
        self._shard = shard

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            log.error("%r: a record could not be applied, its partition is given up", self._shard, exc_info=error)
            refusal = KafkaError(ErrorCode.NOT_COORDINATOR, f"{self._shard!r} could not apply a record of its own")
            self._shard.close(refusal)


def _tell(told: Told, error: Exception | None) -> None:
    if isinstance(error, TimeoutError):
        told(KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the disk has not answered in time"))
    elif error is None or isinstance(error, KafkaError):
        told(error)
    else:
        told(KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)))
