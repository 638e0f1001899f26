"""The producer: takes records, and gives an awaitable for each.

    async with Producer("localhost:9092") as producer:
        delivery = await producer.send("orders", b"a value", key=b"a key")   # taken
        written = await delivery                                             # written: partition, offset, timestamp

`send` waits only when there is no room for the record, or its topic is not known yet; what it gives back can be
awaited at once, later, or never.  Between taking and giving there is no await, so records of one task are written
in the order in which they were sent, to each partition.

    send ──► route (which partition) ──► accumulator (batches) ──► sending ──► brokers

What is guaranteed: by default (acks 'all', idempotent) a record that was acknowledged is written once, in order, over
retries, lost connections, and new leaders; one whose delivery failed says whether it may have been written.  A
failure is never quiet: it is raised to whoever awaits the delivery, or logged when nobody ever did.

Names and keyword arguments are those of aiokafka's AIOKafkaProducer where they mean the same; `send_batch` takes
values, not a batch that was built by hand.  Owned by the loop it was started on, and on another one a RuntimeError;
`ottla.sync` is for threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from random import Random
from types import TracebackType
from typing import Generic, cast

from ..protocol.errors import KafkaError
from .accumulator import RECORD_OVERHEAD_BYTES, Accumulator
from .admin.values import TopicPartition
from .batch import Batch
from .bulk import BulkDelivery, settled
from .cluster import BootstrapServers, Cluster
from .connection import SOFTWARE_NAME
from .consumer.offset_requests import Committer, OffsetAndMetadata
from .delivery import Delivery, GivenUp, RecordMetadata
from .errors import ClientClosed, ClientError, ProducerFenced, RecordTooLarge, TransactionFailed
from .home_loop import must_be_on
from .key_and_value import K, V
from .lane import Lane
from .network import Network
from .partitioner import Partitioner
from .producer_settings import Acks, CompressionType, ProducerSettings
from .record_checks import Headers, bytes_of, in_whole_ms, must_be_bytes, size_of
from .room import Room
from .routes import Routes
from .routing import TopicRoute
from .sending import Sending
from .serializers import Serializer
from .transactions import Transactions

_CHUNK = 1000  # values of a batch that are looked at together
_BATCH_OVERHEAD_BYTES = 61
_STICKY_BYTES = 16 * 1024
"""After so many bytes without keys another partition is drawn (KIP-794 takes Kafka's default batch.size)."""


class Producer(Generic[K, V]):
    """Sends records.  Use it as a context, or `start` and `stop` it.

    `bootstrap_servers`: host:port, several with commas, or a list.
    `acks`: 'all' (-1): answered when every in-sync replica has the record; 1: when the leader has it; 0: not at all.
    `enable_idempotence`: written once and in order, whatever happens; on by default with acks 'all'.
    `key_serializer`, `value_serializer`: make bytes of keys and values; without one they must be bytes.
    `compression_type`: gzip, snappy, lz4, zstd or None; `compression_level` is the codec's own.
    `batch_size` (also `max_batch_size`): bytes of a batch; `linger_ms`: how long a batch waits for more records.
    `max_request_size`: bytes of a request, so the largest record, too.
    `buffer_memory`: bytes taken and not yet written; when they are used up, `send` waits, up to `max_block_ms`.
    `delivery_timeout_ms`: after so long a record that was not acknowledged is given up.
    `partitioner`: key bytes (or None), all partitions, those with a leader -> partition; see `partitioner`.
    `transactional_id`: records are sent in transactions only (`transaction`); one producer at a time has the id, and
    the last one to start fences those before.  `transaction_timeout_ms`: one that takes longer is aborted for it.
    """

    def __init__(
        self,
        bootstrap_servers: BootstrapServers = "localhost:9092",
        *,
        client_id: str = SOFTWARE_NAME,
        acks: Acks = "all",
        enable_idempotence: bool | None = None,
        key_serializer: Serializer[K] | None = None,
        value_serializer: Serializer[V] | None = None,
        compression_type: CompressionType | None = None,
        compression_level: int | None = None,
        batch_size: int = 64 * 1024,
        max_batch_size: int | None = None,
        linger_ms: float = 0,
        partitioner: Partitioner | None = None,
        max_request_size: int = 1_048_576,
        buffer_memory: int = 32 * 1024 * 1024,
        max_block_ms: int = 60_000,
        max_in_flight_requests_per_connection: int = 5,
        delivery_timeout_ms: int = 120_000,
        request_timeout_ms: int = 30_000,
        retry_backoff_ms: int = 100,
        retry_backoff_max_ms: int = 1_000,
        metadata_max_age_ms: int = 300_000,
        allow_auto_create_topics: bool = True,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = 60_000,
        network: Network | None = None,
        random: Random | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """ValueError for a setting that cannot be, or addresses that cannot be read.

        `network`, `random` and `clock_ns` (since 1970) are for tests in a world of their own.
        """
        self._settings = ProducerSettings(
            client_id=client_id,
            acks=acks,
            enable_idempotence=enable_idempotence,
            compression_type=compression_type,
            compression_level=compression_level,
            batch_size=min(batch_size if max_batch_size is None else max_batch_size, max_request_size),
            linger_ms=linger_ms,
            max_request_size=max_request_size,
            buffer_memory=buffer_memory,
            max_block_ms=max_block_ms,
            max_in_flight_requests_per_connection=max_in_flight_requests_per_connection,
            delivery_timeout_ms=delivery_timeout_ms,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            metadata_max_age_ms=metadata_max_age_ms,
            allow_auto_create_topics=allow_auto_create_topics,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
        )
        self._random = random or Random()
        self._cluster = Cluster(bootstrap_servers, self._settings.for_cluster(), network=network, random=self._random)
        self._accumulator = Accumulator(self._settings.for_accumulator(), self._random)
        transactional = self._settings.for_transactions()
        self._transactions: Transactions | None = None
        if transactional is not None:
            self._transactions = Transactions(transactional, self._cluster, self._random)
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._clock_ns = clock_ns
        self._batch_size = self._settings.batch_size
        self._largest_record = max_request_size - _BATCH_OVERHEAD_BYTES
        self._room = Room(self._accumulator, buffer_memory=buffer_memory, max_block_ms=max_block_ms)
        self._topics = Routes(
            self._cluster,
            self._accumulator,
            partitioner=partitioner,
            switch_after_bytes=min(self._batch_size, _STICKY_BYTES),
            random=self._random,
        )
        self._routes = self._topics.by_topic  # which every record is looked up in
        self._owes_turn = False  # a batch was filled: let the loop send it before taking more
        self._must_pause = False  # that, or there is no room, or somebody waits for it: `send` has one thing to look at
        self._is_running = False
        self._loop: asyncio.AbstractEventLoop
        self._sending: Sending | None = None

    # -- its life

    async def start(self) -> None:
        """Connect, and learn the cluster.

        CannotConnect, naming the addresses, when nobody answers within `request_timeout_ms`; KafkaError when the
        cluster refuses to have an idempotent producer.
        """
        if self._sending is not None:
            raise ClientClosed("a producer is started once; make another")
        self._loop = asyncio.get_running_loop()
        self._sending = Sending(
            self._settings,
            self._cluster,
            self._accumulator,
            random=self._random,
            transactions=self._transactions,
            on_progress=self._room.wake_next,
        )
        try:
            await self._cluster.start()
            await self._sending.start()
        except BaseException:
            await self._close(self._sending)
            raise
        self._cluster.add_listener(self._cluster_changed)
        self._is_running = True

    async def stop(self) -> None:
        """Deliver everything that was taken, then close; nothing can be sent from now on.

        Takes at most `delivery_timeout_ms`.  If it is cancelled, what is not delivered is given up.
        """
        if not self._is_running:
            return
        self._must_be_home()
        self._is_running = False
        self._topics.close()
        self._room.close()
        assert self._sending is not None, "it was started"
        try:
            await self.flush()
        finally:
            await self._close(self._sending)

    async def _close(self, sending: Sending) -> None:
        self._accumulator.give_up(GivenUp(ClientClosed, "the producer was closed before it was acknowledged"))
        try:
            await sending.close()
        finally:
            await self._cluster.close()

    async def __aenter__(self) -> Producer[K, V]:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- sending

    async def send(
        self,
        topic: str,
        value: V | None = None,
        key: K | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> Delivery:
        """Take a record, and give the awaitable of its delivery.

        Raises RecordTooLarge, BufferFull (no room within `max_block_ms`), KafkaError (no such topic, or not allowed),
        ClientClosed; TypeError for what is not bytes where there is no serializer, and for headers, a time or a topic
        of another type, ValueError for a partition that is not there.  Cancelled, it has not taken the record.
        """
        route = self._routes.get(topic)
        if route is None or self._must_pause:
            route = await self._ready(topic)
        if self._transactions is not None:
            self._transactions.check_open()
        # Without a serializer they are bytes, or it is found out below.
        key_bytes: bytes | None = key  # type: ignore[assignment]
        value_bytes: bytes | None = value  # type: ignore[assignment]
        if self._key_serializer is not None and key is not None:
            key_bytes = self._key_serializer(key)
        if self._value_serializer is not None and value is not None:
            value_bytes = self._value_serializer(value)
        lane = route.for_keyless
        if lane is None or key_bytes is not None or partition is not None:
            must_be_bytes(key_bytes, None)
            lane = route.lane_for(key_bytes) if partition is None else route.lane_at(partition)
        at_ms = self._clock_ns() // 1_000_000 if timestamp_ms is None else in_whole_ms(timestamp_ms)
        batch = lane.open
        if (
            batch is None
            or headers
            or (index := batch.builder.append_if_room(at_ms, key_bytes, value_bytes, batch.reserved_bytes)) < 0
        ):
            batch, index = self._append(route, lane, at_ms, key_bytes, value_bytes, headers or (), partition)
        return Delivery(batch.fate, index, at_ms)

    async def send_and_wait(
        self,
        topic: str,
        value: V | None = None,
        key: K | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> RecordMetadata:
        """Send a record and wait until it is written; raises what `send` and its delivery raise."""
        return await (await self.send(topic, value, key, partition, timestamp_ms, headers))

    async def send_batch(
        self, values: Iterable[V], topic: str, *, partition: int | None = None, timestamp_ms: int | None = None
    ) -> BulkDelivery:
        """Take many values, without keys, as fast as can be; they are iterated over as there is room.

        Without a partition they are spread a batch at a time.  The awaitable says where they were written.  Raises
        as `send`; if it is cancelled, or raises, some may have been taken.
        """
        self._must_run()
        bulk = BulkDelivery()
        if timestamp_ms is not None:
            timestamp_ms = in_whole_ms(timestamp_ms)
        for chunk in self._chunks(values):
            position = 0
            while position < len(chunk):
                route = self._routes.get(topic)
                if route is None or self._must_pause:
                    route = await self._ready(topic)
                if self._transactions is not None:
                    self._transactions.check_open()
                position = self._add_values(bulk, route, chunk, position, partition, timestamp_ms)
        return bulk

    async def flush(self) -> None:
        """Send what was taken without waiting for more, and return when all of it was delivered, or failed."""
        if self._is_running:
            self._must_be_home()
        self._accumulator.hurry()
        undecided = self._accumulator.undecided()
        if self._sending is not None:
            self._sending.pump()
        await settled([batch.fate for batch in undecided])

    # -- transactions

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Producer[K, V]]:
        """A transaction: committed at the end of the block, aborted when an exception leaves it.

        Raises what `begin_transaction` and `commit_transaction` raise; when the commit cannot be, it is aborted first.
        """
        await self.begin_transaction()
        try:
            yield self
            await self.commit_transaction()
        except BaseException as reason:
            if not isinstance(reason, ProducerFenced):
                await self._abort_because_of(reason)
            raise

    async def begin_transaction(self) -> None:
        """From now on records are part of a transaction.

        TransactionFailed when one is open; ProducerFenced when another producer has the transactional id.
        """
        self._must_run()
        self._own_transactions().begin()

    async def commit_transaction(self) -> None:
        """Deliver everything that was sent, and have it count, all of it, at once.

        TransactionFailed, with the reason, when a record was not written: abort it.  ProducerFenced: nothing of it
        counts.  Another ClientError when nobody answers: it is not known whether it counts.
        """
        transactions = self._own_transactions()
        transactions.check_open()
        await self.flush()
        why = transactions.why_not_commit()
        if why:
            transactions.fail(why)
            transactions.check_open()
        await transactions.end(committed=True)

    async def abort_transaction(self) -> None:
        """Have nothing of the transaction count.  Raises as `commit_transaction`."""
        transactions = self._own_transactions()
        transactions.check_begun()
        await self.flush()
        failed = transactions.why_not_commit()
        await transactions.end(committed=False)
        if failed:
            assert self._sending is not None, "it was started"
            await self._sending.answered()
            self._accumulator.begin_anew(await transactions.next_epoch())

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, int | OffsetAndMetadata], group: str | Committer
    ) -> None:
        """Commit a consumer's offsets, of the records to be read next, with the transaction.

        `group` is `consumer.group_metadata()`, by which a consumer that was taken its partitions is refused (KIP-447),
        or the name of a group without members.  Raises as `commit_transaction`, and KafkaError when the group refuses.
        """
        committer = Committer(group) if isinstance(group, str) else group
        wanted = {at: OffsetAndMetadata(each) if isinstance(each, int) else each for at, each in offsets.items()}
        await self._own_transactions().send_offsets(wanted, committer)

    def _own_transactions(self) -> Transactions:
        if self._transactions is None:
            raise TransactionFailed("the producer has no transactional_id")
        if self._is_running:
            self._must_be_home()
        return self._transactions

    async def _abort_because_of(self, reason: BaseException) -> None:
        """Abort, if something is to be aborted; a failure to do so must not hide the reason."""
        transactions = self._own_transactions()
        if not transactions.is_begun or not self._is_running:
            return
        try:
            await self.abort_transaction()
        except (ClientError, KafkaError) as error:
            reason.add_note(f"the transaction could not be aborted, its timeout will: {error}")

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic; raises as `send`."""
        return set((await self._ready(topic)).topic.partitions)

    # -- taking records

    def _append(
        self,
        route: TopicRoute,
        lane: Lane,
        at_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
    ) -> tuple[Batch, int]:
        """Take a record that the open batch has no room set aside for, or that has headers; its batch and number in there."""
        must_be_bytes(key, value)
        size = RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"") + size_of(headers)
        batch = lane.open
        if batch is None or not batch.builder.has_room(size, self._batch_size):
            batch = self._begin(route, lane, size, key, partition)
        index = batch.builder.append(at_ms, key, value, headers)
        self._reserve(batch)
        return batch, index

    def _reserve(self, batch: Batch) -> None:
        if self._accumulator.reserve(batch):
            self._must_pause = True

    def _begin(self, route: TopicRoute, lane: Lane, size: int, key: bytes | None, partition: int | None) -> Batch:
        """A batch with room for a record of this size, in this lane or, without a key, another."""
        if size > self._largest_record:
            raise RecordTooLarge(
                f"a record of about {size} bytes for topic {lane.topic} is more than max_request_size"
                f" ({self._settings.max_request_size}); raise it, and max.message.bytes of the topic"
            )
        assert self._sending is not None, "it runs"
        self._must_be_home()
        now_s = self._loop.time()
        route.used_at_s = now_s
        if lane.open is not None:  # it is full
            lane.close_open()
            self._sending.pump()
            self._owes_turn = self._must_pause = True
        if partition is None:
            lane = route.lane_after(lane, key)
            if lane.open is not None and lane.open.builder.has_room(size, self._batch_size):
                return lane.open
        batch = self._accumulator.begin(lane, now_s)
        batch.fate.loop = self._loop
        if self._transactions is not None:
            self._transactions.admit(lane.topic, lane.partition, batch)
        self._sending.pump_after_linger(now_s)
        return batch

    def _add_values(
        self,
        bulk: BulkDelivery,
        route: TopicRoute,
        values: Sequence[bytes],
        position: int,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> int:
        """Add as many values as one batch takes; the position behind them."""
        lane = route.lane_for(None) if partition is None else route.lane_at(partition)
        size = RECORD_OVERHEAD_BYTES + len(values[position])
        batch = lane.open
        if batch is None or not batch.builder.has_room(size, self._batch_size):
            batch = self._begin(route, lane, size, None, partition)
        at_ms = self._clock_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        index = batch.builder.record_count
        position = batch.builder.append_values(at_ms, values, position, max_size_bytes=self._batch_size)
        self._reserve(batch)
        bulk.add(batch.fate, index, batch.builder.record_count - index, at_ms)
        return position

    def _chunks(self, values: Iterable[V]) -> Iterator[list[bytes]]:
        """The values as bytes, some at a time, none of them too large."""
        iterator = iter(values)
        while chunk := list(islice(iterator, _CHUNK)):
            serialized = chunk if self._value_serializer is None else [self._value_serializer(each) for each in chunk]
            yield cast("list[bytes]", serialized) if set(map(type, serialized)) == {bytes} else bytes_of(serialized)

    # -- waiting

    async def _ready(self, topic: str) -> TopicRoute:
        """The route of a topic, once it is known and there is room."""
        if self._owes_turn:
            self._owes_turn = False
            await asyncio.sleep(0)
        while True:
            self._must_run()
            if not self._room.is_free:
                self._accumulator.hurry()  # no use in waiting for more records
                self._pump_soon()
                self._must_pause = True
                await self._room.wait()
            route = self._routes.get(topic)
            if route is None and self._is_running:
                await self._topics.find(topic, self._settings.max_block_ms / 1000)
            elif route is not None and self._accumulator.has_room:
                self._must_pause = self._room.is_waited_for
                return route

    def _must_run(self) -> None:
        if not self._is_running:
            state = "not started: await start(), or use it as a context" if self._sending is None else "closed"
            raise ClientClosed(f"the producer is {state}")
        self._must_be_home()

    def _must_be_home(self) -> None:
        must_be_on(self._loop, "producer")

    def _cluster_changed(self) -> None:
        self._topics.cluster_changed()
        self._pump_soon()

    def _pump_soon(self) -> None:
        if self._sending is not None:
            self._sending.pump_soon()
