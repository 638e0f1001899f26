"""The reader at the tail: it asks for one partition, has all there is of it, and waits; most of a consumer's Fetches.

    request --> at the end? --> wait --> all that came since, and nothing else to say? --> answer
                   | no                     | no
                   +------------------------+--> `fetch`, as any request

It is served with the steps that such a request needs, and no others.  Whatever else it may have to be told (a leader of another
epoch, a transaction that is open or was aborted, records that do not fit, a partition that is gone) is decided in `fetch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.fetch import TOPIC_IDS_FROM, FetchAnswer, FetchRequest, Part
from ...protocol.fetch_form import FetchForm
from ..fetch_sessions import FINAL_EPOCH, FetchContext, SessionRefused
from ..waiting import FetchWait
from . import fetch
from .fetch import READ_COMMITTED, ShortAnswers

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Reply
    from ..partition import Partition

MOST_KEPT_BYTES = 8 * 1024
"""Of a batch that a wait keeps as it passes by."""

Numbers = tuple[int, ...]
"""What `FetchForm.numbers_in` reads: correlation id, session epoch, offset."""


class TailReader:
    """One connection's requests of one form, where they may be of this kind."""

    __slots__ = (
        "_epoch",
        "_partition",
        "aborted",
        "broker",
        "committed",
        "form",
        "index",
        "kept_bytes",
        "max_bytes",
        "request",
        "short",
        "topic",
        "version",
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
        self.broker = broker
        self.form = form
        self.version = version
        self.request = request
        self.short = short
        self.committed = request.isolation_level == READ_COMMITTED
        self.aborted: list[tuple[int, int]] | None = [] if self.committed else None
        self.topic, (wanted,) = request.topics[0]
        self.index = wanted.index
        self._epoch = wanted.current_leader_epoch
        self.max_bytes = min(wanted.max_bytes, request.max_bytes)
        self.kept_bytes = min(MOST_KEPT_BYTES, self.max_bytes)
        self._partition: Partition | None = None

    def begin(self, numbers: Numbers, reply: Reply) -> bool:
        """Let the reader wait; False where it is not at the end, or is to be told something: then nothing was done."""
        partition = self._partition
        if partition is None or not partition.is_led:
            partition = self._partition = self.broker.partitions.find(self.topic, self.index)
        if partition is None or numbers[2] != partition.log.log_end_offset or not self.believes_in(partition):
            return False
        context = None
        if numbers[1] != FINAL_EPOCH or self.request.session_id:
            try:
                context = self.context(numbers)
            except SessionRefused:
                return False  # which has changed nothing
            if len(context.wanted) != 1:
                self.as_any(numbers, reply, context).begin()
                return True
        tail = _Tail(self, partition, numbers, reply, context)
        reply.abandoned, reply.hurry = tail.cancel, tail.wake
        return True

    def believes_in(self, partition: Partition) -> bool:
        """Whether it is here, under the leader epoch that the reader knows of, if it knows any."""
        return partition.is_led and (self._epoch < 0 or self._epoch == partition.leader_epoch)

    def context(self, numbers: Numbers) -> FetchContext:
        """Take a request into account in its session, if it has one. Raises SessionRefused."""
        broker, uses_ids = self.broker, self.version >= TOPIC_IDS_FROM
        request = self.form.request(numbers)
        return broker.fetch_sessions.begin(request, uses_topic_ids=uses_ids, now_ms=broker.clock.now_ms())

    def as_any(self, numbers: Numbers, reply: Reply, context: FetchContext) -> fetch.Fetch:
        """A request as `fetch` serves any."""
        request = self.form.request(numbers)
        return fetch.Fetch(self.broker, self.version, numbers[0], request, context, reply, self.short)


class _Tail(FetchWait):
    """One request that waits.

    A small batch, if it is the only one that comes, is kept as it passes by: what was just written need not be read.
    """

    __slots__ = ("_batch", "_batch_end", "_context", "_numbers", "_partition", "_reader", "_reply")

    def __init__(
        self, reader: TailReader, partition: Partition, numbers: Numbers, reply: Reply, context: FetchContext | None
    ) -> None:
        request = reader.request
        super().__init__(
            reader.broker.loop,
            (partition,),
            wanted_bytes=request.min_bytes,
            max_wait_ms=request.max_wait_ms,
            committed=reader.committed,
        )
        self._reader = reader
        self._partition = partition
        self._numbers = numbers
        self._reply = reply
        self._context = context  # None without a session
        self._batch: bytes | None = None
        self._batch_end = -1

    def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
        if self._batch_end < 0:  # the first; where others follow, the log does not end with it
            self._batch_end = self._partition.log.log_end_offset
            if batch is not None and size_bytes <= self._reader.kept_bytes:
                self._batch = bytes(batch)
        super().appended(size_bytes, decided_bytes, batch)

    def _fire(self) -> None:
        """Answer with what has come, or as `fetch` does."""
        parts = self._parts()
        if parts is None:
            context = self._context or self._reader.context(self._numbers)
            self._reader.as_any(self._numbers, self._reply, context).look_again()
        else:
            self._reply.complete(parts)

    def _parts(self) -> list[Part] | None:
        """The whole response, where it is records that were appended behind what the reader has, and nothing more."""
        partition, reader = self._partition, self._reader
        log = partition.log
        if not reader.believes_in(partition) or log.producers.open_transactions:
            return None
        if reader.committed and log.has_aborted_at_the_end:
            return None
        end_offset = log.log_end_offset
        records = self._records(end_offset)
        if records is None:
            return None
        answer = FetchAnswer(
            reader.index, ErrorCode.NONE, end_offset, end_offset, log.log_start_offset, reader.aborted, records
        )
        session_id = 0
        if self._context is not None:
            if not self._context.select([(reader.topic, answer)]):
                return None
            session_id = self._context.session_id
        return reader.short.parts(self._numbers[0], session_id, reader.topic, answer)

    def _records(self, end_offset: int) -> Part | None:
        log, offset = self._partition.log, self._numbers[2]
        if self._batch is not None and self._batch_end == end_offset and log.log_start_offset <= offset:
            return self._batch
        reader = self._reader
        return log.read_behind(offset, min(reader.max_bytes, reader.broker.fetch_max_bytes))
