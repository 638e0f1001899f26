"""Several producers and their coordinator, in virtual time, on a disk that loses power: the real decisions, records, endings
and logs, put together without a loop, so that a crash fits between any two steps.

The producers write in transactions of both versions of the protocol into two partitions, wait for the disk or do not, end
their transactions well or not, and are taken over by others, which they do not notice. The coordinator is restarted at any
record, the process is killed, the power goes. In the end everything comes to rest, and

- each transaction is there whole or not at all, for readers of committed records;
- what was committed, and answered, is there; what was aborted, and answered, is not;
- nobody who was fenced has written anything that is;
- no transaction is left open in a partition: everything is stable. And before: no open one is ever passed.

OTTLA_HEAVY=1 tries many more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ottla.broker.coordinators.transactions import deciding
from ottla.broker.coordinators.transactions.deciding import End
from ottla.broker.coordinators.transactions.ending import Ending, Told, marker_of
from ottla.broker.coordinators.transactions.machine import TransactionMachine
from ottla.broker.coordinators.transactions.records import TransactionRecord
from ottla.broker.coordinators.transactions.transaction import PREPARED, ProducerIdAndEpoch, Transaction
from ottla.protocol.errors import KafkaError
from ottla.protocol.records import BatchBuilder, ControlType, iter_headers, iter_records, read_end_txn_marker
from ottla.storage.config import LogConfig
from ottla.storage.directory_names import TopicPartition
from ottla.storage.log import Log, TransactionEnd, Verification
from support.power_cut import PowerCutFiles, PowerLost

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
STATE = TopicPartition("__transaction_state", 0)
DATA = [TopicPartition("t", 0), TopicPartition("t", 1)]
CONFIG = LogConfig(segment_bytes=1000, index_interval_bytes=200, retention_ms=-1, segment_ms=10**9)
IDS = ["a", "b"]
TIMEOUT_MS = 1000


@dataclass
class Attempt:
    """One transaction as its producer sees it."""

    written: dict[str, bool] = field(default_factory=dict)  # value -> whether it was acknowledged
    outcome: str = "unknown"
    may_commit: bool = False  # a commit was asked for


@dataclass
class Instance:
    """One life of a producer, perhaps one that was taken over and does not know."""

    transactional_id: str
    version: int
    producer: ProducerIdAndEpoch
    sequences: dict[TopicPartition, int] = field(default_factory=dict)
    attempt: Attempt = field(default_factory=Attempt)
    is_ending: bool = False  # it waits for an answer
    is_broken: bool = False  # it was refused something, or does not know what became of it: it ends there


class World(RuleBasedStateMachine):
    """The broker's memory and disk, and the producers outside."""

    def __init__(self) -> None:
        super().__init__()
        self.files = PowerCutFiles()
        for directory in [STATE, *DATA]:
            self.files.make_directory(f"/data/{directory}")
        self.files.sync_directory("/data")
        self.files.sync_directory("/")
        self.loop = asyncio.new_event_loop()
        self.now_ms = 1_000_000
        self.leader_epoch = 0
        self.next_id = 100
        self.next_value = 0
        self.instances: list[Instance] = []
        self.attempts: list[Attempt] = []

    @initialize()
    def begin(self) -> None:
        self.start()

    def teardown(self) -> None:
        with contextlib.suppress(PowerLost):  # an example that was broken off
            if hasattr(self, "logs"):
                self.come_to_rest()
        self.loop.close()

    # --- the broker

    def start(self) -> None:
        self.leader_epoch += 1
        self.waiting: list[tuple[TopicPartition, int, Told]] = []
        self.endings: dict[str, Ending] = {}
        self.logs = {at: self.open(at) for at in [STATE, *DATA]}
        self.machine = TransactionMachine()
        for key, value in records_in(self.logs[STATE]):
            record = self.machine.decode(key, value)
            assert record is not None
            self.machine.apply(record, offset=0, producer=None)
        for transaction in list(self.machine):
            if transaction.state in PREPARED:
                self.begin_ending(transaction, self.logs[STATE].log_end_offset)

    def open(self, at: TopicPartition) -> Log:
        return Log.open(f"/data/{at}", files=self.files, config=CONFIG, now_ms=self.now_ms, clean=False)

    def put(self, after: Transaction) -> int:
        """One record, applied; returns the offset behind it."""
        record = TransactionRecord(after.transactional_id, after)
        builder = BatchBuilder()
        builder.append(self.now_ms, *self.machine.encode(record))
        self.logs[STATE].append(builder.build(), leader_epoch=self.leader_epoch, now_ms=self.now_ms)
        self.machine.apply(record, offset=0, producer=None)
        end_offset = self.logs[STATE].log_end_offset
        if after.state in PREPARED:
            self.begin_ending(after, end_offset)
        return end_offset

    def begin_ending(self, transaction: Transaction, end_offset: int) -> None:
        def complete() -> None:
            del self.endings[transaction.transactional_id]
            self.put(deciding.complete(transaction, now_ms=self.now_ms))

        ending = self.endings[transaction.transactional_id] = Ending(
            transaction,
            self,
            end=marker_of(transaction, coordinator_epoch=self.leader_epoch, now_ms=self.now_ms),
            when_prepared=lambda told: self.when_durable(STATE, end_offset, told),
            complete=complete,
            done=self.loop.create_future(),
        )
        ending.go_on()

    def exists(self, at: TopicPartition, /) -> bool:
        return at in self.logs

    def write(self, at: TopicPartition, end: TransactionEnd, /) -> int:
        return self.logs[at].end_transaction(end, leader_epoch=self.leader_epoch, now_ms=self.now_ms).last_offset + 1

    def when_durable(self, at: TopicPartition, end_offset: int, told: Told, /) -> None:
        if end_offset <= self.logs[at].recovery_point:
            told(None)
        else:
            self.waiting.append((at, end_offset, told))

    # --- producers

    def ask(self, instance: Instance, decide: Callable[[Transaction | None], Transaction | None]) -> int | None:
        """Ask the coordinator; the offset behind its record, or None when it refused."""
        try:
            after = decide(self.machine.get(instance.transactional_id))
        except KafkaError:
            instance.is_broken = True
            return None
        return self.logs[STATE].log_end_offset if after is None else self.put(after)

    @rule(transactional_id=st.sampled_from(IDS), version=st.sampled_from([0, 2]))
    def take_over(self, transactional_id: str, version: int) -> None:
        """Somebody begins under this id; whoever had it goes on for now."""
        self.next_id += 1
        try:
            after = deciding.init_producer_id(
                transactional_id,
                self.machine.get(transactional_id),
                expected=None,
                timeout_ms=TIMEOUT_MS,
                spare_id=self.next_id,
                now_ms=self.now_ms,
            )
        except KafkaError:
            return  # it is being completed
        self.put(after)
        if after.state not in PREPARED:
            self.sync(STATE)  # else nobody is told
            producer = ProducerIdAndEpoch(after.producer_id, after.producer_epoch)
            self.instances.append(Instance(transactional_id, version, producer))

    def pick(self, data: st.DataObject) -> Instance | None:
        alive = [each for each in self.instances if not each.is_broken and not each.is_ending]
        return data.draw(st.sampled_from(alive)) if alive else None

    @rule(data=st.data(), at=st.sampled_from(DATA), waits=st.booleans())
    def write_something(self, data: st.DataObject, at: TopicPartition, waits: bool) -> None:
        instance = self.pick(data)
        if instance is not None:
            self.produce(instance, at, waits=waits)

    @rule(data=st.data(), synced=st.lists(st.sampled_from([STATE, *DATA]), max_size=3))
    def write_everywhere_and_commit(self, data: st.DataObject, synced: list[TopicPartition]) -> None:
        """What most producers do most of the time; the disk has got only so far with it."""
        instance = self.pick(data)
        if instance is None:
            return
        for at in DATA:
            self.produce(instance, at, waits=True)
        if not instance.is_broken:
            self.finish(instance, committed=True)
        for at in synced:
            self.sync(at)

    def produce(self, instance: Instance, at: TopicPartition, *, waits: bool) -> None:
        """As a broker does it: ask, write that down, then append what passes; `waits` until it is acknowledged."""
        states, sequence = self.logs[at].producers, instance.sequences.get(at, 0)
        verification = None
        if not states.has_open_transaction(*instance.producer):
            verification = states.verifications.begin(
                instance.producer.producer_id,
                sequence,
                instance.producer.epoch,
                bumps_epoch=instance.version == 2,
                now_ms=self.now_ms,
            )
            end_offset = self.ask(instance, lambda now: self.added(now, instance, at))
            if end_offset is None:
                return
            self.when_durable(STATE, end_offset, lambda _: self.append(instance, at, sequence, verification))
        else:
            self.append(instance, at, sequence, None)
        instance.sequences[at] = sequence + 1
        if waits:
            self.sync(STATE)
            self.sync(at)

    def added(self, now: Transaction | None, instance: Instance, at: TopicPartition) -> Transaction | None:
        return deciding.add_partitions(
            now, instance.producer, frozenset({at}), client_version=instance.version, now_ms=self.now_ms
        )

    def append(self, instance: Instance, at: TopicPartition, sequence: int, verification: Verification | None) -> None:
        self.next_value += 1
        value, attempt = str(self.next_value), instance.attempt
        builder = BatchBuilder(
            producer_id=instance.producer.producer_id,
            producer_epoch=instance.producer.epoch,
            base_sequence=sequence,
            is_transactional=True,
        )
        builder.append(self.now_ms, None, value.encode())
        try:
            appended = self.logs[at].append(
                builder.build(), leader_epoch=self.leader_epoch, now_ms=self.now_ms, verification=verification
            )
        except KafkaError:
            instance.is_broken = True
            return
        attempt.written[value] = False
        if attempt not in self.attempts:
            self.attempts.append(attempt)
        self.when_durable(at, appended.last_offset + 1, lambda _: attempt.written.update({value: True}))

    @rule(data=st.data(), committed=st.booleans())
    def end(self, data: st.DataObject, committed: bool) -> None:
        instance = self.pick(data)
        if instance is not None:
            self.finish(instance, committed=committed)

    def finish(self, instance: Instance, *, committed: bool) -> None:
        """A producer commits only what was acknowledged."""
        attempt = instance.attempt
        committed = committed and all(attempt.written.values())
        attempt.may_commit = committed
        wish = End(producer=instance.producer, committed=committed, client_version=instance.version)
        after: list[Transaction] = []

        def decide(now: Transaction | None) -> Transaction | None:
            decided = deciding.end(now, wish, spare_id=None, now_ms=self.now_ms)
            after.extend([decided] if decided is not None else [])
            return decided

        end_offset = self.ask(instance, decide)
        if end_offset is not None:
            instance.is_ending = True
            self.when_durable(STATE, end_offset, lambda _: self.ended(instance, attempt, committed, after))

    def ended(self, instance: Instance, attempt: Attempt, committed: bool, after: list[Transaction]) -> None:
        """The answer: the producer goes on to its next transaction."""
        instance.is_ending = False
        if instance.attempt is not attempt or not after:
            return
        attempt.outcome = "committed" if committed else "aborted"
        instance.attempt = Attempt()
        if instance.version == 2:
            instance.producer, instance.sequences = deciding.producer_after(after[0]), {}

    # --- the world

    @rule(at=st.sampled_from([STATE, *DATA]))
    def sync(self, at: TopicPartition) -> None:
        """The disk has all of one log; whoever waited is told."""
        self.logs[at].flush()
        told = [each for each in self.waiting if each[0] == at and each[1] <= self.logs[at].recovery_point]
        self.waiting = [each for each in self.waiting if each not in told]
        for _, _, tell in told:
            tell(None)

    @rule(passed_ms=st.integers(0, 800))
    def let_time_pass(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        for transaction in [each for each in self.machine if each.is_late(self.now_ms)]:
            self.put(deciding.fence(transaction, now_ms=self.now_ms))
        for ending in list(self.endings.values()):
            ending.go_on()

    @rule(randomness=st.none() | st.randoms(use_true_random=False))
    def crash(self, randomness: Random | None) -> None:
        """The process dies, or the machine; producers do not know what became of what they wait for."""
        self.files = self.files.kill() if randomness is None else self.files.cut(randomness)
        for instance in self.instances:
            instance.is_broken = instance.is_broken or bool(self.waiting)
        self.start()

    # --- what holds

    @invariant()
    def no_open_transaction_is_passed(self) -> None:
        for at in DATA if hasattr(self, "logs") else ():
            log = self.logs[at]
            opened = [producer.txn_first_offset for _, producer in log.producers if producer.txn_first_offset >= 0]
            assert log.last_stable_offset == min(opened, default=log.log_end_offset)

    @rule()
    def come_to_rest(self) -> None:
        """Let all transactions be too late, and everything be on the disk; then look."""
        for instance in self.instances:
            instance.is_broken = True
        self.let_time_pass(2 * TIMEOUT_MS)
        while self.endings or self.waiting:
            for at in [STATE, *DATA]:
                self.sync(at)
            self.let_time_pass(2 * TIMEOUT_MS)
        found = {value for at in DATA for value in committed_in(self.logs[at])}
        for at in DATA:
            assert self.logs[at].last_stable_offset == self.logs[at].log_end_offset
        for attempt in self.attempts:
            acknowledged = {value for value, acked in attempt.written.items() if acked}
            seen = found & attempt.written.keys()
            assert not seen or acknowledged <= seen, "half of a transaction"
            if attempt.outcome == "committed":
                assert acknowledged <= seen
            if attempt.outcome == "aborted" or not attempt.may_commit:
                assert not seen


def records_in(log: Log) -> list[tuple[bytes, bytes | None]]:
    found: list[tuple[bytes, bytes | None]] = []
    for data, position in batches_in(log):
        for record in iter_records(data, position, max_decompressed_bytes=1 << 20):
            assert record.key is not None
            found.append((record.key, record.value))
    return found


def batches_in(log: Log) -> list[tuple[bytes, int]]:
    found: list[tuple[bytes, int]] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes=1 << 20)
        assert piece is not None
        data = piece.read()
        for position, header in iter_headers(data):
            found.append((data, position))
            offset = header.next_offset
    return found


def committed_in(log: Log) -> list[str]:
    """What a reader of committed records gets, by the markers alone."""
    found: list[str] = []
    pending: dict[int, list[str]] = {}
    for data, position in batches_in(log):
        _, header = next(iter_headers(data, position))
        records = list(iter_records(data, position, max_decompressed_bytes=1 << 20))
        if header.is_control:
            decided = pending.pop(header.producer_id, [])
            if read_end_txn_marker(records[0]).type is ControlType.COMMIT:
                found += decided
        else:
            values = [each.value.decode() for each in records if each.value is not None]
            pending.setdefault(header.producer_id, []).extend(values)
    return found


EXAMPLES = int(os.environ.get("OTTLA_EXAMPLES", "2000")) if HEAVY else 50

TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=EXAMPLES, stateful_step_count=80 if HEAVY else 50, deadline=None)
if HEAVY:
    TestWorld = pytest.mark.timeout(3600)(TestWorld)
