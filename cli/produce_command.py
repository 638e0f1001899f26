"""What `ottla produce` does: cuts the input into records, sends them, and waits until all are written.

What can go wrong ends the command with one line; records before that may have been written, and the line says how many.
Lines without keys, headers and times of their own go as a batch of values, which is many times faster.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, Protocol, cast

from ..client.errors import CannotConnect, ClientError
from ..client.producer import Producer
from ..protocol.errors import KafkaError
from ..protocol.values import dataclass
from .errors import WRONGLY_ASKED, CommandError
from .line_source import LineSource
from .record_lines import LineReader, LineRecord, empty_as_null, json_line, keyed_line, plain_line
from .sending_display import SendingDisplay

CONNECT_TIMEOUT_MS = 10_000
LINGER_MS = 5
_LOOKED_AT_TOGETHER = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    topic: str
    file: str
    format: str
    key_separator: str | None
    key: str | None
    headers: tuple[str, ...]
    partition: int | None
    empty_as_null: bool
    acks: str
    compression: str
    rate: float | None


class _Outcome(Protocol):
    def done(self) -> bool: ...
    def result(self) -> Any: ...


def format_of(format_: str, *, as_json: bool) -> str:
    """CommandError where the flags contradict each other."""
    if as_json and format_ == "raw":
        raise CommandError("--json and --format raw: give one of them", exit_code=WRONGLY_ASKED)
    return "json" if as_json else format_


def produce(bootstrap_server: str, wish: Wish) -> None:
    headers = _parse_headers(wish.headers)
    read = _reader(wish)
    with ExitStack() as stack:
        file = _open(wish.file, stack)
        try:
            count = asyncio.run(_produce(bootstrap_server, wish, file, read, headers))
        except CannotConnect as error:
            hint = "is the broker running? `ottla serve` starts one, --bootstrap-server names another"
            raise CommandError(f"{error}; {hint}") from error
        except (ClientError, KafkaError) as error:
            raise CommandError(" ".join(str(error).split())) from error
        except OSError as error:
            raise CommandError(f"cannot read {wish.file}: {error.strerror}") from error
    print(f"wrote {count} record{'' if count == 1 else 's'} to {wish.topic}")


def _open(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return cast("BinaryIO", sys.stdin.buffer)
    try:
        return cast("BinaryIO", stack.enter_context(open(name, "rb")))
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}", exit_code=WRONGLY_ASKED) from error


def _parse_headers(entries: Sequence[str]) -> tuple[tuple[str, bytes], ...]:
    headers = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise CommandError(f"--header {entry}: write it as --header NAME=VALUE", exit_code=WRONGLY_ASKED)
        headers.append((name, value.encode()))
    return tuple(headers)


def _reader(wish: Wish) -> LineReader:
    if wish.key_separator is not None and (wish.format != "lines" or not wish.key_separator):
        raise CommandError("--key-separator is for --format lines, and not empty", exit_code=WRONGLY_ASKED)
    if wish.format == "json":
        return json_line
    read = plain_line if wish.key_separator is None else keyed_line(wish.key_separator.encode())
    return empty_as_null(read) if wish.empty_as_null else read


async def _produce(
    bootstrap_server: str, wish: Wish, file: BinaryIO, read: LineReader, headers: tuple[tuple[str, bytes], ...]
) -> int:
    try:
        producer: Producer[bytes, bytes] = Producer(
            bootstrap_server,
            acks="all" if wish.acks == "all" else int(wish.acks),  # type: ignore[arg-type]
            compression_type=wish.compression,  # type: ignore[arg-type]
            linger_ms=LINGER_MS,
            request_timeout_ms=CONNECT_TIMEOUT_MS,
            max_block_ms=CONNECT_TIMEOUT_MS,
        )
    except ValueError as error:
        raise CommandError(f"--bootstrap-server: {error}", exit_code=WRONGLY_ASKED) from error
    async with producer:
        work = _Work(producer, wish, read, headers)
        try:
            await work.send(_cut(LineSource(file), wish.format))
        finally:
            work.display.close()
        return work.count


async def _cut(source: LineSource, format_: str) -> AsyncIterator[list[bytes]]:
    if format_ == "raw":
        yield [await source.everything()]
        return
    async for lines in source.lines():
        for start in range(0, len(lines), _LOOKED_AT_TOGETHER):
            yield lines[start : start + _LOOKED_AT_TOGETHER]


class _Work:
    """Sends, counts, and looks after what becomes of it."""

    def __init__(
        self,
        producer: Producer[bytes, bytes],
        wish: Wish,
        read: LineReader,
        headers: tuple[tuple[str, bytes], ...],
    ) -> None:
        self.count = 0
        self._producer = producer
        self._wish = wish
        self._read = read
        self._headers = headers
        self._key = None if wish.key is None else wish.key.encode()
        self._are_values = read is plain_line and not headers and wish.key is None
        self._size_bytes = 0
        self._under_way: deque[_Outcome] = deque()
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self.display = SendingDisplay(sys.stderr, now_s=self._began_s)

    async def send(self, chunks: AsyncIterator[list[bytes]]) -> None:
        """Everything, until it is written; raises what the first record that was not written raises."""
        async for lines in chunks:
            if self._wish.rate is not None:
                for line in lines:
                    await self._keep_the_rate(self._wish.rate)
                    await self._send_lines([line])
            else:
                await self._send_lines(lines)
            self.display.show(self.count, self._size_bytes, self._loop.time())
        await self._producer.flush()
        self._look_at_what_is_done()

    async def _keep_the_rate(self, rate: float) -> None:
        ahead_s = self._began_s + self.count / rate - self._loop.time()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)

    async def _send_lines(self, lines: list[bytes]) -> None:
        if self._are_values:
            outcome = await self._producer.send_batch(lines, self._wish.topic, partition=self._wish.partition)
            self._under_way.append(outcome)
            self.count += len(lines)
            self._size_bytes += sum(map(len, lines))
        else:
            for line in lines:
                await self._send_one(self._record(line))
        self._look_at_what_is_done()

    async def _send_one(self, record: LineRecord) -> None:
        partition = self._wish.partition if record.partition is None else record.partition
        try:
            delivery = await self._producer.send(
                self._wish.topic,
                record.value,
                self._key if record.key is None else record.key,
                partition,
                record.timestamp_ms,
                (*self._headers, *record.headers),
            )
        except ValueError as error:  # no such partition
            raise CommandError(f"line {self.count + 1}: {error}") from error
        self._under_way.append(delivery)
        self.count += 1
        self._size_bytes += len(record.value or b"")

    def _record(self, line: bytes) -> LineRecord:
        try:
            return self._read(line)
        except ValueError as error:
            raise CommandError(
                f"line {self.count + 1}: {error}; the {self.count} before it are sent", exit_code=WRONGLY_ASKED
            ) from error

    def _look_at_what_is_done(self) -> None:
        while self._under_way and self._under_way[0].done():
            self._under_way.popleft().result()
