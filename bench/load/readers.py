"""What answers a relay's Fetches: from one partition again and again (`TailReader`), or from several, once (`BulkFetch`).

    TailReader   compares a request with the one before; hands over the bytes that come, as they are in memory
    BulkFetch    reads the request; one pread for each partition that has something, one write for all of them

Both take the form of requests and answers from Ottla's protocol and decide nothing.  A wait ends when something comes or when
the request's max wait is over: a consumer that has all of one partition asks for the others only with its next Fetch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ottla.broker.replies import framed, framed_parts
from ottla.protocol.fetch import (
    FLEXIBLE_FROM,
    FetchAnswer,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    Part,
    write_response,
)
from ottla.protocol.fetch_form import FetchForm, RecordsForm
from ottla.protocol.frames import Buffer
from ottla.protocol.messages import RequestHeader

from .least_log import LeastLog

READ_COMMITTED = 1
AT_LEAST_BYTES = 4 << 20
"""What librdkafka is given of four partitions, by its defaults; it need not grow step by step."""

Send = Callable[[Buffer], None]
SendAll = Callable[[list[Buffer]], None]


class Logs:
    """The partitions' files, made when they are first named."""

    def __init__(self, directory: Path, *, synced: bool) -> None:
        self._directory = directory
        self._synced = synced
        self._logs: dict[int, LeastLog] = {}

    def of(self, index: int) -> LeastLog:
        log = self._logs.get(index)
        if log is None:
            log = self._logs[index] = LeastLog(self._directory / f"{index}.log", synced=self._synced)
        return log

    def clear(self) -> None:
        """Begin anew: the topic is deleted."""
        for log in self._logs.values():
            log.clear()


class TailReader:
    """One connection's Fetches of one form, of one partition: each is answered now, or when something comes."""

    @classmethod
    def of(
        cls, frame: memoryview, header: RequestHeader, request: FetchRequest, logs: Logs, send: Send
    ) -> TailReader | None:
        """For requests like this one; None where they name several partitions, or have no form."""
        if len(request.topics[0][1]) != 1:
            return None
        form = FetchForm.of(frame, header, request)
        return None if form is None else cls(form, request, header.api_version, logs, send)

    def __init__(self, form: FetchForm, request: FetchRequest, version: int, logs: Logs, send: Send) -> None:
        topic, (wanted,) = request.topics[0]
        committed = request.isolation_level == READ_COMMITTED
        self._form = form
        self._log = logs.of(wanted.index)
        self._most_bytes = wanted.max_bytes
        self._records = RecordsForm(topic, wanted.index, version, framed, committed=committed)
        self._send = send
        self._patience = Patience(asyncio.get_running_loop(), request.max_wait_ms / 1000, self._over)
        self._correlation_id = 0

    def serve(self, frame: memoryview) -> bool:
        """Answer now or later; False where it has another form."""
        numbers = self._form.numbers_in(frame)
        if numbers is None:
            return False
        self._correlation_id, _, offset = numbers
        if offset < self._log.end_offset:
            self._hand_over(self._log.read(offset, self._most_bytes))
        else:
            self._log.wait(self._hand_over)
            self._patience.begin()
        return True

    def leave(self) -> None:
        self._log.forget(self._hand_over)

    def _over(self) -> None:
        if self._log.forget(self._hand_over):
            self._hand_over(b"")

    def _hand_over(self, records: Buffer) -> None:
        end = self._log.end_offset
        before, after = self._records.around(self._correlation_id, 0, (end, end, 0), len(records))
        self._send(b"".join((before, records, after)))


class Timers(Protocol):
    """What is needed of an event loop; seconds of its own clock."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> object: ...


class Patience:
    """The timer of a reader's waits, one after another.

    Most of them end long before it rings; so it is not stopped, which would cost as much as all else here, and when it rings
    too early it is set to the time at which the last one is over.
    """

    def __init__(self, loop: Timers, wait_s: float, over: Callable[[], None]) -> None:
        self._now = loop.time
        self._call_at = loop.call_at
        self._wait_s = wait_s
        self._over = over
        self._until = 0.0
        self._is_set = False

    def begin(self) -> None:
        """`over` is called in so long, unless another wait has begun by then."""
        self._until = self._now() + self._wait_s
        if not self._is_set:
            self._is_set = True
            self._call_at(self._until, self._ring)

    def _ring(self) -> None:
        if self._now() < self._until:
            self._call_at(self._until, self._ring)
        else:
            self._is_set = False
            self._over()


class Memory:
    """Where the records of one connection's answers are read to, always the same: fresh memory costs more than reading does.

    It is used again when the next Fetch comes, for then the answer before has been received, as long as one is under way.
    """

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def of(self, size_bytes: int) -> memoryview:
        if len(self._memory) < size_bytes:
            self._memory = memoryview(bytearray(max(size_bytes, AT_LEAST_BYTES)))
        return self._memory[:size_bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """Records in their file."""

    log: LeastLog
    position: int
    size_bytes: int


class BulkFetch:
    """A Fetch of several partitions of one topic under way: answered with what there is, else with what comes first.

    Each partition's batches are whole, and at least one while any of the request's `max_bytes` are left.  All of them are sent
    with one call, which costs a reader less than one for each partition: it is woken less often.
    """

    def __init__(
        self, header: RequestHeader, request: FetchRequest, logs: Logs, memory: Memory, send_all: SendAll
    ) -> None:
        self._header = header
        self._request = request
        self._wanted = [(logs.of(each.index), each) for each in request.topics[0][1]]
        self._memory = memory
        self._send_all = send_all
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if any(each.fetch_offset < log.end_offset for log, each in self._wanted):
            self._answer()
            return
        for log, _ in self._wanted:
            log.wait(self._end)
        self._timer = asyncio.get_running_loop().call_later(self._request.max_wait_ms / 1000, self._end)

    def leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            for log, _ in self._wanted:
                log.forget(self._end)

    def _end(self, _: Buffer = b"") -> None:
        self.leave()
        self._answer()

    def _answer(self) -> None:
        left, answers = self._request.max_bytes, []
        for log, wanted in self._wanted:
            records = find(log, wanted, left)
            left -= records.size_bytes
            answers.append(self._told(log, wanted, records))
        version, topic = self._header.api_version, self._request.topics[0][0]
        body = write_response(FetchResponse(topics=[(topic, answers)]), version)
        parts = framed_parts(self._header.correlation_id, body, flexible=version >= FLEXIBLE_FROM)
        self._send_all(list(self._read(parts)))

    def _read(self, parts: list[Part]) -> Iterator[Buffer]:
        free = self._memory.of(sum(part.size_bytes for part in parts if isinstance(part, Found)))
        for part in parts:
            if isinstance(part, bytes):
                yield part
                continue
            assert isinstance(part, Found)
            memory, free = free[: part.size_bytes], free[part.size_bytes :]
            part.log.read_into(memory, part.position)
            yield memory

    def _told(self, log: LeastLog, wanted: FetchPartition, records: Found) -> FetchAnswer:
        return FetchAnswer(
            wanted.index,
            high_watermark=log.end_offset,
            last_stable_offset=log.end_offset,
            log_start_offset=0,
            aborted=[] if self._request.isolation_level == READ_COMMITTED else None,
            records=records if records.size_bytes else b"",
        )


def find(log: LeastLog, wanted: FetchPartition, left_bytes: int) -> Found:
    """What there is of one partition, if anything may still be sent."""
    if left_bytes <= 0 or wanted.fetch_offset >= log.end_offset:
        return Found(log, 0, 0)
    return Found(log, *log.find(wanted.fetch_offset, min(left_bytes, wanted.max_bytes)))
