"""The client without asyncio, for scripts, notebooks and tests: the same names, and every call returns when it is done.

    from ottla.sync import Admin, Consumer, Producer

    with Producer("localhost:9092") as producer:
        sent = producer.send("orders", b"a value")     # returns when the record is taken
        sent.result()                                  # returns when it is written

Thin: the asynchronous clients do the work, on one background loop (`background`), and are documented there.  Any
thread may call, many at once.  A call from thread to loop and back takes a hundred times what `send` itself takes:
who has many records gives them to `send_batch`.
"""

from __future__ import annotations

import atexit
import functools
import inspect
from collections.abc import Callable, Iterable
from itertools import islice
from types import TracebackType
from typing import Any, Generic

from .admin import Admin as AsyncAdmin
from .background import background
from .bulk import BulkDelivery, WrittenRange
from .cluster import BootstrapServers
from .consumer.consumer import Consumer as AsyncConsumer
from .consumer.record import ConsumerRecord
from .delivery import Delivery, RecordMetadata
from .key_and_value import AnyK, AnyV
from .producer import Producer as AsyncProducer
from .record_checks import Headers

_CHUNK = 10_000


class Sent:
    """A record that was taken."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def done(self) -> bool:
        """Whether it is known what became of it."""
        return self._delivery.done()

    def result(self, timeout_s: float | None = None) -> RecordMetadata:
        """Where it was written; raises why it was not, TimeoutError when that is not known within the time."""
        if self._delivery.done():
            return self._delivery.result()
        return background().run(_wait_for(self._delivery), timeout_s)


async def _wait_for(delivery: Delivery) -> RecordMetadata:
    return await delivery.again()  # which a timeout cancels, not the caller's


class SentBatch:
    """Values that were taken together."""

    def __init__(self, parts: list[BulkDelivery]) -> None:
        self._parts = parts

    @property
    def count(self) -> int:
        return sum(part.count for part in self._parts)

    def result(self, timeout_s: float | None = None) -> list[WrittenRange]:
        """Where they were written, in their order; raises why one was not."""
        return background().run(_wait_for_all(self._parts), timeout_s)


async def _wait_for_all(parts: list[BulkDelivery]) -> list[WrittenRange]:
    return [written for part in parts for written in await part]


class Producer(Generic[AnyK, AnyV]):
    """The producer.  Takes the arguments of `ottla.Producer`, and is started when it is made.

    One that nobody stopped delivers what it has taken when the interpreter ends: its loop would end in the middle.
    """

    def __init__(self, bootstrap_servers: BootstrapServers = "localhost:9092", **settings: Any) -> None:
        self._loop = background()
        self._producer: AsyncProducer[AnyK, AnyV] = self._loop.run(_started(bootstrap_servers, settings))
        atexit.register(self._stop_at_exit)

    def __enter__(self) -> Producer[AnyK, AnyV]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def send(
        self,
        topic: str,
        value: AnyV | None = None,
        key: AnyK | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> Sent:
        """Take a record; raises what the asynchronous `send` raises."""
        return Sent(self._loop.run(self._producer.send(topic, value, key, partition, timestamp_ms, headers)))

    def send_and_wait(
        self,
        topic: str,
        value: AnyV | None = None,
        key: AnyK | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> RecordMetadata:
        """Return when the record is written."""
        return self._loop.run(self._producer.send_and_wait(topic, value, key, partition, timestamp_ms, headers))

    def send_batch(
        self, values: Iterable[AnyV], topic: str, *, partition: int | None = None, timestamp_ms: int | None = None
    ) -> SentBatch:
        """Take many values; they are iterated over in the calling thread."""
        parts: list[BulkDelivery] = []
        iterator = iter(values)
        while chunk := list(islice(iterator, _CHUNK)):
            work = self._producer.send_batch(chunk, topic, partition=partition, timestamp_ms=timestamp_ms)
            parts.append(self._loop.run(work))
        return SentBatch(parts)

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when everything that was taken is delivered, or failed; TimeoutError after `timeout_s`."""
        self._loop.run(self._producer.flush(), timeout_s)

    def partitions_for(self, topic: str) -> set[int]:
        return self._loop.run(self._producer.partitions_for(topic))

    def stop(self) -> None:
        """Deliver everything, and close."""
        atexit.unregister(self._stop_at_exit)
        self._loop.run(self._producer.stop())

    close = stop

    def _stop_at_exit(self) -> None:
        if self._loop.is_running:  # else it is another process's to stop
            self.stop()


async def _started(bootstrap_servers: BootstrapServers, settings: dict[str, Any]) -> AsyncProducer[Any, Any]:
    producer: AsyncProducer[Any, Any] = AsyncProducer(bootstrap_servers, **settings)
    await producer.start()
    return producer


class _Waited:
    """Passes every name on to an asynchronous client: what can be awaited is waited for, all else runs in the loop."""

    def __init__(self, client: Any) -> None:
        self._loop = background()
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        found = self._loop.run(_got(self._client, name))
        if not callable(found):
            return found

        @functools.wraps(found)
        def waited_for(*arguments: Any, **named: Any) -> Any:
            return self._loop.run(_called(found, arguments, named))

        return waited_for

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(type(self._client)) if not name.startswith("_"))})


async def _got(client: Any, name: str) -> Any:
    return getattr(client, name)


async def _called(method: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    result = method(*arguments, **named)
    return await result if inspect.isawaitable(result) else result


class Admin(_Waited):
    """The administrator's client: every method of `ottla.Admin`, waited for."""

    def __init__(self, bootstrap_servers: BootstrapServers = "localhost:9092", **settings: Any) -> None:
        super().__init__(background().run(_made_admin(bootstrap_servers, settings)))

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _made_admin(bootstrap_servers: BootstrapServers, settings: dict[str, Any]) -> AsyncAdmin:
    return AsyncAdmin(bootstrap_servers, **settings)


class Consumer(_Waited, Generic[AnyK, AnyV]):
    """The consumer: every method of `ottla.Consumer`, waited for; takes its arguments, started when it is made.

    Iterating over it gives records one by one, for ever; `getmany(timeout_ms=…)` gives many, or none, and is faster.
    """

    def __init__(self, *topics: str, bootstrap_servers: BootstrapServers = "localhost:9092", **settings: Any) -> None:
        super().__init__(background().run(_started_consumer(topics, bootstrap_servers, settings)))

    def __enter__(self) -> Consumer[AnyK, AnyV]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._client.__aexit__(kind, error, trace))  # what is in hand is done, unless something failed

    def __iter__(self) -> Consumer[AnyK, AnyV]:
        return self

    def __next__(self) -> ConsumerRecord[AnyK, AnyV]:
        record: ConsumerRecord[AnyK, AnyV] = self.getone()
        return record


async def _started_consumer(
    topics: tuple[str, ...], bootstrap_servers: BootstrapServers, settings: dict[str, Any]
) -> AsyncConsumer[Any, Any]:
    consumer: AsyncConsumer[Any, Any] = AsyncConsumer(*topics, bootstrap_servers=bootstrap_servers, **settings)
    await consumer.start()
    return consumer
