"""Produce: append what came, answer when it is as safe as `acks` asks.

The hot path. The request is read in place, each batch is validated and written from the receive buffer, and the answer is
made at once (acks=1) or when the sync that covers the last of its partitions is done (acks=all). The request is decided
when it is appended: the connection goes on to the next while the sync is under way (`Reply.let_next_begin`).

A batch that begins a transaction in its partition must be known to the transaction's coordinator first
(`produce_verification`). That takes a while only when something has to be written down; the request then keeps a copy of
itself, and the connection waits with it, so that batches stay in their order.

acks=0 has no answer to carry an error: as in Kafka the connection is closed instead, so that the client looks again.
A partition that is named twice in one request is written once, with what came last (Kafka's map of partitions).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import RequestHeader
from ...protocol.produce import (
    FLEXIBLE_FROM,
    PartitionRecords,
    ProduceAnswer,
    ProduceRequest,
    TopicKey,
    read_request,
    write_response,
)
from ..produce_validation import RecordsRefused, is_transactional
from ..replies import framed
from .produce_verification import Unverified, Verified, to_verify, verify

if TYPE_CHECKING:
    from ...storage.log import Appended
    from ..app import Broker
    from ..connection import Reply
    from ..partition import Partition

ACKS_ALL, ACKS_NONE, ACKS_LEADER = -1, 0, 1

TELL_LOG_START = frozenset(
    {
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.INVALID_RECORD,
    }
)
"""Refusals that in Kafka come from inside the log, whose answers carry its start."""

NONE_VERIFIED: Verified = {}

Topics = list[tuple[TopicKey, list[ProduceAnswer]]]

log = logging.getLogger(__name__)


def serve(broker: Broker, header: RequestHeader, frame: memoryview, reply: Reply) -> ProduceRequest:
    """Serve one Produce request and return it; completes `reply` now, or when its records are on the disk."""
    request = read_request(frame, header.body_position, header.api_version)
    produce = _Produce(broker, header, request.acks, reply)
    deadline = reply.begun_at + request.timeout_ms / 1000
    refused = _refused_as_a_whole(request, frame)
    if refused is not None:
        produce.refuse(request, refused)
    elif request.transactional_id is not None and (unverified := to_verify(broker, request, frame, header.api_version)):
        copy = memoryview(bytearray(frame))  # the buffer is the next request's by then
        task = asyncio.ensure_future(produce.append_verified(request, copy, unverified, deadline))
        broker.server.dispatcher.own(task)
        reply.abandoned = partial(_cancel, task)
        return request
    else:
        produce.append(request, frame, NONE_VERIFIED)
    produce.finish(deadline)
    return request


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


class _Produce:
    """One request under way: its answers, and the syncs they wait for."""

    __slots__ = ("_acks", "_broker", "_header", "_reply", "_syncs", "_topics", "_unsynced")

    def __init__(self, broker: Broker, header: RequestHeader, acks: int, reply: Reply) -> None:
        self._broker = broker
        self._header = header
        self._acks = acks
        self._reply = reply
        self._topics: Topics = []
        self._syncs: list[tuple[Partition, Appended, ProduceAnswer]] = []
        self._unsynced = 0

    def refuse(self, request: ProduceRequest, code: ErrorCode) -> None:
        """Answer every partition with the same error; nothing is appended."""
        self._topics = [
            (topic, [ProduceAnswer(each.index, code) for each in partitions]) for topic, partitions in request.topics
        ]

    async def append_verified(
        self, request: ProduceRequest, frame: memoryview, unverified: list[Unverified], deadline: float
    ) -> None:
        """Append what the transaction's coordinator lets pass."""
        try:
            assert request.transactional_id is not None
            verified = await verify(self._broker, request.transactional_id, unverified, self._header.api_version)
            self.append(request, frame, verified)
            self.finish(deadline)
        except Exception:
            log.exception("a Produce of %r failed in the broker", request.transactional_id)
            self._reply.close("Produce failed in the broker")

    def append(self, request: ProduceRequest, frame: memoryview, verified: Verified) -> None:
        """Append to each partition, in the order of the request."""
        now_ms = self._broker.clock.now_ms()
        for topic, partitions in _last_of_each(request.topics):
            answers = [self._append_one(topic, each, frame, now_ms, verified) for each in partitions]
            if answers:
                self._topics.append((topic, answers))

    def _append_one(
        self, topic: TopicKey, sent: PartitionRecords, frame: memoryview, now_ms: int, verified: Verified
    ) -> ProduceAnswer:
        version = self._header.api_version
        partition = self._broker.partitions.find(topic, sent.index)
        if partition is None:
            return ProduceAnswer(sent.index, self._broker.partitions.why_missing(topic, sent.index))
        batch = frame[sent.start : sent.end] if sent.start >= 0 else frame[:0]
        verification = verified.get(partition) if verified else None
        if isinstance(verification, KafkaError):
            return ProduceAnswer(sent.index, verification.code, message=verification.message or None)
        try:
            appended = partition.append(batch, version=version, now_ms=now_ms, verification=verification)
        except KafkaError as error:
            return refusal(sent.index, error, partition)
        except Exception:
            log.exception("a Produce to %s failed in the broker", partition.name)
            return ProduceAnswer(sent.index, ErrorCode.UNKNOWN_SERVER_ERROR)
        answer = ProduceAnswer(
            sent.index,
            ErrorCode.NONE,
            appended.base_offset,
            appended.log_append_time,
            partition.log.log_start_offset,
        )
        if partition.needs_sync(appended, acks=self._acks):
            self._syncs.append((partition, appended, answer))
        return answer

    def finish(self, deadline: float) -> None:
        """Answer, or wait for the syncs that the answer needs."""
        if not self._syncs or self._acks == ACKS_NONE:
            self._answer()
            return
        self._reply.let_next_begin()
        self._unsynced = len(self._syncs)
        for partition, appended, answer in self._syncs:
            partition.when_synced(appended, partial(self._synced, answer), deadline=deadline)

    def _synced(self, answer: ProduceAnswer, error: Exception | None) -> None:
        if error is not None:
            answer.error = sync_failure(error)
        self._unsynced -= 1
        if not self._unsynced:
            self._answer()

    def _answer(self) -> None:
        if self._acks == ACKS_NONE:
            self._answer_nothing()
            return
        header = self._header
        body = write_response(self._topics, header.api_version)
        self._reply.complete([framed(header.correlation_id, body, flexible=header.api_version >= FLEXIBLE_FROM)])

    def _answer_nothing(self) -> None:
        for topic, answers in self._topics:
            for answer in answers:
                if answer.error is not ErrorCode.NONE:
                    self._reply.close(f"a Produce with acks=0 to {topic}-{answer.index} failed: {answer.error.name}")
                    break
        self._reply.complete([])


def _last_of_each(
    topics: list[tuple[TopicKey, list[PartitionRecords]]],
) -> list[tuple[TopicKey, list[PartitionRecords]]]:
    if len(topics) == 1 and len(topics[0][1]) == 1:
        return topics
    last: dict[TopicKey, dict[int, PartitionRecords]] = {}
    for topic, partitions in topics:
        last.setdefault(topic, {}).update((each.index, each) for each in partitions)
    return [(topic, list(partitions.values())) for topic, partitions in last.items()]


def _refused_as_a_whole(request: ProduceRequest, frame: memoryview) -> ErrorCode | None:
    """The error that every partition gets, if the request cannot be served at all."""
    if request.acks not in (ACKS_ALL, ACKS_NONE, ACKS_LEADER):
        return ErrorCode.INVALID_REQUIRED_ACKS
    if request.transactional_id is not None:
        return None
    sent = (each for _, partitions in request.topics for each in partitions if each.start >= 0)
    if any(is_transactional(frame, each.start, each.end) for each in sent):
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    return None


def _refused_records(index: int, refused: RecordsRefused, partition: Partition) -> ProduceAnswer:
    return ProduceAnswer(
        index,
        refused.code,
        log_start_offset=partition.log.log_start_offset if refused.tells_log_start else -1,
        message=refused.client_message,
        record_errors=refused.record_errors,
    )


def sync_failure(error: Exception) -> ErrorCode:
    """What is told when the records were appended and the disk did not answer well, or not in time."""
    return ErrorCode.REQUEST_TIMED_OUT if isinstance(error, TimeoutError) else ErrorCode.KAFKA_STORAGE_ERROR


def refusal(index: int, error: KafkaError, partition: Partition) -> ProduceAnswer:
    """What is told of records that may not be appended, or that the log refused: a producer out of step, a disk that is
    full or failed.
    """
    if isinstance(error, RecordsRefused):
        return _refused_records(index, error, partition)
    if error.code is ErrorCode.KAFKA_STORAGE_ERROR:
        log.error("a Produce was refused: %s", error.message)
    told = error.code in TELL_LOG_START
    return ProduceAnswer(index, error.code, log_start_offset=partition.log.log_start_offset if told else -1)
