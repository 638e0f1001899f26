"""What becomes of a record: an awaitable that costs next to nothing until somebody awaits it.

A batch is acknowledged or refused as a whole, so what there is to know is kept once, with the batch (`Fate`), and a
record's `Delivery` is its batch and its number in there.  Nothing is done per record when an answer comes, but for
those that somebody awaits just then.

A `Delivery` is a future in the sense of `asyncio.isfuture`: it can be awaited, given to `gather`, `wait`, `wait_for`
and `shield`, and asked for `done`, `result`, `exception`.  Cancelling it, or who awaits it, calls nothing back: the
record is on its way.  A batch that failed and whose failure nobody ever looked at is logged, once, when it is gone.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.records import TimestampType
from ..protocol.values import dataclass
from .admin.values import TopicPartition

_logger = logging.getLogger(__name__)
_NO_TIME = -1


class RecordMetadata(NamedTuple):
    """Where a record was written.

    `offset` is -1 when the broker does not say (acks 0, or an old broker that had the batch already); `timestamp` is in
    ms, the producer's or, with LOG_APPEND_TIME, the broker's.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: TimestampType
    log_start_offset: int

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker wrote the batch from `base_offset` on (-1: it does not say)."""

    base_offset: int = -1
    log_append_time_ms: int = _NO_TIME
    log_start_offset: int = -1


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker will not write the batch; `record_errors` says of some records why, by their number."""

    code: ErrorCode
    message: str | None = None
    record_errors: Sequence[tuple[int, str | None]] = ()


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The client gave up; `kind` is a ClientError."""

    kind: type[Exception]
    why: str


@dataclass(frozen=True, slots=True)
class Divided:
    """The batch was divided; `parts` pairs the number of a record with the fate of the batch that begins there."""

    parts: Sequence[tuple[int, Fate]]


Outcome = Acknowledged | Refused | GivenUp | Divided


class Fate:
    """The outcome of one batch, and who waits for it."""

    __slots__ = ("_watchers", "looked_at", "loop", "outcome", "partition", "record_count", "topic")

    loop: asyncio.AbstractEventLoop  # of who awaits; the producer's to set

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.record_count = 0  # known when the outcome is
        self.outcome: Outcome | None = None
        self.looked_at = False
        self._watchers: list[Callable[[], None]] = []

    def decide(self, outcome: Outcome, record_count: int) -> None:
        """Settle it, and tell those who wait."""
        assert self.outcome is None, "decided twice"
        self.outcome = outcome
        self.record_count = record_count
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` when it is decided, at once if it is."""
        if self.outcome is None:
            self._watchers.append(watcher)
        else:
            watcher()

    def divide(self, parts: Sequence[tuple[int, Fate]], record_count: int) -> None:
        """It is decided when both of its parts are."""

        def decide() -> None:
            if self.outcome is None and all(fate.outcome is not None for _, fate in parts):
                self.decide(Divided(parts), record_count)

        for _, fate in parts:
            fate.watch(decide)

    def metadata(self, index: int, timestamp: int) -> RecordMetadata:
        """Where record `index` of the batch was written; raises what became of it otherwise."""
        outcome = self.outcome
        if not isinstance(outcome, Acknowledged):
            if isinstance(outcome, Divided):
                fate, index = _part(outcome, index)
                return fate.metadata(index, timestamp)
            raise self._error(index)
        appended = outcome.log_append_time_ms
        return RecordMetadata(
            self.topic,
            self.partition,
            -1 if outcome.base_offset < 0 else outcome.base_offset + index,
            timestamp if appended == _NO_TIME else appended,
            TimestampType.CREATE_TIME if appended == _NO_TIME else TimestampType.LOG_APPEND_TIME,
            outcome.log_start_offset,
        )

    def pieces(self, index: int, count: int) -> Iterator[tuple[int, int]]:
        """The runs of records, as index and count, that lie side by side in the log: one, unless it was divided."""
        if not isinstance(self.outcome, Divided):
            yield index, count
            return
        end = index + count
        bounds = [first for first, _ in self.outcome.parts] + [end]
        for (first, fate), following in zip(self.outcome.parts, bounds[1:], strict=True):
            low, high = max(first, index), min(following, end)
            if low < high:
                yield from ((first + at, length) for at, length in fate.pieces(low - first, high - low))

    def exception(self, index: int) -> Exception | None:
        """Why record `index` was not written, and what to do; None if it was."""
        if isinstance(self.outcome, Divided):
            fate, index = _part(self.outcome, index)
            return fate.exception(index)
        return None if isinstance(self.outcome, Acknowledged) else self._error(index)

    def first_failure(self) -> Exception | None:
        """Why some record was not written; None if all were."""
        if isinstance(self.outcome, Divided):
            failures = (fate.first_failure() for _, fate in self.outcome.parts)
            return next((failure for failure in failures if failure is not None), None)
        return self.exception(0) if self.outcome is not None else None

    def _error(self, index: int) -> Exception:
        outcome = self.outcome
        self.looked_at = True
        record = f"record {index + 1} of {self.record_count} for {self.topic}-{self.partition}"
        if isinstance(outcome, Refused):
            return KafkaError(outcome.code, f"{record}: {_refusal(outcome, index)}")
        assert isinstance(outcome, GivenUp), outcome
        return outcome.kind(f"{record}: {outcome.why}")

    def __del__(self) -> None:
        if isinstance(self.outcome, Refused | GivenUp) and not self.looked_at:
            what = f"{self.record_count} record(s) for {self.topic}-{self.partition} were not delivered"
            _logger.error("%s, and nobody asked why: %s", what, self._error(0))


def _part(outcome: Divided, index: int) -> tuple[Fate, int]:
    first, fate = [part for part in outcome.parts if part[0] <= index][-1]
    return fate, index - first


_ADVICE = {
    ErrorCode.MESSAGE_TOO_LARGE: "raise max.message.bytes of the topic, or send smaller records",
    ErrorCode.RECORD_LIST_TOO_LARGE: "raise segment.bytes of the topic, or lower batch_size",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "the topic's ACLs must allow this client to WRITE",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "the cluster's ACLs must allow IDEMPOTENT_WRITE,"
    " or pass enable_idempotence=False",
    ErrorCode.INVALID_TIMESTAMP: "see message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic",
    ErrorCode.INVALID_RECORD: "a compacted topic takes only records with a key",
    ErrorCode.UNSUPPORTED_COMPRESSION_TYPE: "the broker is too old for this compression_type",
    ErrorCode.INVALID_REQUIRED_ACKS: "acks must be 0, 1 or 'all'",
    ErrorCode.PRODUCER_FENCED: "another producer with the same transactional_id has taken over",
}


def _refusal(outcome: Refused, index: int) -> str:
    own = dict(outcome.record_errors)
    if own and index not in own:
        number, words = outcome.record_errors[0]
        return f"refused with its batch, for record {number + 1}: {words or outcome.message or outcome.code.name}"
    words = own.get(index) or outcome.message or "refused by the broker"
    advice = _ADVICE.get(outcome.code)
    return f"{words}; {advice}" if advice else words


class Delivery:
    """The awaitable of one record; its result is a RecordMetadata.

    Raises KafkaError when the broker refused the record, ClientError when no acknowledgement was to be had; both name
    record and partition.
    """

    __slots__ = ("__dict__", "_fate", "_index", "_timestamp")

    # Only who is awaited writes to these, and has a dictionary then.
    _callbacks: list[tuple[Callable[[Any], object], contextvars.Context | None]] | None = None
    _cancelled = False
    _asyncio_future_blocking = False

    def __init__(self, fate: Fate, index: int, timestamp: int) -> None:
        self._fate = fate
        self._index = index
        self._timestamp = timestamp

    def again(self) -> Delivery:
        """Another awaitable of the same record, which can be cancelled without cancelling this one."""
        return Delivery(self._fate, self._index, self._timestamp)

    def done(self) -> bool:
        """Whether there is an outcome, or it was cancelled."""
        return self._cancelled or self._fate.outcome is not None

    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self, msg: Any | None = None) -> bool:
        """Stop waiting; the record is sent all the same.  False if there is an outcome already."""
        if self.done():
            return False
        self._cancelled = True
        self._tell()
        return True

    def result(self) -> RecordMetadata:
        """Where the record was written; raises why it was not, InvalidStateError while it is on its way."""
        self._must_be_done()
        return self._fate.metadata(self._index, self._timestamp)

    def exception(self) -> Exception | None:
        """Why the record was not written, None if it was."""
        if self._fate.outcome.__class__ is Acknowledged and not self._cancelled:  # the quick answer for most
            return None
        self._must_be_done()
        return self._fate.exception(self._index)

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        """Have the loop call `callback` with this delivery once it is done."""
        if self.done():
            self._fate.loop.call_soon(callback, self, context=context)
            return
        if self._callbacks is None:
            self._callbacks = []
            self._fate.watch(self._tell)
        self._callbacks.append((callback, context))

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget it; how often it was there."""
        before = self._callbacks or []
        after = [each for each in before if each[0] != callback]
        if self._callbacks is not None:
            self._callbacks[:] = after
        return len(before) - len(after)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._fate.loop

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def _must_be_done(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError
        if self._fate.outcome is None:
            raise asyncio.InvalidStateError("the record is on its way")

    def _tell(self) -> None:
        callbacks = self._callbacks or []
        self._callbacks = []
        for callback, context in callbacks:
            self._fate.loop.call_soon(callback, self, context=context)
