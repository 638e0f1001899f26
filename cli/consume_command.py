"""What `ottla consume` does: finds where to begin and where to stop, prints what lies between.

Without --follow the end is where each partition ended when reading began.  Output goes out at once while it is waited
for, in blocks while there is more to print.  With a group, what was printed is committed at the end, also after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ..client.admin.values import TopicPartition
from ..client.consumer.consumer import Consumer
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass, field
from .asking import in_one_line
from .errors import WRONGLY_ASKED, CommandError
from .rate_display import RateDisplay
from .record_format import FORMS, RecordFormat, Shown, by_template, columns, json_lines

JSON = "json"
"""As a template it would be a word without a field in it: who writes it means what `produce --format json` reads."""
_AGO = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AT_A_TIME = 1_000
_LOOK_AGAIN_MS = 200
_REQUEST_TIMEOUT_MS = 5_000
"""A person waits: a broker that does not answer within this is not there."""
_FINDING_TIMEOUT_MS = 2_000
"""How long a topic that is not there may be in coming."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: an offset, the last so many, a time in ms, or an end of the log."""

    offset: int | None = None
    last: int | None = None
    timestamp: int | None = None
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    start: str
    follow: bool
    count: int | None
    partitions: tuple[int, ...]
    group: str | None
    committed_only: bool


def parse_start(given: str, now: datetime) -> Start:
    """CommandError where it cannot be understood."""
    if given in ("beginning", "earliest"):
        return Start(offset=0)
    if given in ("end", "latest"):
        return Start(at_end=True)
    if re.fullmatch(r"-\d+", given):
        return Start(last=-int(given))
    if given.isdecimal():
        return Start(offset=int(given))
    ago = _AGO.fullmatch(given)
    if ago is not None:
        return Start(timestamp=_ms(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})))
    try:
        when = datetime.fromisoformat(given)
    except ValueError:
        what = "write beginning, end, an offset, -N, a time like 2026-01-31T12:00, or 15m, 2h, 3d for how long ago"
        raise CommandError(f"--from {given}: {what}", exit_code=WRONGLY_ASKED) from None
    return Start(timestamp=_ms(when if when.tzinfo else when.astimezone()))


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def record_format(
    *, keys: bool, headers: bool, as_json: bool, template: str | None, key_format: str, value_format: str
) -> RecordFormat:
    """CommandError where the flags contradict each other or a form is not known."""
    key, value = _form("--key-format", key_format), _form("--value-format", value_format)
    if as_json and template not in (None, JSON):
        raise CommandError("--json and --format: give one of them", exit_code=WRONGLY_ASKED)
    if as_json or template == JSON:
        return json_lines(key, value)
    if template is None:
        return columns(key, value, keys=keys, headers=headers)
    try:
        return by_template(template, key, value)
    except ValueError as error:
        raise CommandError(f"--format: {error}", exit_code=WRONGLY_ASKED) from error


def _form(flag: str, name: str) -> Shown:
    if name not in FORMS:
        raise CommandError(f"{flag} {name}: known are {', '.join(FORMS)}", exit_code=WRONGLY_ASKED)
    return FORMS[name]


def consume(bootstrap_server: str, topics: Sequence[str], wish: Wish, line_of: RecordFormat) -> None:
    """Print records until the end, the count, or Ctrl-C, which is a good end."""
    start = parse_start(wish.start, datetime.now(UTC))
    if wish.group is not None and wish.partitions:
        raise CommandError("--group and --partition: a group assigns the partitions", exit_code=WRONGLY_ASKED)
    with in_one_line():
        asyncio.run(_until_stopped(_Reading(bootstrap_server, topics, wish, start, line_of)))


async def _until_stopped(reading: _Reading) -> None:
    """Ctrl-C and SIGTERM end the reading, not the process: the group is left, and the display is put away."""
    task = asyncio.create_task(reading.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: there Ctrl-C is a KeyboardInterrupt
            loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    reading.display.close()


@dataclass(slots=True)
class _Reading:
    """One run of the command."""

    bootstrap_server: str
    topics: Sequence[str]
    wish: Wish
    start: Start
    line_of: RecordFormat
    display: RateDisplay = field(default_factory=RateDisplay)
    left: int | None = None

    async def run(self) -> None:
        self.left = self.wish.count
        consumer = self._consumer()
        try:
            await consumer.start()
            if self.wish.group is None:
                await self._assign(consumer)
            await self._print(consumer)
        finally:
            sys.stdout.flush()
            await asyncio.shield(self._stop(consumer))

    async def _stop(self, consumer: Consumer[bytes, bytes]) -> None:
        """What was printed is done, however it came to the end."""
        try:
            if consumer.assignment() and self.wish.group is not None:
                await consumer.commit()
        finally:
            await consumer.stop()

    def _consumer(self) -> Consumer[bytes, bytes]:
        try:
            return Consumer(
                *(self.topics if self.wish.group else ()),
                bootstrap_servers=self.bootstrap_server,
                group_id=self.wish.group,
                auto_offset_reset=self._reset(),
                isolation_level="read_committed" if self.wish.committed_only else "read_uncommitted",
                allow_auto_create_topics=False,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
        except ValueError as error:
            raise CommandError(str(error), exit_code=WRONGLY_ASKED) from error

    def _reset(self) -> str | timedelta:
        if self.start.timestamp is not None:
            return timedelta(milliseconds=max(0, int(time.time() * 1000) - self.start.timestamp))
        return "latest" if self.start.at_end else "earliest"

    # -- without a group

    async def _assign(self, consumer: Consumer[bytes, bytes]) -> None:
        """Every partition that was asked for, at the place that was asked for."""
        partitions = [each for topic in self.topics for each in await self._partitions(consumer, topic)]
        first, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        if self.start.timestamp is not None:
            await consumer.seek_to_time(self.start.timestamp)
            return
        for each in partitions:
            consumer.seek(each, self._place(first[each], end[each]))

    async def _partitions(self, consumer: Consumer[bytes, bytes], topic: str) -> list[TopicPartition]:
        there = await consumer.topic_partitions(topic, _FINDING_TIMEOUT_MS)
        missing = [each for each in self.wish.partitions if each not in there]
        if missing:
            raise KafkaError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                f"{topic} has no partition {missing[0]}, only {len(there)} from 0 on",
            )
        return [TopicPartition(topic, each) for each in sorted(self.wish.partitions or there)]

    def _place(self, first: int, end: int) -> int:
        if self.start.at_end:
            return end
        if self.start.last is not None:
            return max(first, end - self.start.last)
        return min(end, max(first, self.start.offset or 0))

    # -- reading

    async def _print(self, consumer: Consumer[bytes, bytes]) -> None:
        ends: dict[TopicPartition, int] = {}
        while self.left is None or self.left > 0:
            most = _AT_A_TIME if self.left is None else min(self.left, _AT_A_TIME)
            if not self.wish.follow:
                await self._learn_ends(consumer, ends)
                if ends and await self._is_at_end(consumer, ends):
                    break
            taken = await consumer.getmany(timeout_ms=_LOOK_AGAIN_MS, max_records=most)
            for id_, records in taken.items():
                self._show([each for each in records if id_ not in ends or each.offset < ends[id_]])
            if not taken:
                sys.stdout.flush()
                self.display.idle()

    async def _learn_ends(self, consumer: Consumer[bytes, bytes], ends: dict[TopicPartition, int]) -> None:
        """Where the partitions end that were assigned meanwhile; those that were taken away count no more."""
        assigned = consumer.assignment()
        for gone in ends.keys() - assigned:
            del ends[gone]
        new = assigned - ends.keys()
        if new:
            ends.update(await consumer.end_offsets(new))

    async def _is_at_end(self, consumer: Consumer[bytes, bytes], ends: dict[TopicPartition, int]) -> bool:
        return all([await consumer.position(each) >= end for each, end in ends.items()])

    def _show(self, records: Sequence[Any]) -> None:
        for record in records:
            sys.stdout.write(self.line_of(record) + "\n")
            self.display.count(len(record.key or b"") + len(record.value or b""))
        if self.left is not None:
            self.left -= len(records)
        if len(records) < _AT_A_TIME:
            sys.stdout.flush()
        self.display.update()
