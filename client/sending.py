"""Between a producer's accumulator and its connections: writes requests, reads answers, keeps time.

Any event (a full batch, an answer, a connection, news of the cluster, the timer) leads to `pump`, which is not a
coroutine: what may be sent is written then and there.  Nothing is decided here; the accumulator does that.

Three things wait in tasks of their own: a connection to a leader that has something to be sent (one task a broker,
with a backoff after a failure), the producer's identity, and, with acks 0, a transport that takes no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from ..protocol.apis import ApiKey
from ..protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ..protocol.messages import Message
from ..protocol.produce import TOPIC_IDS_FROM, ProduceAnswer
from ..protocol.produce_client import ProduceResponse, TopicBatches, read_response, request_parts
from .accumulator import Accumulator, Outgoing
from .batch import ProducerIdentity
from .cluster import Cluster
from .connection import Connection, RawAnswer
from .delivery import GivenUp
from .errors import ClientError, TransactionFailed, UnsupportedApi
from .metadata import NO_ID
from .producer_settings import ProducerSettings
from .retry import is_retriable
from .transactions import Transactions

_NEVER = float("inf")
_RECORD_BATCHES_FROM = 3
"""Before Produce v3 (Kafka 0.11) record batches had another format."""
PARTITIONS_ADDED_FROM = 12
"""From this Produce version on brokers add partitions to the transaction themselves (version 2 of the protocol)."""
_NO_PRODUCER = -1
_NO_TRANSACTION_TIMEOUT_MS = 60_000


class Sending:
    """Sends what an accumulator has, until it is closed.  `on_progress` is called when room may have come free."""

    def __init__(
        self,
        settings: ProducerSettings,
        cluster: Cluster,
        accumulator: Accumulator,
        *,
        random: Random,
        on_progress: Callable[[], None],
        transactions: Transactions | None = None,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._accumulator = accumulator
        self._random = random
        self._transactions = transactions
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_pump_due = False
        self._tasks: dict[object, asyncio.Task[None]] = {}  # by what they wait for
        self._failed_connects: dict[int, int] = {}
        self._is_closed = False
        self._nothing_in_flight = asyncio.Event()

    # -- its life

    async def start(self) -> None:
        """Have an identity, if the producer is idempotent; KafkaError or ClientError if none is to be had."""
        if self._transactions is not None:
            self._accumulator.identify(await self._transactions.start())
        if self._accumulator.wants_identity:
            self._accumulator.identify(await self._ask_for_identity(self._settings.request_timeout_ms / 1000))

    async def close(self) -> None:
        """Send nothing any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def answered(self) -> None:
        """Return when no answer is still to come, also to what was given up: after `request_timeout_ms` none is."""
        self.pump()
        await self._nothing_in_flight.wait()

    # -- events

    def pump_soon(self) -> None:
        """Pump once the loop has done what it is about to do, so that records given together go together."""
        if not self._is_pump_due:
            self._is_pump_due = True
            self._loop.call_soon(self._pump_that_was_due)

    def pump_after_linger(self, now_s: float) -> None:
        """Pump once a batch that was begun now is to be sent, full or not."""
        at_s = now_s + self._settings.linger_ms / 1000
        if at_s <= now_s:
            self.pump_soon()
        elif self._timer is None or at_s < self._timer.when():
            self._set_timer(at_s)

    def _pump_that_was_due(self) -> None:
        self._is_pump_due = False
        self.pump()

    def pump(self) -> None:
        """Send all that may be sent, and see to it that the rest may be, or is given up in time."""
        if self._is_closed:
            return
        now_s = self._loop.time()
        self._accumulator.expire(now_s)
        for request in self._accumulator.drain(now_s, self._can_send):
            self._send(request)
        self._reach_leaders(now_s)
        if self._accumulator.wants_metadata:
            self._accumulator.wants_metadata = False
            self._cluster.request_update()
        if self._accumulator.wants_identity:
            self._in_background("identity", self._get_identity)
        self._set_timer(self._accumulator.wake_at(now_s))
        if self._transactions is not None:
            self._note_flight()
        self._on_progress()

    def _note_flight(self) -> None:
        if self._accumulator.has_in_flight:
            self._nothing_in_flight.clear()
        else:
            self._nothing_in_flight.set()

    def _set_timer(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at_s == _NEVER else self._loop.call_at(at_s, self.pump)

    # -- requests and answers

    def _can_send(self, node_id: int) -> bool:
        if self._transactions is not None and not self._transactions.may_send:
            self._in_background("transaction", self._add_partitions)
            return False
        connection = self._cluster.open_connection_to(node_id)
        if connection is None:
            return False
        if self._settings.required_acks == 0 and not connection.is_writable:
            self._in_background(("writable", node_id), partial(self._until_writable, connection))
            return False
        return True

    def _send(self, request: Outgoing) -> None:
        connection = self._cluster.open_connection_to(request.node_id)
        assert connection is not None, "it was open when the request was made, and nobody was waited for since"
        topics = self._topics(request)
        try:
            version = self._version(connection, topics)
        except UnsupportedApi as error:
            self._accumulator.lost(request, str(error), self._loop.time())
            return
        parts = request_parts(
            topics,
            version,
            acks=self._settings.required_acks,
            timeout_ms=self._settings.request_timeout_ms,
            transactional_id=self._settings.transactional_id,
        )
        if self._settings.required_acks == 0:
            connection.send_unanswered(ApiKey.PRODUCE, version, *parts)
            self._accumulator.sent_unanswered(request)
            return
        names = {topic.id: topic.name for topic in topics}
        answer = connection.send(ApiKey.PRODUCE, version, *parts, timeout_s=self._settings.request_timeout_ms / 1000)
        answer.add_done_callback(partial(self._take, request, connection, names))

    def _topics(self, request: Outgoing) -> list[TopicBatches]:
        by_topic: dict[str, list[tuple[int, bytearray]]] = {}
        for lane, batch in request.batches:
            by_topic.setdefault(lane.topic, []).append((lane.partition, batch.build()))
        known = self._cluster.metadata.topics
        return [
            TopicBatches(name, known[name].id if name in known else NO_ID, batches)
            for name, batches in by_topic.items()
        ]

    def _version(self, connection: Connection, topics: list[TopicBatches]) -> int:
        at_most = TOPIC_IDS_FROM - 1 if any(topic.id == NO_ID for topic in topics) else None
        if self._transactions is not None:
            at_most = PARTITIONS_ADDED_FROM - 1
        version = connection.version_of(ApiKey.PRODUCE, at_most=at_most)
        if version < _RECORD_BATCHES_FROM:
            raise UnsupportedApi(f"the broker at {connection.address} is older than Kafka 0.11, its record format too")
        return version

    def _take(
        self,
        request: Outgoing,
        connection: Connection,
        names: Mapping[UUID, str],
        answer: asyncio.Future[RawAnswer],
    ) -> None:
        now_s = self._loop.time()
        try:
            response = self._read(connection, answer.result())
        except (ClientError, asyncio.CancelledError) as error:
            self._accumulator.lost(request, str(error), now_s)
        else:
            answers = _by_partition(response, names)
            self._believe(answers)
            self._accumulator.answered(request, answers, response.throttle_time_ms, now_s)
        self.pump()

    def _read(self, connection: Connection, raw: RawAnswer) -> ProduceResponse:
        try:
            return read_response(raw.frame, raw.position, raw.version)
        except MalformedMessage as error:
            raise connection.give_up(error) from error

    def _believe(self, answers: Mapping[tuple[str, int], ProduceAnswer]) -> None:
        """Brokers that refuse may say who leads now."""
        for (topic, partition), answer in answers.items():
            if answer.current_leader is not None and answer.error is not ErrorCode.NONE:
                leader_id, leader_epoch = answer.current_leader
                self._cluster.leader_told(topic, partition, leader_id=leader_id, leader_epoch=leader_epoch)

    # -- connections

    def _reach_leaders(self, now_s: float) -> None:
        for node_id in self._accumulator.leaders_to_reach(now_s):
            if self._cluster.open_connection_to(node_id) is None:
                self._in_background(("connection", node_id), partial(self._connect, node_id))

    async def _connect(self, node_id: int) -> None:
        try:
            await self._cluster.connection_to(node_id)
            self._failed_connects.pop(node_id, None)
        except (ClientError, KafkaError) as error:
            attempt = self._failed_connects[node_id] = self._failed_connects.get(node_id, 0) + 1
            self._accumulator.note_unreachable(node_id, str(error))
            self._cluster.request_update()
            await asyncio.sleep(self._settings.backoff.delay_s(attempt, self._random))

    async def _until_writable(self, connection: Connection) -> None:
        try:
            await connection.drained()
        except ClientError:
            return  # it ended, and the pump that follows finds another

    # -- transactions

    async def _add_partitions(self) -> None:
        """Have the coordinator know the partitions that batches wait for; without that nothing of them is sent."""
        assert self._transactions is not None, "there is something to add"
        try:
            await self._transactions.add_partitions()
        except (ClientError, KafkaError) as error:
            kind = type(error) if isinstance(error, ClientError) else TransactionFailed
            self._accumulator.give_up(GivenUp(kind, str(error)))
            self._transactions.give_up_adding()

    # -- identity

    async def _get_identity(self) -> None:
        """For partitions that have used up their epochs, to the end of everything that waits for it."""
        try:
            identity = await self._ask_for_identity(self._settings.delivery_timeout_ms / 1000)
        except (ClientError, KafkaError) as error:
            kind = type(error) if isinstance(error, ClientError) else ClientError
            self._accumulator.give_up(GivenUp(kind, f"no producer id is to be had: {error}"))
        else:
            self._accumulator.identify(identity)

    async def _ask_for_identity(self, timeout_s: float) -> ProducerIdentity:
        # A transaction timeout means nothing without a transactional id, but must be positive.
        question = Message(
            transactional_id=None,
            transaction_timeout_ms=_NO_TRANSACTION_TIMEOUT_MS,
            producer_id=_NO_PRODUCER,
            producer_epoch=_NO_PRODUCER,
        )
        deadline_s = self._loop.time() + timeout_s
        attempt = 0
        while True:
            try:
                answer = await self._cluster.ask_any(
                    ApiKey.INIT_PRODUCER_ID, question, max(0.001, deadline_s - self._loop.time())
                )
            except UnsupportedApi as error:
                raise UnsupportedApi(f"{error}; it is too old for enable_idempotence=True") from error
            if answer.error_code == ErrorCode.NONE:
                return ProducerIdentity(answer.producer_id, answer.producer_epoch)
            attempt += 1
            delay_s = self._settings.backoff.delay_s(attempt, self._random)
            refusal = _no_identity(answer.error_code)
            if not is_retriable(refusal) or self._loop.time() + delay_s >= deadline_s:
                raise refusal
            await asyncio.sleep(delay_s)

    # -- tasks

    def _in_background(self, what: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have a task for `what`, one at a time; pump when it is done."""
        if what in self._tasks or self._is_closed:
            return
        task = self._loop.create_task(work(), name=f"producer: {what}")
        self._tasks[what] = task
        task.add_done_callback(partial(self._task_done, what))

    def _task_done(self, what: object, task: asyncio.Task[None]) -> None:
        del self._tasks[what]
        if not task.cancelled():
            task.result()  # our own bug is not swallowed: the loop's handler hears of it
            self.pump()


def _by_partition(response: ProduceResponse, names: Mapping[UUID, str]) -> dict[tuple[str, int], ProduceAnswer]:
    return {
        (names.get(topic, "") if isinstance(topic, UUID) else topic, answer.index): answer
        for topic, answers in response.topics
        for answer in answers
    }


def _no_identity(code: ErrorCode | int) -> KafkaError:
    known = code if isinstance(code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR
    words = "no producer id is to be had"
    if known in (ErrorCode.CLUSTER_AUTHORIZATION_FAILED, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED):
        words += ": the cluster's ACLs must allow IDEMPOTENT_WRITE, or pass enable_idempotence=False"
    return KafkaError(known, words)
