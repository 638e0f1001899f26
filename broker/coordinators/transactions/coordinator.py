"""The transaction coordinator: decides about transactional ids, writes it down, and ends what is to end.

    request --> `deciding` (pure) --> one record in the id's partition of `__transaction_state` --> durable --> answer
                                            `--> is it a Prepare? then an `Ending` goes on by itself

Every state is in the log before anybody is told of it, so a restart goes on where the last one stopped: what was open stays
open, until its producer or the clock ends it; what was prepared is completed. A transaction that stays open for longer
than its producer's `transaction.timeout.ms` is aborted, and its producer fenced; an id that nobody uses for
`transactional.id.expiration.ms` is forgotten. Both are looked for every so often, as in Kafka.

While the markers of a transaction are being written its producer is told CONCURRENT_TRANSACTIONS. One that adds partitions
is kept waiting for a moment first (`add.partitions.to.txn.retry.backoff.max.ms`): it is nearly always enough.

Kafka's classes: `TransactionCoordinator`, `TransactionStateManager`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial

from ....protocol.compression import Codec
from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass
from ....storage.directory_names import TopicPartition
from ...catalog import Catalog
from ...clock import Clock
from ...config import BrokerConfig
from ...producer_ids import ProducerIds
from ...topic_names import TRANSACTION_STATE
from ..runtime.runtime import CoordinatorRuntime, FindPartition
from ..runtime.shard import Shard
from . import deciding
from .deciding import End, NeedsProducerId
from .ending import Ending, Markers, Told, marker_of
from .machine import TransactionMachine
from .records import TransactionRecord
from .transaction import PREPARED, ProducerIdAndEpoch, Transaction

RETRY_ENDINGS_S = 0.5
"""How long an ending rests that could not go on."""

TransactionShard = Shard[TransactionRecord, TransactionMachine]
Decide = Callable[[Transaction | None, int | None, int], Transaction | None]
"""(present state, a producer id to spare, now in ms) -> the new state."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionSettings:
    """The broker's settings, by Kafka's names; times in milliseconds."""

    max_timeout_ms: int
    look_for_late_ms: int
    look_for_forgotten_ms: int
    expiration_ms: int
    patience_ms: int
    disk_patience_ms: int

    @classmethod
    def of(cls, config: BrokerConfig) -> TransactionSettings:
        """As the configuration has them."""
        return cls(
            max_timeout_ms=config.whole("transaction.max.timeout.ms"),
            look_for_late_ms=config.whole("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            look_for_forgotten_ms=config.whole("transaction.remove.expired.transaction.cleanup.interval.ms"),
            expiration_ms=config.whole("transactional.id.expiration.ms"),
            patience_ms=config.whole("add.partitions.to.txn.retry.backoff.max.ms"),
            disk_patience_ms=config.whole("request.timeout.ms"),
        )


class TransactionCoordinator:
    """All transactional ids of this node. Owned by the loop."""

    def __init__(
        self,
        settings: TransactionSettings,
        *,
        catalog: Catalog,
        partitions: FindPartition,
        markers: Markers,
        producer_ids: ProducerIds,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._markers = markers
        self._producer_ids = producer_ids
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._runtime: CoordinatorRuntime[TransactionRecord, TransactionMachine] = CoordinatorRuntime(
            TRANSACTION_STATE, self, catalog=catalog, partitions=partitions, codec=Codec.NONE, clock=clock
        )
        self._endings: dict[str, Ending] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- coming and going

    def start(self) -> None:
        """Load what is there and watch the clock. The partitions follow the catalog already."""
        self._runtime.start()
        self._every("late", self._settings.look_for_late_ms / 1000, self._end_late)
        self._every("forgotten", self._settings.look_for_forgotten_ms / 1000, self._forget)
        self._every("endings", RETRY_ENDINGS_S, self._go_on)

    async def stop(self) -> None:
        """Decide nothing more. What is under way is found by the next start."""
        for timer in self._timers.values():
            timer.cancel()
        await self._runtime.stop()

    async def loaded(self) -> None:
        """Return when nothing is being loaded."""
        await self._runtime.loaded()

    def new_machine(self, partition: int) -> TransactionMachine:
        """An empty state; the runtime fills it."""
        return TransactionMachine()

    def on_loaded(self, shard: TransactionShard) -> None:
        """Complete what was prepared when the last coordinator stopped."""
        for transaction in list(shard.machine):
            if transaction.state in PREPARED:
                self._begin_ending(shard, transaction, shard.end_offset)

    def on_unloaded(self, shard: TransactionShard) -> None:
        """The shard is gone; so are its endings."""
        for transaction in shard.machine:
            ending = self._endings.pop(transaction.transactional_id, None)
            if ending is not None:
                ending.give_up()

    # --- requests

    async def init_producer_id(
        self, transactional_id: str, timeout_ms: int, expected: ProducerIdAndEpoch | None
    ) -> ProducerIdAndEpoch:
        """The producer's id and its new epoch, once they are on the disk.

        Raises KafkaError: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS (also
        when an open transaction is being aborted for it), and what `shard_for` of the runtime says.
        """
        _check_id(transactional_id)
        if not 0 < timeout_ms <= self._settings.max_timeout_ms:
            raise KafkaError(ErrorCode.INVALID_TRANSACTION_TIMEOUT, f"a timeout of {timeout_ms} ms is not allowed")

        def decide(now: Transaction | None, spare_id: int | None, now_ms: int) -> Transaction:
            return deciding.init_producer_id(
                transactional_id, now, expected=expected, timeout_ms=timeout_ms, spare_id=spare_id, now_ms=now_ms
            )

        transaction = await self._change(transactional_id, decide)
        assert transaction is not None, "the first decision makes the id"
        if transaction.state in PREPARED:
            raise deciding.concurrent(transaction)
        return ProducerIdAndEpoch(transaction.producer_id, transaction.producer_epoch)

    async def add_partitions(
        self,
        transactional_id: str,
        producer: ProducerIdAndEpoch,
        partitions: frozenset[TopicPartition],
        *,
        client_version: int,
    ) -> None:
        """Make the partitions part of the producer's transaction, once that is on the disk.

        Raises KafkaError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, and what
        `shard_for` of the runtime says.
        """
        _check_id(transactional_id)

        def decide(now: Transaction | None, _spare_id: int | None, now_ms: int) -> Transaction | None:
            return deciding.add_partitions(now, producer, partitions, client_version=client_version, now_ms=now_ms)

        await self._ended(transactional_id)
        await self._change(transactional_id, decide)

    def missing_partitions(
        self, transactional_id: str, producer: ProducerIdAndEpoch, partitions: list[TopicPartition]
    ) -> list[TopicPartition]:
        """Those that are not in the producer's transaction. KafkaError as `add_partitions`."""
        _check_id(transactional_id)
        return deciding.missing_partitions(self.get(transactional_id), producer, partitions)

    async def end(self, transactional_id: str, wish: End) -> ProducerIdAndEpoch:
        """Commit or abort, once that is on the disk; the markers follow. Returns who the producer is from now on.

        Raises KafkaError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE,
        CONCURRENT_TRANSACTIONS, and what `shard_for` of the runtime says.
        """
        _check_id(transactional_id)

        def decide(now: Transaction | None, spare_id: int | None, now_ms: int) -> Transaction | None:
            return deciding.end(now, wish, spare_id=spare_id, now_ms=now_ms)

        transaction = await self._change(transactional_id, decide)
        assert transaction is not None, "an unknown id is refused"
        return deciding.producer_after(transaction)

    def get(self, transactional_id: str) -> Transaction | None:
        """The state of an id. KafkaError as `shard_for` of the runtime."""
        return self._runtime.shard_for(transactional_id).machine.get(transactional_id)

    def __iter__(self) -> Iterator[Transaction]:
        """All of them, partition by partition. KafkaError(COORDINATOR_LOAD_IN_PROGRESS) while some are not loaded."""
        if self._runtime.is_loading:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, f"{TRANSACTION_STATE} is being loaded")
        return (transaction for shard in self._runtime.shards for transaction in shard.machine)

    # --- changing

    async def _change(self, transactional_id: str, decide: Decide) -> Transaction | None:
        """Decide, write, and wait for the disk; the state then decided, which may have gone on since."""
        spare_id: int | None = None
        while True:
            shard = self._runtime.shard_for(transactional_id)
            now = shard.machine.get(transactional_id)
            try:
                after = decide(now, spare_id, self._clock.now_ms())
                break
            except NeedsProducerId:
                spare_id = await self._producer_ids.take()
        try:
            if after is not None:
                self._write(shard, after)
            async with asyncio.timeout(self._settings.disk_patience_ms / 1000):
                await shard.durable()
        except TimeoutError as error:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{shard!r}: the disk takes too long") from error
        except KafkaError as error:
            if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
                raise
            # as Kafka: whoever hears this looks for a coordinator anew, and comes again
            raise KafkaError(ErrorCode.NOT_COORDINATOR, error.message) from error
        return now if after is None else after

    def _write(self, shard: TransactionShard, after: Transaction) -> None:
        end_offset = shard.write([TransactionRecord(after.transactional_id, after)])
        if after.state in PREPARED:
            self._begin_ending(shard, after, end_offset)

    async def _ended(self, transactional_id: str) -> None:
        """Give an ending that is under way a moment to be done."""
        ending = self._endings.get(transactional_id)
        if ending is not None:
            await asyncio.wait([ending.done], timeout=self._settings.patience_ms / 1000)

    # --- ending

    def _begin_ending(self, shard: TransactionShard, transaction: Transaction, end_offset: int) -> None:
        end = marker_of(transaction, coordinator_epoch=shard.leader_epoch, now_ms=self._clock.now_ms())
        ending = Ending(
            transaction,
            self._markers,
            end=end,
            when_prepared=partial(_when_durable, shard, end_offset),
            complete=partial(self._complete, shard, transaction),
            done=self._loop.create_future(),
        )
        self._endings[transaction.transactional_id] = ending
        ending.go_on()

    def _complete(self, shard: TransactionShard, transaction: Transaction) -> None:
        after = deciding.complete(transaction, now_ms=self._clock.now_ms())
        shard.write([TransactionRecord(after.transactional_id, after)])
        del self._endings[after.transactional_id]

    # --- by the clock

    def _every(self, name: str, period_s: float, duty: Callable[[], None]) -> None:
        def turn() -> None:
            self._timers[name] = self._loop.call_later(period_s, turn)
            duty()

        self._timers[name] = self._loop.call_later(period_s, turn)

    def _go_on(self) -> None:
        for ending in list(self._endings.values()):
            ending.go_on()

    def _end_late(self) -> None:
        """Abort what is open for too long."""
        now_ms = self._clock.now_ms()
        for shard in self._runtime.shards:
            for transaction in [each for each in shard.machine if each.is_late(now_ms)]:
                log.info(
                    "%r: its transaction is aborted after %d ms", transaction.transactional_id, transaction.timeout_ms
                )
                self._try_to_write(shard, deciding.fence(transaction, now_ms=now_ms))

    def _try_to_write(self, shard: TransactionShard, after: Transaction) -> None:
        try:
            self._write(shard, after)
        except KafkaError as refusal:
            log.warning("%r waits to be aborted: %s", after.transactional_id, refusal)

    def _forget(self) -> None:
        """Let go of ids that nobody uses any more."""
        now_ms, expiration_ms = self._clock.now_ms(), self._settings.expiration_ms
        for shard in self._runtime.shards:
            gone = [each.transactional_id for each in shard.machine if each.is_forgotten(now_ms, expiration_ms)]
            try:
                shard.write([TransactionRecord(each, None) for each in gone])
            except KafkaError as refusal:
                log.warning("%d transactional ids wait to be forgotten: %s", len(gone), refusal)


def _when_durable(shard: TransactionShard, end_offset: int, told: Told) -> None:
    shard.when_durable(end_offset, told)


def _check_id(transactional_id: str) -> None:
    if not transactional_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a transactional id must not be empty")
