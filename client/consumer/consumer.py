"""The consumer: reads topics, alone or as a member of a group.

    async with Consumer("orders", bootstrap_servers="localhost:9092", group_id="billing") as consumer:
        async for record in consumer:
            await bill(record.value)

This is the face; the parts behind it each open with their theory:

    subscription ── what is wanted, what is assigned, each partition's position
    group ───────── membership, rebalances, heartbeats         (`classic_membership`, `new_membership`)
    positions ───── where to begin                             fetcher ──── background fetching within a bound
    handing_out ─── records to the user                        committing ─ positions to the group

Names and arguments are aiokafka's where they mean the same.  One consumer belongs to the event loop it was
started on; on another one it raises RuntimeError, once it has given the rest of the batch that was begun.  Everything
that waits may be cancelled: no record is lost or skipped by that, and the consumer goes on.

Delivery is *at least once* with the defaults: what is in your hands when you crash was not committed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Generic, Self

from ..admin.values import OffsetSpec, TopicPartition
from ..assignors.assignor import Assignor
from ..cluster import BootstrapServers, Cluster
from ..connection import SOFTWARE_NAME
from ..errors import ClientClosed, RequestTimedOut
from ..home_loop import must_be_on
from ..key_and_value import K, V
from ..network import Network
from .committing import Commitable, must_be_offset
from .consumer_settings import ConsumerSettings
from .core import ConsumerCore, want_topics
from .fetched_batch import FetchedBatch
from .listener import RebalanceListener
from .offset_requests import Committer, OffsetAndMetadata, OffsetAndTimestamp
from .offset_reset import EARLIEST, LATEST, OffsetReset
from .partition_state import PartitionState
from .record import ConsumerRecord
from .subscription import IllegalState, SubscriptionState

DEFAULT_STRATEGY = ("range", "roundrobin", "cooperative-sticky")


class Consumer(Generic[K, V]):
    """Reads records.  Use it as a context, or `start` and `stop` it."""

    def __init__(
        self,
        *topics: str,
        bootstrap_servers: BootstrapServers = "localhost:9092",
        group_id: str | None = None,
        client_id: str = SOFTWARE_NAME,
        key_deserializer: Callable[[bytes], K] | None = None,
        value_deserializer: Callable[[bytes], V] | None = None,
        auto_offset_reset: str | timedelta = "latest",
        enable_auto_commit: bool = True,
        auto_commit_interval_ms: int = 5_000,
        fetch_min_bytes: int = 1,
        fetch_max_bytes: int = 50 * 1024 * 1024,
        fetch_max_wait_ms: int = 500,
        max_partition_fetch_bytes: int = 4 * 1024 * 1024,
        prefetch_max_bytes: int = 64 * 1024 * 1024,
        max_poll_records: int | None = None,
        max_poll_interval_ms: int = 300_000,
        session_timeout_ms: int = 45_000,
        heartbeat_interval_ms: int = 3_000,
        rebalance_timeout_ms: int | None = None,
        group_instance_id: str | None = None,
        group_protocol: str = "classic",
        group_remote_assignor: str | None = None,
        partition_assignment_strategy: Sequence[str | Assignor] = DEFAULT_STRATEGY,
        isolation_level: str = "read_uncommitted",
        check_crcs: bool = True,
        exclude_internal_topics: bool = True,
        allow_auto_create_topics: bool = True,
        request_timeout_ms: int = 30_000,
        retry_backoff_ms: int = 100,
        retry_backoff_max_ms: int = 1_000,
        metadata_max_age_ms: int = 300_000,
        client_rack: str = "",
        network: Network | None = None,
        random: Random | None = None,
    ) -> None:
        """Nothing is connected to before `start`.  ValueError with one line on an argument that cannot be.

        `auto_offset_reset` is "earliest", "latest", "none", "by_duration:PT1H", or a timedelta.
        `prefetch_max_bytes` bounds the memory of what was fetched and not yet handed out.
        `partition_assignment_strategy` names assignors (range, roundrobin, sticky, cooperative-sticky), or holds your own.
        `group_protocol` "consumer" is KIP-848, where the broker assigns, by `group_remote_assignor`.
        """
        self._settings = settings = ConsumerSettings(
            group_id=group_id,
            client_id=client_id,
            auto_offset_reset=auto_offset_reset,
            enable_auto_commit=enable_auto_commit,
            auto_commit_interval_ms=auto_commit_interval_ms,
            key_deserializer=key_deserializer,
            value_deserializer=value_deserializer,
            fetch_min_bytes=fetch_min_bytes,
            fetch_max_bytes=fetch_max_bytes,
            fetch_max_wait_ms=fetch_max_wait_ms,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            prefetch_max_bytes=prefetch_max_bytes,
            max_poll_records=max_poll_records,
            max_poll_interval_ms=max_poll_interval_ms,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=heartbeat_interval_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            group_instance_id=group_instance_id,
            group_protocol=group_protocol,
            group_remote_assignor=group_remote_assignor,
            partition_assignment_strategy=partition_assignment_strategy,
            isolation_level=isolation_level,
            check_crcs=check_crcs,
            exclude_internal_topics=exclude_internal_topics,
            allow_auto_create_topics=allow_auto_create_topics,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            metadata_max_age_ms=metadata_max_age_ms,
            client_rack=client_rack,
        )
        self._random = random or Random()
        self._cluster = Cluster(bootstrap_servers, settings.cluster, network=network, random=self._random)
        self._subscription = SubscriptionState()
        self._core: ConsumerCore | None = None
        self._is_stopped = False
        self._has_left = False  # until then a listener that is told of the end may commit
        if topics:
            self.subscribe(topics)

    # -- its life

    async def start(self) -> None:
        """Connect, and begin to read what is subscribed to; without a group its partitions are assigned on return.

        CannotConnect, naming the addresses, when no broker answers within `request_timeout_ms`.
        """
        if self._is_stopped:
            raise ClientClosed("the consumer was stopped; make a new one")
        if self._core is not None:
            self._must_be_home()
            return
        want_topics(self._cluster, self._subscription)  # known from the first answer on
        try:
            await self._cluster.start()
        except BaseException:
            self._is_stopped = True
            await self._cluster.close()
            raise
        self._core = ConsumerCore(self._settings, self._cluster, self._subscription, self._random)
        self._core.start()

    async def stop(self) -> None:
        """Commit what is done (if that is automatic), leave the group, close all connections.

        What is in hand does not count as done, for a `finally` runs also after a failure: `commit` before, if it is.  (A
        context that ends without an exception does count it.)  What cannot be said to the brokers any more is given up
        after a few seconds; nothing is raised.
        """
        await self._stop(in_hand_is_done=False)

    async def _stop(self, *, in_hand_is_done: bool) -> None:
        if self._is_stopped:
            return
        self._must_be_home()
        self._is_stopped = True
        try:
            if self._core is not None:
                await self._core.stop(in_hand_is_done=in_hand_is_done)
        finally:
            self._has_left = True
            await self._cluster.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(in_hand_is_done=error is None)

    # -- what to read

    def subscribe(
        self,
        topics: Iterable[str] = (),
        pattern: str | re.Pattern[str] | None = None,
        listener: RebalanceListener | None = None,
    ) -> None:
        """Read these topics, or all that a pattern matches, instead of what was read before.

        With a group it assigns the partitions, without one all of them are.  Topics may be created later.
        """
        if isinstance(topics, str):
            raise TypeError(f"subscribe takes several topics: write [{topics!r}]")
        self._must_be_home()
        topics = list(topics)
        if bool(topics) == (pattern is not None):
            raise ValueError("subscribe takes either topics or a pattern")
        if pattern is not None:
            self._subscription.subscribe_pattern(pattern, listener)
        else:
            self._subscription.subscribe_topics(topics, listener)
        self._wants_changed()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read exactly these partitions, and take no part in rebalances; offsets can be committed all the same."""
        self._must_be_home()
        self._subscription.assign_by_hand(partitions)
        self._wants_changed()

    def unsubscribe(self) -> None:
        """Read nothing, and leave the group."""
        self._must_be_home()
        self._subscription.unsubscribe()
        if self._core is not None:
            self._core.abandon_group()
        self._wants_changed()

    def subscription(self) -> frozenset[str]:
        """The topics subscribed to; of a pattern those that it matches now."""
        return self._subscription.topics

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer reads now."""
        return self._subscription.partitions

    # -- records

    def __aiter__(self) -> AsyncIterator[ConsumerRecord[K, V]]:
        """Every record, without end.  The fastest way record by record."""
        return self._running.handing_out.records()

    async def __anext__(self) -> ConsumerRecord[K, V]:
        return await self.getone()

    async def getone(self, *partitions: TopicPartition) -> ConsumerRecord[K, V]:
        """The next record, of these or any assigned partitions; waits until there is one.

        DeserializationError and CorruptRecords leave the position before the record; KafkaError says what the broker
        refused.  Failures to reach a broker are not raised: the consumer tries again until there is a record.
        """
        handing_out = self._running.handing_out
        record = None if partitions else handing_out.at_once()
        return await handing_out.one(partitions or None) if record is None else record

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[K, V]]]:
        """What is there by now, by partition, or comes first within the time; empty if nothing does.

        At most `max_records`, else `max_poll_records`, else of each partition what one fetch brought.
        """
        most = max_records or self._settings.max_poll_records
        return await self._running.handing_out.many(partitions or None, timeout_ms / 1000, most)

    async def getbatch(self, *partitions: TopicPartition, timeout_ms: int | None = None) -> FetchedBatch[K, V] | None:
        """The next batch as it was written, its records not yet decoded; None if none comes within the time."""
        timeout_s = None if timeout_ms is None else timeout_ms / 1000
        return await self._running.handing_out.batch(partitions or None, timeout_s)

    async def batches(self) -> AsyncIterator[FetchedBatch[K, V]]:
        """Every batch, without end: the bulk form."""
        while True:
            batch = await self.getbatch()
            assert batch is not None, "waited without end"
            yield batch

    # -- positions

    async def position(self, partition: TopicPartition) -> int:
        """The offset that is handed out next; waits until it is known.  IllegalState if it is not assigned."""
        state = self._subscription.require(partition)
        core = self._present
        try:
            async with asyncio.timeout(self._timeout_s):
                while not state.has_position:
                    if state.failure is not None:
                        raise state.failure.with_traceback(None)  # kept, and would grow with each raise
                    core.moved.clear()
                    await core.moved.wait()
                    self._running  # noqa: B018  raises when the consumer was stopped meanwhile
        except TimeoutError:
            raise RequestTimedOut(f"no position of {partition} was found within {self._timeout_s:g} s") from None
        return state.position

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at this offset.  IllegalState if the partition is not assigned."""
        self._must_be_home()
        must_be_offset(offset, partition)
        self._subscription.require(partition).move(offset)
        self._poke()

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Go on at the first offset there is, of these or all assigned partitions."""
        await self._seek_by(EARLIEST, partitions)

    async def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Go on behind the last record there is now, of these or all assigned partitions."""
        await self._seek_by(LATEST, partitions)

    async def seek_to_time(self, when: datetime | int, *partitions: TopicPartition) -> None:
        """Go on at the first record of this time (ms since 1970, or a datetime) or later; at the end if there is none."""
        timestamp = _timestamp(when)
        states = self._states(partitions)
        found = await self._at_home.offsets.list({state.id: timestamp for state in states}, self._timeout_s)
        late = [state for state in states if found[state.id].offset < 0]
        ends = await self._at_home.offsets.list({state.id: OffsetSpec.LATEST for state in late}, self._timeout_s)
        for state in states:
            if self._subscription.holds(state):
                state.move((ends.get(state.id) or found[state.id]).offset)
        self._poke()

    async def seek_to_committed(self, *partitions: TopicPartition) -> dict[TopicPartition, int | None]:
        """Go back to what is committed, of these or all assigned partitions; where nothing is, nothing changes."""
        states = self._states(partitions)
        found = await self._committed([state.id for state in states])
        for state in states:
            committed = found[state.id]
            if committed is not None and self._subscription.holds(state):
                state.move(committed.offset, committed.leader_epoch)
        self._poke()
        return {id_: None if each is None else each.offset for id_, each in found.items()}

    async def _seek_by(self, reset: OffsetReset, partitions: Sequence[TopicPartition]) -> None:
        assert reset.spec is not None, "a place in the log"
        states = self._states(partitions)
        found = await self._at_home.offsets.list({state.id: reset.spec for state in states}, self._timeout_s)
        for state in states:
            if self._subscription.holds(state):
                state.move(found[state.id].offset)
        self._poke()

    def pause(self, *partitions: TopicPartition) -> None:
        """Hand out nothing of these until `resume`."""
        self._must_be_home()
        for state in self._required(partitions):
            state.paused = True
            state.interrupt()

    def resume(self, *partitions: TopicPartition) -> None:
        self._must_be_home()
        for state in self._required(partitions):
            state.paused = False
        self._poke()

    def paused(self) -> frozenset[TopicPartition]:
        return frozenset(state.id for state in self._subscription if state.paused)

    def lag(self, partition: TopicPartition) -> int | None:
        """How many offsets are left to read, as of the last fetch; None before the first."""
        return self._subscription.require(partition).lag(committed_only=self._settings.committed_only)

    def highwater(self, partition: TopicPartition) -> int | None:
        """The end of the log as of the last fetch; None before the first."""
        return self._subscription.require(partition).high_watermark

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        """Where the first open transaction begins, as of the last fetch; None before the first."""
        return self._subscription.require(partition).last_stable_offset

    @property
    def prefetched_bytes(self) -> int:
        """What was fetched and not yet handed out, and what is asked for at the moment; see `prefetch_max_bytes`."""
        return 0 if self._core is None else self._core.prefetched.used_bytes

    # -- committed offsets

    async def commit(self, offsets: Commitable = None) -> None:
        """Commit offsets by partition, a record or a batch that is done, or by default all that was handed out.

        Offsets are of the record to be read next: an int, (offset, text), or an OffsetAndMetadata.
        CommitFailed when the group goes on without this consumer; another KafkaError, or a ClientError, when it did not
        succeed within `request_timeout_ms`.
        """
        self._need_group()
        await self._present.commit(offsets)

    def group_metadata(self) -> Committer:
        """In whose name the offsets are committed just now, for a producer's `send_offsets_to_transaction`."""
        self._need_group()
        return self._present.committer()

    def commit_soon(self, offsets: Commitable = None) -> asyncio.Task[None]:
        """The same without waiting; commits keep their order.  Await the task, or look into it, for the outcome."""
        self._need_group()
        return self._present.commit_soon(offsets)

    async def committed(self, partition: TopicPartition) -> int | None:
        """The committed offset of a partition, assigned or not; None where nothing is committed."""
        found = (await self._committed([partition]))[partition]
        return None if found is None else found.offset

    async def committed_metadata(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """The committed offset with its text."""
        return (await self._committed([partition]))[partition]

    async def _committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata | None]:
        self._need_group()
        return await self._present.offsets.committed(partitions, self._timeout_s)

    # -- what the log has

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each, assigned or not."""
        return await self._ends(partitions, OffsetSpec.EARLIEST)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each, assigned or not; with read_committed, behind the last stable one."""
        return await self._ends(partitions, OffsetSpec.LATEST)

    async def _ends(self, partitions: Iterable[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        found = await self._at_home.offsets.list(dict.fromkeys(partitions, spec), self._timeout_s)
        return {id_: each.offset for id_, each in found.items()}

    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int | datetime]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record at or after each time (ms since 1970, or a datetime); None where there is none."""
        wanted = {id_: _timestamp(when) for id_, when in timestamps.items()}
        found = await self._at_home.offsets.list(wanted, self._timeout_s)
        return {id_: None if each.offset < 0 else each for id_, each in found.items()}

    def partitions_for_topic(self, topic: str) -> frozenset[int] | None:
        """The partitions of a topic as far as is known; None before that, and from then on it is asked for."""
        self._must_be_home()
        known = self._cluster.known_topic(topic)
        if known is None:
            self._cluster.add_topics([topic])
        return None if known is None else frozenset(known.partitions)

    async def topic_partitions(self, topic: str, timeout_ms: int | None = None) -> frozenset[int]:
        """The partitions of a topic, asked for until it is there; KafkaError when it is not within the time."""
        self._at_home  # noqa: B018  raises before `start`
        known = await self._cluster.topic(topic, self._timeout_s if timeout_ms is None else timeout_ms / 1000)
        return frozenset(known.partitions)

    async def topics(self) -> frozenset[str]:
        """All topics of the cluster, but for its internal ones."""
        self._at_home  # noqa: B018  raises before `start`
        self._cluster.want_all_topics(True)
        try:
            metadata = await self._cluster.update()
        finally:
            self._cluster.want_all_topics(self._subscription.pattern is not None)
        return frozenset(name for name, topic in metadata.topics.items() if not topic.is_internal)

    # -- behind the face

    @property
    def _running(self) -> ConsumerCore:
        if self._core is None or self._is_stopped:
            raise ClientClosed("the consumer was stopped" if self._is_stopped else "the consumer is not started")
        return self._core

    @property
    def _at_home(self) -> ConsumerCore:
        """The same for what waits or begins something; a record costs no look at the loop."""
        self._must_be_home()
        return self._running

    def _must_be_home(self) -> None:
        if self._core is not None and not self._is_stopped:
            must_be_on(self._core.loop, "consumer")

    @property
    def _present(self) -> ConsumerCore:
        """As `_at_home`, but while it stops, too."""
        is_stopping = self._is_stopped and not self._has_left
        return self._core if is_stopping and self._core is not None else self._at_home

    @property
    def _timeout_s(self) -> float:
        return self._settings.request_timeout_ms / 1000

    def _need_group(self) -> None:
        if self._settings.group_id is None:
            raise IllegalState("offsets are committed by groups, and this consumer has no group_id")

    def _states(self, partitions: Sequence[TopicPartition]) -> list[PartitionState]:
        return self._required(partitions) if partitions else list(self._subscription)

    def _required(self, partitions: Sequence[TopicPartition]) -> list[PartitionState]:
        return [self._subscription.require(each) for each in partitions]

    def _wants_changed(self) -> None:
        if self._core is not None:
            self._core.wants_changed()

    def _poke(self) -> None:
        if self._core is not None:
            self._core.changed()


def _timestamp(when: datetime | int) -> int:
    if isinstance(when, datetime):
        return int(when.timestamp() * 1000)
    if when < 0:
        raise ValueError(f"timestamp {when}: a time is in milliseconds since 1970")
    return when
