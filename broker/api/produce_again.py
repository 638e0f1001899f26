"""Produce once more: what a connection sends like the request before it is served with few steps.

    first request  --> api/produce, all of it --> a lane is left with the connection
    the next ones  --> of the same form? a partition that we lead? --> appended and answered here
                            | no, whatever the reason
                            +--> api/produce, all of it

A lane knows what never changes; what the records are, and whether they may be appended, the partition decides here as there.
A request that is in any way special (another form, a transaction, a partition that is not here) goes the long way.

Two ways in.  `at_once` is for requests that are answered as soon as they are appended: it needs no `Reply`, and is most of what
`acks=1` costs.  `begin` takes those that wait for a sync.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import RequestHeader
from ...protocol.produce import FLEXIBLE_FROM, ProduceAnswer, ProduceRequest, write_response
from ...protocol.produce_form import Place, ProduceForm
from ...storage.config import NEVER
from ..produce_validation import is_transactional
from ..replies import framed
from ..topic_names import INTERNAL_TOPICS
from . import produce
from .produce import ACKS_ALL, ACKS_LEADER, refusal, sync_failure

if TYPE_CHECKING:
    from ...storage.log import Appended
    from ..app import Broker
    from ..connection import Reply
    from ..partition import Partition

log = logging.getLogger(__name__)


def serve(broker: Broker, header: RequestHeader, frame: memoryview, reply: Reply) -> None:
    """Serve a request the long way, and leave a lane for those that follow."""
    request = produce.serve(broker, header, frame, reply)
    connection = reply.connection
    if not any(lane.is_for(frame) for lane in connection.lanes):
        lane = lane_for(broker, header, frame, request)
        if lane is not None:
            connection.keep_lane(lane)


def lane_for(broker: Broker, header: RequestHeader, frame: memoryview, request: ProduceRequest) -> ProduceLane | None:
    """A lane for requests like this one, which was read; None where there can be none."""
    if request.transactional_id is not None or request.acks not in (ACKS_ALL, ACKS_LEADER):
        return None
    form = ProduceForm.of(frame, header.api_version, request, framed)
    return (
        None if form is None else ProduceLane(broker, form, header.api_version, request.acks, request.timeout_ms / 1000)
    )


class ProduceLane:
    """The way of one connection's requests to one topic."""

    __slots__ = ("_acks", "_broker", "_form", "_partitions", "_timeout_s", "_version", "answers_at_once")

    def __init__(self, broker: Broker, form: ProduceForm, version: int, acks: int, timeout_s: float) -> None:
        self._broker = broker
        self._form = form
        self._version = version
        self._acks = acks
        self.answers_at_once = acks == ACKS_LEADER
        self._timeout_s = timeout_s
        self._partitions: dict[int, Partition] = {}

    def is_for(self, frame: memoryview) -> bool:
        """Whether a request has the form of this lane."""
        return self._form.records_in(frame) is not None

    def at_once(self, frame: memoryview) -> bytes | None:
        """The whole response to a request that need not wait; None where it must, or is to go the long way.

        Asked only where acks=1.
        """
        place = self._form.records_in(frame)
        if place is None:
            return None
        partition = self._partition(place[1])
        if partition is None or partition.settings.sync_every_messages < NEVER:
            return None
        return self._append(partition, frame, place)[0]

    def begin(self, frame: memoryview, reply: Reply) -> bool:
        """Serve a request, whose `reply` is completed now or when the records are on the disk; False: the long way."""
        place = self._form.records_in(frame)
        if place is None:
            return False
        partition = self._partition(place[1])
        if partition is None:
            return False
        response, appended = self._append(partition, frame, place)
        if response is None:
            return False
        purgatory = self._broker.purgatory
        if purgatory.is_alone and purgatory.due:
            purgatory.release()  # a reader need not wait until the sync is asked for
        if appended is not None and partition.needs_sync(appended, acks=self._acks):
            reply.let_next_begin()
            done = partial(self._synced, reply, response, place[0], place[1])
            partition.when_synced(appended, done, deadline=reply.begun_at + self._timeout_s)
        else:
            reply.complete([response])
        return True

    def _partition(self, index: int) -> Partition | None:
        partition = self._partitions.get(index)
        if partition is not None and partition.is_led:
            return partition
        found = self._broker.partitions.find(self._form.topic, index)
        if found is None or found.topic in INTERNAL_TOPICS:
            return None
        self._partitions[index] = found
        return found

    def _append(self, partition: Partition, frame: memoryview, place: Place) -> tuple[bytes | None, Appended | None]:
        """The response, and what was appended. Without a response nothing was done; without the latter it was refused."""
        correlation_id, index, start, end = place
        batch, now_ms = frame[start:end], self._broker.clock.now_ms()
        try:
            appended = partition.append_plain(batch, now_ms)
            if appended is None:
                if is_transactional(frame, start, end):
                    return None, None
                appended = partition.append_validated(batch, version=self._version, now_ms=now_ms)
        except KafkaError as error:
            return self._refused(correlation_id, refusal(index, error, partition)), None
        except Exception:
            log.exception("a Produce to %s failed in the broker", partition.name)
            return self._refused(correlation_id, ProduceAnswer(index, ErrorCode.UNKNOWN_SERVER_ERROR)), None
        response = self._form.answer(
            correlation_id, index, appended.base_offset, appended.log_append_time, appended.log_start_offset
        )
        return response, appended

    def _synced(self, reply: Reply, response: bytes, correlation_id: int, index: int, error: Exception | None) -> None:
        if error is not None:
            response = self._refused(correlation_id, ProduceAnswer(index, sync_failure(error)))
        reply.complete([response])

    def _refused(self, correlation_id: int, answer: ProduceAnswer) -> bytes:
        body = write_response([(self._form.topic, [answer])], self._version)
        return framed(correlation_id, body, flexible=self._version >= FLEXIBLE_FROM)
