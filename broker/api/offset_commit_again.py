"""OffsetCommit once more: what a connection commits like before, with other offsets, is served with few steps.

A consumer that keeps its partitions sends the same request again and again, but for its numbers. So the first one is kept in
mind, and with the second of its size a *plan* is made of it: the form of the request (`protocol/commit_form`), the batch that
it becomes (`coordinators/offset_batch`), and its answer.

    of the plan's form? topics the same? the group takes it?  --> written, answered when durable
         | no, whatever the reason
         +--> `offset_commit`, all of it

Whether the group takes the commit, the same function decides here as there, each time. What is in any way special (a refusal,
a partition that is not there, a full disk) goes the long way, which knows all answers; up to there nothing was done.

A plan costs as much as several commits save, so a connection that never commits the same twice must not make one for each
(`PLAN_COST`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey, response_header_version
from ...protocol.commit_form import CommitForm, Values
from ...protocol.compression import Codec
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message, RequestHeader, encode_response
from ..coordinators.offset_batch import OffsetBatch
from ..replies import framed
from .group_topics import PartitionAnswers, existing
from .offset_commit import Accepted, check, commit_refusal, sort_out

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Connection, Reply

LARGEST_FRAME_BYTES = 16 * 1024
"""Of larger requests no plan is made, for each connection may keep one, and decoded it is twenty times as large."""
PLAN_COST = 16
"""So many commits are to be served by plans for each that is made, in the long run."""
MOST_CREDIT = 4 * PLAN_COST


def leave_lane(
    broker: Broker, connection: Connection, header: RequestHeader, frame: memoryview, request: Message
) -> None:
    """Keep a commit that was taken the long way in mind, for those that follow on its connection."""
    for lane in connection.lanes:
        if isinstance(lane, CommitLane):
            lane.remember(header, frame, request)
            return
    made = CommitLane(broker)
    made.remember(header, frame, request)
    connection.keep_lane(made)


class _Plan:
    """How requests of one form are served."""

    __slots__ = ("accepted", "answer_body", "batch", "form", "is_flexible", "request", "topics", "version")

    @classmethod
    def of(cls, broker: Broker, version: int, form: CommitForm, request: Message) -> _Plan | None:
        """The plan for requests like this one; None where not all of it would be taken."""
        answers = PartitionAnswers()
        accepted = existing(broker, version, request, answers)
        records, results = sort_out(broker.groups, request, accepted, now_ms=0)
        if answers.topics or len(records) < len(results) or broker.groups.codec is not Codec.NONE:
            return None
        batch = OffsetBatch.of(records)
        return None if batch is None else cls(version, form, request, accepted, batch)

    def __init__(
        self, version: int, form: CommitForm, request: Message, accepted: Accepted, batch: OffsetBatch
    ) -> None:
        self.version = version
        self.form = form
        self.request = request  # whose numbers are not looked at
        self.accepted = accepted
        self.topics = [topic for _, topic in accepted]
        self.batch = batch
        self.is_flexible = response_header_version(ApiKey.OFFSET_COMMIT, version) > 0
        self.answer_body = self.body(ErrorCode.NONE)

    def body(self, code: ErrorCode) -> bytes:
        """The response that says the same of all partitions."""
        answers = PartitionAnswers()
        answers.merges = False
        answers.add_all(self.accepted, code)
        return encode_response(ApiKey.OFFSET_COMMIT, self.version, Message(topics=answers.topics))


class CommitLane:
    """The way of one connection's commits. Owned by the loop."""

    __slots__ = ("_broker", "_credit", "_last", "_plan", "answers_at_once")

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.answers_at_once = False
        self._plan: _Plan | None = None
        self._last: tuple[RequestHeader, bytes, Message] | None = None
        self._credit = MOST_CREDIT

    def remember(self, header: RequestHeader, frame: memoryview, request: Message) -> None:
        """This one went the long way, and was taken."""
        self._last = (header, bytes(frame), request) if len(frame) <= LARGEST_FRAME_BYTES else None

    def is_for(self, frame: memoryview) -> bool:
        """Whether a request has the form of the plan."""
        return self._plan is not None and self._plan.form.read(frame) is not None

    def at_once(self, frame: memoryview) -> None:
        """Every commit waits for the disk."""
        return

    def begin(self, frame: memoryview, reply: Reply) -> bool:
        """Serve a commit, whose `reply` is completed when it is durable; False: nothing was done, it goes the long way."""
        plan = self._plan
        said = None if plan is None else plan.form.read(frame)
        if said is None:
            plan = self._next_plan(frame)
            said = None if plan is None else plan.form.read(frame)
        if plan is None or said is None or not self._serve(plan, said, reply):
            return False
        if self._credit < MOST_CREDIT:
            self._credit += 1
        return True

    def _next_plan(self, frame: memoryview) -> _Plan | None:
        """Made of the last commit that went the long way, if this one seems to be like it."""
        last = self._last
        if last is None or len(last[1]) != len(frame) or self._credit < PLAN_COST:
            return None
        self._last = None
        self._credit -= PLAN_COST
        header, first, request = last
        form = CommitForm.of(first, header, request)
        plan = None if form is None else _Plan.of(self._broker, header.api_version, form, request)
        self._plan = plan or self._plan
        return plan

    def _serve(self, plan: _Plan, said: Values, reply: Reply) -> bool:
        broker, request = self._broker, plan.request
        groups, topics = broker.groups, broker.catalog.topics
        for topic in plan.topics:
            if topics.get(topic.name) is not topic:
                self._plan = None
                return False
        try:
            shard = groups.shard_of(request.group_id)
            code = check(groups, shard, request, plan.accepted, api_version=plan.version)
            if code is not ErrorCode.NONE:
                return False
            now_ms = broker.clock.now_ms()
            batch, records = plan.batch.with_numbers(said[3::3], said[4::3], now_ms)
            end_offset = shard.write_batch(batch, records, now_ms)
        except KafkaError:
            return False  # nothing was written: the long way finds out why, and says so
        groups.note_group(shard, request.group_id)
        reply.let_next_begin()
        groups.when_durable(shard, end_offset, partial(_told, plan, reply, said[1]))
        return True


def _told(plan: _Plan, reply: Reply, correlation_id: int, refusal: KafkaError | None) -> None:
    body = plan.answer_body if refusal is None else plan.body(commit_refusal(refusal.code))
    reply.complete([framed(correlation_id, body, flexible=plan.is_flexible)])
