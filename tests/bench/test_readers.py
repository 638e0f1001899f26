"""What a relay answers to Fetches: from real logs, to a socket that keeps what it is sent; no timing is judged."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from ottla.protocol import fetch
from ottla.protocol.apis import ApiKey
from ottla.protocol.frames import Buffer
from ottla.protocol.messages import Message, decode_request_header

from bench.load import wire
from bench.load.readers import BulkFetch, Logs, Memory, Patience, TailReader

TOPIC = UUID(int=7)
LONG_MS = 600_000
PATIENCE_S = 60.0


class Sent:
    """Whole responses, as they went out; what is sent is copied at once, as the kernel does."""

    def __init__(self) -> None:
        self.responses: list[bytes] = []
        self.some = asyncio.Event()
        self.memory = Memory()
        self._received = bytearray()

    def take(self, part: Buffer) -> None:
        received = self._received
        received += part
        if len(received) == wire.SIZE.size + wire.SIZE.unpack_from(received)[0]:
            self.responses.append(bytes(received[wire.SIZE.size :]))
            received.clear()
            self.some.set()

    def take_all(self, parts: list[Buffer]) -> None:
        for part in parts:
            self.take(part)

    def records(self) -> list[dict[int, bytes]]:
        """Of each response, by partition; all without an error."""
        told = [wire.answer(ApiKey.FETCH, each).responses for each in self.responses]
        assert not any(each.error_code for (topic,) in told for each in topic.partitions)
        return [{each.partition_index: bytes(each.records) for each in topic.partitions} for (topic,) in told]


def asked(offsets: dict[int, int], *, max_wait_ms: int = LONG_MS, max_bytes: int = 1 << 20) -> memoryview:
    """A Fetch from these offsets on."""
    wanted = [Message(partition=index, fetch_offset=at, partition_max_bytes=1 << 20) for index, at in offsets.items()]
    fields = wire.fetch_fields(TOPIC, wanted, max_wait_ms=max_wait_ms) | {"max_bytes": max_bytes}
    return memoryview(wire.frame(ApiKey.FETCH, Message(**fields))[wire.SIZE.size :])


def bulk(frame: memoryview, logs: Logs, sent: Sent) -> BulkFetch:
    header = decode_request_header(frame)
    request = fetch.read_request(frame, header.body_position, header.api_version)
    return BulkFetch(header, request, logs, sent.memory, sent.take_all)


def tail(frame: memoryview, logs: Logs, sent: Sent) -> TailReader | None:
    header = decode_request_header(frame)
    request = fetch.read_request(frame, header.body_position, header.api_version)
    return TailReader.of(frame, header, request, logs, sent.take)


def append(logs: Logs, index: int, records: int) -> bytes:
    batch = bytearray(wire.batch(records, 10))
    logs.of(index).append(memoryview(batch))
    return bytes(batch)


def test_several_partitions_are_answered_together_with_what_there_is_of_each(tmp_path: Path) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        ones, others = [append(logs, 1, 2) for _ in range(3)], [append(logs, 3, 1)]

        bulk(asked({0: 0, 1: 2, 3: 0}), logs, sent).begin()

        bulk(asked({1: 0, 3: 1}), logs, sent).begin()

        assert sent.records() == [{0: b"", 1: ones[1] + ones[2], 3: others[0]}, {1: b"".join(ones), 3: b""}]

    asyncio.run(use())


@pytest.mark.parametrize("max_bytes", [1, 100])
def test_the_first_batch_is_whole_however_few_bytes_may_be_sent_and_nothing_comes_behind_the_limit(
    tmp_path: Path, max_bytes: int
) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        first, _ = [append(logs, index, 10) for index in (1, 2)]
        assert len(first) > max_bytes

        bulk(asked({0: 0, 1: 0, 2: 0}, max_bytes=max_bytes), logs, sent).begin()

        assert sent.records() == [{0: b"", 1: first, 2: b""}]

    asyncio.run(use())


def test_one_at_the_end_of_several_partitions_waits_for_any_of_them_and_is_answered_once(tmp_path: Path) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        append(logs, 0, 5)
        bulk(asked({0: 5, 1: 0, 2: 0}), logs, sent).begin()
        assert sent.responses == []

        came = append(logs, 1, 1)
        append(logs, 2, 1)
        append(logs, 1, 1)

        assert sent.records() == [{0: b"", 1: came, 2: b""}]

    asyncio.run(use())


def test_when_the_wait_is_over_several_partitions_are_answered_with_nothing(tmp_path: Path) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        bulk(asked({0: 0, 1: 0}, max_wait_ms=1), logs, sent).begin()
        await asyncio.wait_for(sent.some.wait(), PATIENCE_S)
        append(logs, 0, 1)

        assert sent.records() == [{0: b"", 1: b""}]

    asyncio.run(use())


def test_one_who_left_is_sent_nothing(tmp_path: Path) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        several, reader = bulk(asked({0: 0, 1: 0}), logs, sent), tail(asked({0: 0}), logs, sent)
        several.begin()
        assert reader is not None
        reader.serve(asked({0: 0}))
        several.leave()
        reader.leave()
        append(logs, 0, 1)

        assert sent.responses == []

    asyncio.run(use())


def test_a_reader_of_one_partition_is_given_what_it_lacks_then_what_comes_then_nothing_when_its_wait_is_over(
    tmp_path: Path,
) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        reader = tail(asked({0: 0}, max_wait_ms=200), logs, sent)
        assert reader is not None
        there = append(logs, 0, 2)

        assert reader.serve(asked({0: 0}, max_wait_ms=200))
        assert reader.serve(asked({0: 2}, max_wait_ms=200))
        came = append(logs, 0, 1)
        sent.some.clear()
        assert reader.serve(asked({0: 3}, max_wait_ms=200))
        await asyncio.wait_for(sent.some.wait(), PATIENCE_S)
        append(logs, 0, 1)

        assert sent.records() == [{0: there}, {0: came}, {0: b""}]

    asyncio.run(use())


def test_a_reader_serves_its_own_form_and_is_there_for_one_partition_only(tmp_path: Path) -> None:
    async def use() -> None:
        logs, sent = Logs(tmp_path, synced=False), Sent()
        reader = tail(asked({0: 0}), logs, sent)

        assert reader is not None
        assert not reader.serve(asked({1: 0}))
        assert tail(asked({0: 0, 1: 0}), logs, sent) is None

    asyncio.run(use())


class Clock:
    """An event loop's timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.set: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> None:
        self.set.append((when, callback))

    def ring(self) -> None:
        """The only timer there is."""
        ((self.now, callback),) = self.set
        self.set.clear()
        callback()


def test_one_timer_serves_many_waits_and_rings_for_the_last_of_them_at_its_time() -> None:
    clock, over = Clock(), []
    patience = Patience(clock, 5, lambda: over.append(clock.now))
    for clock.now in (0, 1, 2):
        patience.begin()

    clock.ring()
    assert over == []
    clock.ring()
    assert over == [7]
    assert clock.set == []
    patience.begin()
    clock.ring()
    assert over == [7, 12]
