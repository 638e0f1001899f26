"""Fetch once more: what a connection sends like a request before it is served with few steps.

    first request  --> api/fetch, all of it --> a lane is left with the connection
    the next ones  --> of the same form? --> read in one step --> api/fetch from there on
                            | no
                            +--> api/fetch, all of it

A consumer at the tail sends such requests as often as records arrive (`fetch_tail`), and is answered with the records of one
partition: that answer is put together in one step, too (`fetch_answer`).  What a request is answered is decided in `fetch`,
whichever way it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.fetch import FetchAnswer, FetchRequest, Part
from ...protocol.fetch_form import FetchForm, RecordsForm
from ...protocol.messages import RequestHeader
from ...protocol.produce import TopicKey
from ..replies import framed
from . import fetch
from .fetch import READ_COMMITTED, serve_request
from .fetch_answer import joined
from .fetch_tail import TailReader

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Reply


def serve(broker: Broker, header: RequestHeader, frame: memoryview, reply: Reply) -> None:
    """Serve a request the long way, and leave a lane for those that follow."""
    request = fetch.serve(broker, header, frame, reply)
    form = FetchForm.of(frame, header, request)
    if form is not None:
        reply.connection.keep_lane(FetchLane(broker, form, header.api_version, request))


class FetchLane:
    """The way of one connection's requests for one set of partitions."""

    __slots__ = ("_broker", "_committed", "_form", "_forms", "_tail", "_version", "answers_at_once")

    def __init__(self, broker: Broker, form: FetchForm, version: int, request: FetchRequest) -> None:
        self._broker = broker
        self._form = form
        self._version = version
        self._committed = request.isolation_level == READ_COMMITTED
        self._forms: dict[tuple[TopicKey, int], RecordsForm] = {}
        self._tail = TailReader.of(broker, form, version, request, self)
        self.answers_at_once = False

    def is_for(self, frame: memoryview) -> bool:
        """Whether a request has the form of this lane."""
        return self._form.numbers_in(frame) is not None

    def at_once(self, frame: memoryview) -> bytes | None:
        """A Fetch may have to wait, and needs its `Reply`."""
        return None

    def begin(self, frame: memoryview, reply: Reply) -> bool:
        """Serve a request; `reply` is completed now, or after a wait. False where it has another form."""
        numbers = self._form.numbers_in(frame)
        if numbers is None:
            return False
        if self._tail is None or not self._tail.serve(numbers, reply):
            serve_request(self._broker, self._version, numbers[0], self._form.request(numbers), reply, self)
        return True

    def parts(self, correlation_id: int, session_id: int, topic: TopicKey, answer: FetchAnswer) -> list[Part] | None:
        """The whole response with one partition's records; None where it says anything else."""
        records = answer.records
        if not records or answer.aborted or answer.error is not ErrorCode.NONE:
            return None
        form = self._forms.get((topic, answer.index))
        if form is None:
            form = RecordsForm(topic, answer.index, self._version, framed, committed=self._committed)
            self._forms[topic, answer.index] = form
        ends = answer.high_watermark, answer.last_stable_offset, answer.log_start_offset
        return joined(form, correlation_id, session_id, ends, records)
