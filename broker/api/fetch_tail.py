"""The reader at the tail: it asks for one partition, has all there is of it or nearly, and waits; most of a consumer's Fetches.

    request --> at the end? --> wait --> all that came since, and nothing else to say? --> answer
                   | no                     ^       | no
                   +--> a little behind? ---+       +--> `fetch`, as any request

A fifth of the requests of a reader that is given a thousand records a second find one that came while they were on their way.

It is served with the steps that such a request needs, and no others.  Whatever else it may have to be told (a leader of another
epoch, a transaction that is open or was aborted, records that do not fit, a partition that is gone) is decided in `fetch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.fetch import TOPIC_IDS_FROM, FetchAnswer, FetchRequest, Part
from ...protocol.fetch_form import FetchForm, RecordsForm
from ...protocol.records import RECORD_BATCH_OVERHEAD
from ..fetch_sessions import FINAL_EPOCH, FetchContext, SessionRefused
from ..replies import framed
from ..waiting import FetchWait
from . import fetch
from .fetch import FAILED, READ_COMMITTED, ShortAnswers
from .fetch_answer import joined

if TYPE_CHECKING:
    from ...storage.log import FileSlice, Log
    from ..app import Broker
    from ..connection import Reply
    from ..partition import Partition

MOST_KEPT_BYTES = 8 * 1024
"""Of a batch that a wait keeps as it passes by."""
NOTHING_CAME = -1

Numbers = tuple[int, ...]
"""What `FetchForm.numbers_in` reads: correlation id, session epoch, offset."""


class TailReader(FetchWait):
    """One connection's requests of one form, where they may be of this kind; the one that is served waits in it.

    A small batch, if it is the only one that comes, is kept as it passes by: what was just written need not be read.
    """

    __slots__ = (
        "_aborted",
        "_any_is_enough",
        "_batch",
        "_batch_end",
        "_broker",
        "_context",
        "_epoch",
        "_form",
        "_index",
        "_kept_bytes",
        "_max_bytes",
        "_numbers",
        "_partition",
        "_records_form",
        "_reply",
        "_request",
        "_short",
        "_topic",
        "_version",
    )

    @classmethod
    def of(
        cls, broker: Broker, form: FetchForm, version: int, request: FetchRequest, short: ShortAnswers
    ) -> TailReader | None:
        """For requests like this one; None where they name several partitions, or may not wait."""
        if len(request.topics) != 1 or len(request.topics[0][1]) != 1 or not fetch.may_wait(request):
            return None
        (wanted,) = request.topics[0][1]
        if wanted.max_bytes < 0 or wanted.last_fetched_epoch >= 0:
            return None
        return cls(broker, form, version, request, short)

    def __init__(
        self, broker: Broker, form: FetchForm, version: int, request: FetchRequest, short: ShortAnswers
    ) -> None:
        committed = request.isolation_level == READ_COMMITTED
        super().__init__(broker.purgatory, committed=committed)
        self._broker = broker
        self._form = form
        self._version = version
        self._request = request
        self._short = short
        self._topic, (wanted,) = request.topics[0]
        self._index = wanted.index
        self._aborted: list[tuple[int, int]] | None = [] if committed else None
        self._records_form = RecordsForm(self._topic, self._index, version, framed, committed=committed)
        self._epoch = wanted.current_leader_epoch
        self._max_bytes = min(wanted.max_bytes, request.max_bytes)
        self._kept_bytes = min(MOST_KEPT_BYTES, self._max_bytes)
        self._any_is_enough = request.min_bytes <= RECORD_BATCH_OVERHEAD
        self._partition: Partition | None = None
        # of the request that waits:
        self._numbers: Numbers
        self._reply: Reply
        self._context: FetchContext | None = None  # in its session, if it has one
        self._batch: bytes | None = None
        self._batch_end = NOTHING_CAME

    def serve(self, numbers: Numbers, reply: Reply) -> bool:
        """Answer with what is there, or let the reader wait; False where it may have to be told more: then nothing was done."""
        partition = self._partition
        if partition is None or not partition.is_led:
            partition = self._partition = self._broker.partitions.find(self._topic, self._index)
        if partition is None or not self._believes_in(partition):
            return False
        is_at_end = numbers[2] == partition.log.log_end_offset
        if not is_at_end and not self._any_is_enough:
            return False
        context, request = None, self._request
        if numbers[1] != FINAL_EPOCH or request.session_id:
            try:
                context = self._context_of(numbers)
            except SessionRefused:
                return False  # which has changed nothing
            if len(context.wanted) != 1:
                self._as_any(numbers, reply, context).begin()
                return True
        self._numbers, self._reply, self._context = numbers, reply, context
        self._batch, self._batch_end = None, NOTHING_CAME
        if not is_at_end:
            unanswered = self._answer()
            if unanswered is not None:
                unanswered.begin()
            return True
        self.begin((partition,), request.min_bytes, request.max_wait_ms)
        reply.abandoned, reply.hurry = self.cancel, self.wake
        return True

    def _believes_in(self, partition: Partition) -> bool:
        """Whether it is here, under the leader epoch that the reader knows of, if it knows any."""
        return partition.is_led and (self._epoch < 0 or self._epoch == partition.leader_epoch)

    def _context_of(self, numbers: Numbers) -> FetchContext:
        """Take a request into account in its session, if it has one. Raises SessionRefused."""
        broker, uses_ids = self._broker, self._version >= TOPIC_IDS_FROM
        request = self._form.request(numbers)
        return broker.fetch_sessions.begin(request, uses_topic_ids=uses_ids, now_ms=broker.clock.now_ms())

    def _as_any(self, numbers: Numbers, reply: Reply, context: FetchContext) -> fetch.Fetch:
        """A request as `fetch` serves any."""
        request = self._form.request(numbers)
        return fetch.Fetch(self._broker, self._version, numbers[0], request, context, reply, self._short)

    def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
        # Only the first is kept: where others follow it, the log ends elsewhere.
        if self._batch_end == NOTHING_CAME and self._partition is not None:
            self._batch_end = self._partition.log.log_end_offset
            if batch is not None and size_bytes <= self._kept_bytes:
                self._batch = bytes(batch)
        FetchWait.appended(self, size_bytes, decided_bytes, batch)

    def _fire(self) -> None:
        """Answer with what has come, or as `fetch` does."""
        unanswered = self._answer()
        if unanswered is not None:
            unanswered.look_again()

    def _answer(self) -> fetch.Fetch | None:
        """Answer with what there is; where more is to be told, the request as `fetch` serves any, which answers it."""
        parts = self._parts()
        if parts is None:
            return self._as_any(self._numbers, self._reply, self._context or self._context_of(self._numbers))
        self._reply.complete(parts)
        return None

    def fail(self) -> None:
        self._reply.close(FAILED)

    def _parts(self) -> list[Part] | None:
        """The whole response, where it is records that were appended behind what the reader has, and nothing more."""
        partition = self._partition
        if partition is None or not self._believes_in(partition):
            return None
        log = partition.log
        if log.producers.open_transactions or (self._committed and log.has_aborted_at_the_end):
            return None
        end_offset, start_offset = log.log_end_offset, log.log_start_offset
        records = self._records(log, end_offset, start_offset)
        if records is None:
            return None
        session_id = 0
        if self._context is not None:
            answer = FetchAnswer(
                self._index, ErrorCode.NONE, end_offset, end_offset, start_offset, self._aborted, records
            )
            if not self._context.select([(self._topic, answer)]):
                return None
            session_id = self._context.session_id
        return joined(self._records_form, self._numbers[0], session_id, (end_offset, end_offset, start_offset), records)

    def _records(self, log: Log, end_offset: int, start_offset: int) -> bytes | FileSlice | None:
        offset = self._numbers[2]
        if self._batch is not None and self._batch_end == end_offset and start_offset <= offset:
            return self._batch
        return log.read_behind(offset, min(self._max_bytes, self._broker.fetch_max_bytes))
