"""A producer's transactions: what is open, which partitions are in it, and what the coordinator is asked.

    start ──► ready ──begin──► open ──commit, abort──► ready
                                │ ▲
           a record was refused,│ │abort (under a new epoch)
           or an answer came so ▼ │
                               failed                 any ──fenced──► fenced, for good

Version 1 of the protocol, which every Kafka from 0.11 on speaks: a partition is added to the transaction before the first
batch is sent to it.  `admit` is told of every partition that a batch is begun for; while some are not added yet, nothing
is sent (`may_send`).

A transaction that failed can only be aborted.  The sequences of its partitions have gaps then, so the producer asks for
its next epoch and goes on from 0 in all of them (KIP-360).  A producer is fenced when another takes its transactional id,
or when its transaction took longer than `transaction_timeout_ms` and was aborted for it; the coordinator does not
say which.  Kafka's class: `TransactionManager`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from random import Random

from ..protocol.apis import ApiKey
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.messages import Message
from ..protocol.values import dataclass
from .admin.values import TopicPartition
from .batch import Batch, ProducerIdentity
from .cluster import Cluster, CoordinatorKind
from .consumer.offset_requests import Committer, OffsetAndMetadata
from .errors import ClientError, ProducerFenced, TransactionFailed
from .retry import Backoff, Deadline, coordinator_may_have_moved, is_retriable

FENCED = frozenset(
    {
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    }
)
FAILED = frozenset({ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.INVALID_TXN_STATE})
COMES_SOON = frozenset({ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION})
"""What passes by itself: the last transaction is being completed; a new topic is not known everywhere."""

VERSION_ONE = {ApiKey.ADD_PARTITIONS_TO_TXN: 3, ApiKey.END_TXN: 4, ApiKey.TXN_OFFSET_COMMIT: 4}
"""Above these, brokers take the producer for one of version 2 of the protocol."""
NO_ID = -1


@dataclass(frozen=True, slots=True)
class TransactionSettings:
    """See `Producer` for each."""

    transactional_id: str
    transaction_timeout_ms: int
    max_block_ms: int
    backoff: Backoff


class State(Enum):
    """Where the producer stands; see the picture."""

    READY = auto()
    OPEN = auto()
    FAILED = auto()
    FENCED = auto()


class Transactions:
    """The transactions of one producer, one after the other.  Owned by its loop."""

    def __init__(self, settings: TransactionSettings, cluster: Cluster, random: Random) -> None:
        self.state = State.READY
        self.identity = ProducerIdentity(NO_ID, NO_ID)
        self.batches: list[Batch] = []  # of the open transaction
        self._settings = settings
        self._cluster = cluster
        self._random = random
        self._added: set[TopicPartition] = set()
        self._to_add: set[TopicPartition] = set()
        self._has_offsets = False
        self._may_be_committed = False  # the coordinator was asked to, and perhaps its answer was lost
        self._failure = ""

    @property
    def transactional_id(self) -> str:
        return self._settings.transactional_id

    # -- identity

    async def start(self) -> ProducerIdentity:
        """Take the transactional id; whoever had it is fenced, and what it left open is aborted."""
        return await self._init(ProducerIdentity(NO_ID, NO_ID))

    async def next_epoch(self) -> ProducerIdentity:
        """Go on under the next epoch, after a transaction that failed."""
        return await self._init(self.identity)

    async def _init(self, expected: ProducerIdentity) -> ProducerIdentity:
        answer = await self._ask(
            ApiKey.INIT_PRODUCER_ID,
            Message(
                transactional_id=self.transactional_id,
                transaction_timeout_ms=self._settings.transaction_timeout_ms,
                producer_id=expected.producer_id,
                producer_epoch=expected.epoch,
            ),
        )
        self.identity = ProducerIdentity(answer.producer_id, answer.producer_epoch)
        return self.identity

    # -- one transaction

    def begin(self) -> None:
        """ProducerFenced, or TransactionFailed when one is open."""
        if self.state is not State.READY:
            raise self._refusal("a transaction is open already")
        self._clear()
        self.state = State.OPEN

    def check_open(self) -> None:
        """Raise unless records may be sent: ProducerFenced, TransactionFailed."""
        if self.state is not State.OPEN:
            raise self._refusal("no transaction is open: `async with producer.transaction()`, or begin_transaction()")

    def check_begun(self) -> None:
        """Raise unless there is something to abort: ProducerFenced, TransactionFailed."""
        if not self.is_begun:
            raise self._refusal("no transaction is open")

    @property
    def is_begun(self) -> bool:
        """Whether one is open, perhaps failed."""
        return self.state in (State.OPEN, State.FAILED)

    def admit(self, topic: str, partition: int, batch: Batch) -> None:
        """A batch was begun for the partition."""
        self.batches.append(batch)
        at = TopicPartition(topic, partition)
        if at not in self._added:
            self._to_add.add(at)

    @property
    def may_send(self) -> bool:
        """Whether all partitions with batches are in the transaction."""
        return not self._to_add

    async def add_partitions(self) -> None:
        """Add those that are not in it. Failing, it is told by `state`, and nothing is sent any more."""
        wanted = frozenset(self._to_add)
        by_topic: dict[str, list[int]] = {}
        for at in wanted:
            by_topic.setdefault(at.topic, []).append(at.partition)
        question = Message(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self.identity.producer_id,
            v3_and_below_producer_epoch=self.identity.epoch,
            v3_and_below_topics=[Message(name=topic, partitions=indexes) for topic, indexes in by_topic.items()],
        )
        await self._ask(ApiKey.ADD_PARTITIONS_TO_TXN, question)
        self._added |= wanted
        self._to_add -= wanted

    def give_up_adding(self) -> None:
        """They could not be added, and what was to be sent to them has been given up."""
        self._to_add.clear()

    async def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: Committer) -> None:
        """Commit a group's offsets with the transaction; KafkaError when the group refuses."""
        self.check_open()
        who = self._who()
        await self._ask(ApiKey.ADD_OFFSETS_TO_TXN, Message(group_id=group.group_id, **vars(who)))
        self._has_offsets = True
        by_topic: dict[str, list[Message]] = {}
        for at, each in offsets.items():
            by_topic.setdefault(at.topic, []).append(
                Message(
                    partition_index=at.partition,
                    committed_offset=each.offset,
                    committed_leader_epoch=each.leader_epoch,
                    committed_metadata=each.metadata,
                )
            )
        question = Message(
            group_id=group.group_id,
            generation_id=group.generation,
            member_id=group.member_id,
            group_instance_id=group.instance_id,
            topics=[Message(name=topic, partitions=partitions) for topic, partitions in by_topic.items()],
            **vars(who),
        )
        await self._ask(ApiKey.TXN_OFFSET_COMMIT, question, group_id=group.group_id)

    async def end(self, *, committed: bool) -> None:
        """Tell the coordinator, if it has heard of the transaction; then the next may begin."""
        if self._added or self._has_offsets:
            self._may_be_committed |= committed
            try:
                await self._ask(ApiKey.END_TXN, Message(committed=committed, **vars(self._who())))
            except TransactionFailed as error:
                if committed or not self._may_be_committed or not _is_invalid_state(error.__cause__):
                    raise
                self._clear()
                self.state = State.READY
                why = (
                    "the transaction cannot be aborted: it was committed, only the answer was lost; the next may begin"
                )
                raise TransactionFailed(why) from error
        self._clear()
        self.state = State.READY

    def why_not_commit(self) -> str:
        """What went wrong with the records, in a sentence; empty when nothing did."""
        failures = (each.fate.first_failure() for each in self.batches)
        return next((str(failure) for failure in failures if failure is not None), self._failure)

    def fail(self, why: str) -> None:
        """The transaction can only be aborted."""
        if self.state is not State.FENCED:
            self.state, self._failure = State.FAILED, why

    def _clear(self) -> None:
        self.batches, self._added, self._to_add = [], set(), set()
        self._has_offsets, self._may_be_committed, self._failure = False, False, ""

    def _who(self) -> Message:
        return Message(
            transactional_id=self.transactional_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
        )

    def _refusal(self, otherwise: str) -> ClientError:
        if self.state is State.FENCED:
            return ProducerFenced(self._failure)
        if self.state is State.FAILED:
            return TransactionFailed(f"the transaction failed and must be aborted: {self._failure}")
        return TransactionFailed(otherwise)

    # -- asking

    async def _ask(self, key: ApiKey, question: Message, *, group_id: str | None = None) -> Message:
        """The answer of the coordinator, once it takes the question.

        Raises ProducerFenced, TransactionFailed, KafkaError, or ClientError when nobody answers within `max_block_ms`.
        """
        loop = asyncio.get_running_loop()
        deadline = Deadline.after(self._settings.max_block_ms / 1000, now_s=loop.time())
        attempt = 0
        while True:
            try:
                return await self._ask_once(key, question, group_id, deadline.left_s(loop.time()))
            except (KafkaError, ClientError) as error:
                attempt += 1
                delay_s = self._settings.backoff.delay_s(attempt, self._random)
                passes = is_retriable(error) or (isinstance(error, KafkaError) and error.code in COMES_SOON)
                if not passes or deadline.left_s(loop.time()) <= delay_s:
                    raise self._meaning(error) from error
                await asyncio.sleep(delay_s)

    async def _ask_once(self, key: ApiKey, question: Message, group_id: str | None, timeout_s: float) -> Message:
        kind, name = CoordinatorKind.TRANSACTION, self.transactional_id
        if group_id is not None:
            kind, name = CoordinatorKind.GROUP, group_id
        try:
            connection = await self._cluster.coordinator(kind, name, max(0.001, timeout_s))
            answer = await connection.request(key, question, at_most=VERSION_ONE.get(key))
            for code in _codes(answer):
                if code != ErrorCode.NONE:
                    known = code if isinstance(code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR
                    raise KafkaError(known, f"{key.name} of {self.transactional_id!r}")
        except (KafkaError, ClientError) as error:
            if coordinator_may_have_moved(error):
                self._cluster.forget_coordinator(kind, name)
            raise
        return answer

    def _meaning(self, error: KafkaError | ClientError) -> KafkaError | ClientError:
        """What a refusal means for the producer."""
        if not isinstance(error, KafkaError):
            self.fail(str(error))
            return error
        if error.code in FENCED:
            self.state = State.FENCED
            self._failure = (
                f"{error.code.name}: another producer has taken the transactional id {self.transactional_id!r}, or the"
                f" transaction took longer than transaction_timeout_ms ({self._settings.transaction_timeout_ms})"
            )
            return ProducerFenced(self._failure)
        self.fail(str(error))
        return TransactionFailed(str(error)) if error.code in FAILED else error


def _is_invalid_state(error: BaseException | None) -> bool:
    return isinstance(error, KafkaError) and error.code is ErrorCode.INVALID_TXN_STATE


def _codes(answer: Message) -> list[ErrorCode | int]:
    """Every error code in an answer of these APIs."""
    if hasattr(answer, "results_by_topic_v3_and_below"):
        results = [each for topic in answer.results_by_topic_v3_and_below for each in topic.results_by_partition]
        codes = [each.partition_error_code for each in results]
        # One bad partition keeps the others out; theirs is the reason.
        return sorted(codes, key=lambda code: code == ErrorCode.OPERATION_NOT_ATTEMPTED)
    if hasattr(answer, "topics"):
        return [each.error_code for topic in answer.topics for each in topic.partitions]
    return [answer.error_code]
