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

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.fetch import (
    FLEXIBLE_FROM,
    SESSIONS_FROM,
    TOPIC_IDS_FROM,
    FetchAnswer,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    Part,
    read_request,
    write_response,
)
from ...protocol.messages import RequestHeader
from ...protocol.produce import TopicKey
from ...storage.batches import WouldWait
from ...storage.log import FileSlice
from ..fetch_sessions import FetchContext, SessionRefused
from ..partition import NOT_ASKED, Partition
from ..replies import framed_parts
from ..waiting import FetchWait, Purgatory

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Reply

READ_UNCOMMITTED, READ_COMMITTED = ISOLATION_LEVELS = (0, 1)
LEADER_TOLD_FROM = 16
LEADER_TOLD_WITH = frozenset({ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH})
"""Errors that come, from version 16 on, with the leader (KIP-951)."""

FAILED = "Fetch failed in the broker"
NONE_UNREADABLE: frozenset[Partition] = frozenset()

log = logging.getLogger(__name__)

Answers = list[tuple[TopicKey, FetchAnswer]]


class ShortAnswers(Protocol):
    """Puts together the answer of one partition's records with fewer steps (`fetch_again`)."""

    def parts(self, correlation_id: int, session_id: int, topic: TopicKey, answer: FetchAnswer) -> list[Part] | None:
        """The whole response in parts; None where it is not of that kind."""


def serve(broker: Broker, header: RequestHeader, frame: memoryview, reply: Reply) -> FetchRequest:
    """Serve one Fetch request; completes `reply` now, or after a wait. Returns what was read."""
    request = read_request(frame, header.body_position, header.api_version)
    serve_request(broker, header.api_version, header.correlation_id, request, reply)
    return request


def serve_request(
    broker: Broker,
    version: int,
    correlation_id: int,
    request: FetchRequest,
    reply: Reply,
    short: ShortAnswers | None = None,
) -> None:
    """Serve a request that was read; completes `reply` now, or after a wait."""
    if request.isolation_level not in ISOLATION_LEVELS and version >= SESSIONS_FROM:
        _send(version, correlation_id, FetchResponse(ErrorCode.INVALID_REQUEST), reply)
        return
    try:
        context = broker.fetch_sessions.begin(
            request, uses_topic_ids=version >= TOPIC_IDS_FROM, now_ms=broker.clock.now_ms()
        )
    except SessionRefused as refused:
        _send(version, correlation_id, FetchResponse(refused.code), reply)
        return
    Fetch(broker, version, correlation_id, request, context, reply, short).begin()


def _send(version: int, correlation_id: int, response: FetchResponse, reply: Reply) -> None:
    parts = write_response(response, version)
    reply.complete(framed_parts(correlation_id, parts, flexible=version >= FLEXIBLE_FROM))


class Fetch:
    """One request under way."""

    __slots__ = (
        "_broker",
        "_cold",
        "_context",
        "_correlation_id",
        "_reply",
        "_request",
        "_short",
        "_size_bytes",
        "_unhappy",
        "_unreadable",
        "_version",
        "_waited",
    )

    def __init__(
        self,
        broker: Broker,
        version: int,
        correlation_id: int,
        request: FetchRequest,
        context: FetchContext,
        reply: Reply,
        short: ShortAnswers | None,
    ) -> None:
        self._broker = broker
        self._version = version
        self._correlation_id = correlation_id
        self._request = request
        self._context = context
        self._reply = reply
        self._short = short
        self._size_bytes = 0
        self._unhappy = False
        self._waited = False
        self._cold: tuple[Partition, FetchPartition]
        self._unreadable: frozenset[Partition] | set[Partition] = NONE_UNREADABLE

    def begin(self) -> None:
        """Answer at once, or wait for more."""
        if may_wait(self._request):
            at_their_ends = self._all_at_their_ends()
            if at_their_ends:
                self._wait(at_their_ends)
                return
        answers = self._locate_warm(self.begin)
        if answers is None:
            return
        enough = self._size_bytes >= self._request.min_bytes
        if enough or self._unhappy or self._request.max_wait_ms <= 0 or not answers:
            self._answer(answers)
        else:
            partitions = (self._broker.partitions.find(topic, wanted.index) for topic, wanted in self._context.wanted)
            self._wait([each for each in partitions if each is not None])

    def _all_at_their_ends(self) -> list[Partition] | None:
        """The partitions, when all are here and their reader has all there is: a look that costs less than answers would."""
        found = []
        find = self._broker.partitions.find
        for topic, wanted in self._context.wanted:
            partition = find(topic, wanted.index)
            if (
                partition is None
                or wanted.fetch_offset != partition.log.log_end_offset
                or wanted.last_fetched_epoch >= 0
                or wanted.max_bytes < 0
                or 0 <= wanted.current_leader_epoch != partition.leader_epoch
            ):
                return None
            found.append(partition)
        return found

    def _wait(self, partitions: list[Partition]) -> None:
        wait, request = _Wait(self._broker.purgatory, self, self._reply, self._request.isolation_level), self._request
        wait.begin(partitions, request.min_bytes - self._size_bytes, request.max_wait_ms)
        self._reply.abandoned, self._reply.hurry = wait.cancel, wait.wake

    def look_again(self) -> None:
        """Answer: the wait is over."""
        self._waited = True
        answers = self._locate_warm(self.look_again)
        if answers is not None:
            self._answer(answers)

    def _locate_warm(self, again: Callable[[], None]) -> Answers | None:
        """The answers; or None while a thread reads what locating them needs, after which `again` is called."""
        try:
            return self._locate()
        except WouldWait:
            partition, wanted = self._cold
        warming = self._broker.loop.run_in_executor(None, partition.warm, wanted.fetch_offset, wanted.max_bytes)
        warming.add_done_callback(partial(self._warmed, partition, again))
        return None

    def _warmed(self, partition: Partition, again: Callable[[], None], warming: asyncio.Future[None]) -> None:
        error = None if warming.cancelled() else warming.exception()
        if error is not None:
            log.error("%s cannot be read: %s", partition.name, error)
            self._unreadable = {*self._unreadable, partition}
        again()

    def _locate(self) -> Answers:
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
            code = self._why_missing(topic, wanted.index)
            return FetchAnswer(wanted.index, code, aborted=None if self._waited else []), 0
        try:
            answer = self._outline(partition, wanted)
            if answer.diverging is not None:
                self._unhappy = True
                return answer, 0
            if partition in self._unreadable:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, partition.name)
            self._cold = partition, wanted
            records = self._locate_records(partition, wanted, left, answer)
        except KafkaError as error:
            self._unhappy = True
            return self._refusal(partition, wanted.index, error.code), 0
        if records is None:
            return answer, 0
        answer.records = records
        return answer, records.size_bytes

    def _locate_records(
        self, partition: Partition, wanted: FetchPartition, left: int, answer: FetchAnswer
    ) -> FileSlice | None:
        """What there is for the reader; for one of committed records the answer is told what of it was aborted, too."""
        offset, max_bytes = wanted.fetch_offset, max(0, min(wanted.max_bytes, left))
        min_one_batch = self._size_bytes == 0
        if answer.aborted is None:
            return partition.read(offset, max_bytes=max_bytes, min_one_batch=min_one_batch)
        records, aborted = partition.read_committed(offset, max_bytes=max_bytes, min_one_batch=min_one_batch)
        answer.aborted = [(each.producer_id, each.first_offset) for each in aborted]
        return records

    def _refusal(self, partition: Partition, index: int, code: ErrorCode) -> FetchAnswer:
        answer = FetchAnswer(index, code)
        if code in LEADER_TOLD_WITH and self._version >= LEADER_TOLD_FROM:
            answer.current_leader = (self._broker.node_id, partition.leader_epoch)
        return answer

    def _why_missing(self, topic: TopicKey, index: int) -> ErrorCode:
        """A topic that went while we waited was known, under whatever name."""
        code = self._broker.partitions.why_missing(topic, index)
        if self._waited and code is ErrorCode.UNKNOWN_TOPIC_ID:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return code

    def _outline(self, partition: Partition, wanted: FetchPartition) -> FetchAnswer:
        """The answer without its records. Raises KafkaError where the client's idea of the partition is not ours."""
        request = self._request
        if _is_invalid(request) or wanted.max_bytes < 0:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a limit or an isolation level that cannot be")
        partition.check_leader_epoch(max(wanted.current_leader_epoch, NOT_ASKED))
        if request.replica_id >= 0:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"{partition.name} has no other replica")
        log = partition.log
        return FetchAnswer(
            wanted.index,
            ErrorCode.NONE,
            partition.high_watermark,
            log.last_stable_offset,
            log.log_start_offset,
            [] if request.isolation_level == READ_COMMITTED else None,
            diverging=_divergence(partition, wanted),
        )

    def _answer(self, answers: Answers) -> None:
        selected, session_id = self._context.select(answers), self._context.session_id
        if self._short is not None and len(selected) == 1:
            topic, answer = selected[0]
            parts = self._short.parts(self._correlation_id, session_id, topic, answer)
            if parts is not None:
                self._reply.complete(parts)
                return
        response = FetchResponse(ErrorCode.NONE, session_id, _by_topic(selected))
        _send(self._version, self._correlation_id, response, self._reply)


class _Wait(FetchWait):
    """A request that waits for more than the bytes that are there."""

    __slots__ = ("_fetch", "_reply")

    def __init__(self, purgatory: Purgatory, fetch: Fetch, reply: Reply, isolation_level: int) -> None:
        super().__init__(purgatory, committed=isolation_level == READ_COMMITTED)
        self._fetch = fetch
        self._reply = reply

    def _fire(self) -> None:
        self._fetch.look_again()

    def fail(self) -> None:
        self._reply.close(FAILED)


def may_wait(request: FetchRequest) -> bool:
    """Whether the request as a whole lets us wait."""
    return request.max_wait_ms > 0 and request.min_bytes > 0 and request.replica_id < 0 and not _is_invalid(request)


def _is_invalid(request: FetchRequest) -> bool:
    """Whether it has a limit or an isolation level that cannot be."""
    return request.max_bytes < 0 or request.isolation_level not in ISOLATION_LEVELS


def _divergence(partition: Partition, wanted: FetchPartition) -> tuple[int, int] | None:
    """Where the reader's history, which ends in `last_fetched_epoch`, parts from ours (KIP-595), if it does."""
    if wanted.last_fetched_epoch < 0:
        return None
    epoch, end_offset = partition.end_of_epoch(wanted.last_fetched_epoch)
    if epoch < 0:
        raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{partition.name} has no epoch {wanted.last_fetched_epoch}")
    if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
        return epoch, end_offset
    return None


def _by_topic(answers: Answers) -> list[tuple[TopicKey, list[FetchAnswer]]]:
    """Group neighbours of one topic, keeping the order (FetchResponse.toMessage)."""
    topics: list[tuple[TopicKey, list[FetchAnswer]]] = []
    for topic, answer in answers:
        if topics and topics[-1][0] == topic:
            topics[-1][1].append(answer)
        else:
            topics.append((topic, [answer]))
    return topics
