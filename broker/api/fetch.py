"""Fetch: locate what is wanted, answer when there is enough of it or the time is over.

    read_request -> session (KIP-227) -> locate each partition -> enough? -> answer
                                               ^                   | no
                                               +---- FetchWait <---+

Locating copies nothing: an answer carries slices of files, which the connection reads when the peer takes them. Limits are
Kafka's (KIP-74): the first records found are always whole, even if larger than every limit; after them each partition
gets what is left of `max_bytes`, in the order of the session, which turns so that none starves.

An answer is due at once when anything is wrong, when there are `min_bytes`, when nobody wants to wait, or when nothing
is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.fetch import (
    FLEXIBLE_FROM,
    TOPIC_IDS_FROM,
    FetchAnswer,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    read_request,
    write_response,
)
from ...protocol.messages import RequestHeader
from ...protocol.produce import TopicKey
from ..fetch_sessions import FetchContext, SessionRefused
from ..partition import Partition
from ..replies import framed_parts
from ..waiting import FetchWait

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Reply

READ_COMMITTED = 1


def serve(broker: Broker, header: RequestHeader, frame: memoryview, reply: Reply) -> None:
    """Serve one Fetch request; completes `reply` now, or after a wait."""
    version = header.api_version
    request = read_request(frame, header.body_position, version)
    try:
        context = broker.fetch_sessions.begin(
            request, uses_topic_ids=version >= TOPIC_IDS_FROM, now_ms=broker.clock.now_ms()
        )
    except SessionRefused as refused:
        _send(header, FetchResponse(refused.code), reply)
        return
    _Fetch(broker, header, request, context, reply).begin()


def _send(header: RequestHeader, response: FetchResponse, reply: Reply) -> None:
    flexible = header.api_version >= FLEXIBLE_FROM
    parts = write_response(response, header.api_version)
    reply.complete(framed_parts(header.correlation_id, parts, flexible=flexible))


class _Fetch:
    """One request under way."""

    __slots__ = ("_broker", "_context", "_header", "_reply", "_request", "_size_bytes", "_unhappy")

    def __init__(
        self,
        broker: Broker,
        header: RequestHeader,
        request: FetchRequest,
        context: FetchContext,
        reply: Reply,
    ) -> None:
        self._broker = broker
        self._header = header
        self._request = request
        self._context = context
        self._reply = reply
        self._size_bytes = 0
        self._unhappy = False

    def begin(self) -> None:
        """Answer at once, or wait for more."""
        request = self._request
        answers = self._locate()
        enough = self._size_bytes >= request.min_bytes
        if enough or self._unhappy or request.max_wait_ms <= 0 or not answers:
            self._answer(answers)
            return
        broker = self._broker
        partitions = (broker.partitions.find(topic, wanted.index) for topic, wanted in self._context.wanted)
        wait = FetchWait(
            broker.loop,
            [each for each in partitions if each is not None],
            wanted_bytes=request.min_bytes - self._size_bytes,
            max_wait_ms=request.max_wait_ms,
            fire=self._waited,
        )
        self._reply.abandoned = wait.cancel

    def _waited(self) -> None:
        self._answer(self._locate())

    def _locate(self) -> list[tuple[TopicKey, FetchAnswer]]:
        """An answer for every partition of the context, in order."""
        self._size_bytes, self._unhappy = 0, False
        left = min(self._request.max_bytes, self._broker.fetch_max_bytes)
        answers = []
        for topic, wanted in self._context.wanted:
            answer, size_bytes = self._locate_one(topic, wanted, left)
            answers.append((topic, answer))
            left -= size_bytes
            self._size_bytes += size_bytes
        return answers

    def _locate_one(self, topic: TopicKey, wanted: FetchPartition, left: int) -> tuple[FetchAnswer, int]:
        """One partition's answer, and how many bytes of records it carries."""
        partition = self._broker.partitions.find(topic, wanted.index)
        if partition is None:
            self._unhappy = True
            code = ErrorCode.UNKNOWN_TOPIC_ID if isinstance(topic, UUID) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if isinstance(topic, UUID) and self._broker.catalog.topic_by_id(topic) is not None:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return FetchAnswer(wanted.index, code), 0
        try:
            partition.check_leader_epoch(wanted.current_leader_epoch)
            answer = self._outline(partition, wanted)
            if answer.diverging is not None:
                self._unhappy = True
                return answer, 0
            records = partition.read(
                wanted.fetch_offset,
                max_bytes=max(0, min(wanted.max_bytes, left)),
                min_one_batch=self._size_bytes == 0,
            )
        except KafkaError as error:
            self._unhappy = True
            return FetchAnswer(wanted.index, error.code), 0
        if records is None:
            return answer, 0
        answer.records = records
        return answer, records.size_bytes

    def _outline(self, partition: Partition, wanted: FetchPartition) -> FetchAnswer:
        """The answer without its records."""
        log = partition.log
        answer = FetchAnswer(
            wanted.index,
            ErrorCode.NONE,
            partition.high_watermark,
            partition.last_stable_offset,
            log.log_start_offset,
            [] if self._request.isolation_level == READ_COMMITTED else None,
        )
        if wanted.last_fetched_epoch >= 0:
            epoch, end_offset = log.leader_epochs.end_offset_for(wanted.last_fetched_epoch, log.log_end_offset)
            if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
                answer.diverging = (epoch, end_offset)
        return answer

    def _answer(self, answers: list[tuple[TopicKey, FetchAnswer]]) -> None:
        selected = self._context.select(answers)
        response = FetchResponse(ErrorCode.NONE, self._context.session_id, _by_topic(selected))
        _send(self._header, response, self._reply)


def _by_topic(answers: list[tuple[TopicKey, FetchAnswer]]) -> list[tuple[TopicKey, list[FetchAnswer]]]:
    """Group neighbours of one topic, keeping the order (FetchResponse.toMessage)."""
    topics: list[tuple[TopicKey, list[FetchAnswer]]] = []
    for topic, answer in answers:
        if topics and topics[-1][0] == topic:
            topics[-1][1].append(answer)
        else:
            topics.append((topic, [answer]))
    return topics
