"""Members of a classic group that commit what they have processed: confluent-kafka, aiokafka, kafka-python, with one face.

    journal = Journal()
    place = Place(bootstrap, "orders", journal)
    with MEMBERS["aiokafka"](place) as one, MEMBERS["kafka-python"](place, instance="two") as two:
        until(lambda: journal.committed >= set(sent), "every record")
        one.owned, one.changes        # its partitions at present; how often they were given and taken
    assert not journal.done_again

Each processes what a poll gave it, commits synchronously, and commits again before it gives partitions up. A commit that is
refused is tried again with the next poll, so only what the broker has acknowledged counts as committed. Once it is, no
member may be given the record any more: of those that are, the journal takes note.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

import aiokafka
import aiokafka.coordinator.assignors.range as aiokafka_range
import aiokafka.coordinator.assignors.roundrobin as aiokafka_roundrobin
import aiokafka.errors
import confluent_kafka
import kafka
import kafka.coordinator.assignors.range as kafka_python_range
import kafka.coordinator.assignors.roundrobin as kafka_python_roundrobin
import kafka.errors
from interop.group_readers import CLOSE_S, GroupReader, Owned

HEARTBEAT_MS = 300
POLL_MS = 50
JOINING_POLL_MS = 1_000
"""kafka-python 3.0 joins a second time when the topic's metadata comes; if a poll ends in the middle of that, it forgets it."""
RECONNECT_MAX_MS = 200

AIOKAFKA_ASSIGNORS = {
    "range": aiokafka_range.RangePartitionAssignor,
    "roundrobin": aiokafka_roundrobin.RoundRobinPartitionAssignor,
}
KAFKA_PYTHON_ASSIGNORS = {
    "range": kafka_python_range.RangePartitionAssignor,
    "roundrobin": kafka_python_roundrobin.RoundRobinPartitionAssignor,
}


class Journal:
    """What the members of a group have processed and committed, in the order in which they did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.committed: frozenset[bytes] = frozenset()
        self.done_again: list[bytes] = []

    def note_processed(self, values: Collection[bytes]) -> None:
        with self._lock:
            self.done_again += [value for value in values if value in self.committed]

    def note_committed(self, values: Collection[bytes]) -> None:
        with self._lock:
            self.committed |= set(values)


@dataclass(frozen=True)
class Place:
    """Where members meet: the group has the topic's name."""

    bootstrap: str
    topic: str
    journal: Journal = field(default_factory=Journal)
    assignor: str = "range"
    session_ms: int = 30_000


class Member(Protocol):
    """What tests see of a member, whichever client it is of."""

    owned: Owned
    changes: int

    def __enter__(self) -> Member: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ConfluentMember(GroupReader):
    def __init__(self, place: Place, instance: str | None = None) -> None:
        settings = {
            "group.protocol": "classic",
            "partition.assignment.strategy": place.assignor,
            "session.timeout.ms": str(place.session_ms),
            "heartbeat.interval.ms": str(HEARTBEAT_MS),
            "enable.auto.commit": "false",
            **({"group.instance.id": instance} if instance else {}),
        }
        super().__init__(place.bootstrap, place.topic, [place.topic], settings)
        self._journal = place.journal
        self._uncommitted: list[bytes] = []

    def _take(self, values: list[bytes]) -> None:
        super()._take(values)
        self._journal.note_processed(values)
        self._uncommitted += values
        self._commit()

    def _commit(self) -> None:
        if not self._uncommitted:
            return
        try:
            done = self._consumer.commit(asynchronous=False)
        except confluent_kafka.KafkaException:
            return  # stays uncommitted
        if all(each.error is None for each in done):
            self._journal.note_committed(self._uncommitted)
            self._uncommitted = []

    def _revoked(self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._commit()
        self._uncommitted = []  # what was not is somebody's to process again
        super()._revoked(consumer, partitions)


class _ThreadedMember:
    """A member in a thread of its own, that `_run` reads in until it is told to end."""

    def __init__(self, place: Place, instance: str | None = None) -> None:
        self._place = place
        self._instance = instance
        self._journal = place.journal
        self._uncommitted: list[bytes] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._ended_well = False
        self.owned: Owned = frozenset()
        self.changes = 0

    def __enter__(self) -> Member:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(CLOSE_S)
        assert not self._thread.is_alive(), "the consumer does not close"
        assert self._ended_well, "the consumer ended with an error, see above"

    def _read(self) -> None:
        self._run()
        self._ended_well = True

    def _run(self) -> None:
        raise NotImplementedError

    def _settings(self) -> dict[str, Any]:
        """Those that aiokafka and kafka-python have in common."""
        return {
            "bootstrap_servers": self._place.bootstrap,
            "group_id": self._place.topic,
            "group_instance_id": self._instance,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "session_timeout_ms": self._place.session_ms,
            "heartbeat_interval_ms": HEARTBEAT_MS,
        }

    def _note_processed(self, batches: dict[Any, list[Any]]) -> None:
        values = [record.value for records in batches.values() for record in records]
        self._journal.note_processed(values)
        self._uncommitted += values

    def _note_committed(self, values: list[bytes]) -> None:
        self._journal.note_committed(values)
        self._uncommitted = [value for value in self._uncommitted if value not in values]

    def _note_assigned(self, partitions: Collection[Any]) -> None:
        self.changes += bool(partitions)
        self.owned |= {(each.topic, each.partition) for each in partitions}

    def _note_revoked(self, partitions: Collection[Any]) -> None:
        self._uncommitted = []  # what was not is somebody's to process again
        self.changes += bool(partitions)
        self.owned -= {(each.topic, each.partition) for each in partitions}


class AiokafkaMember(_ThreadedMember):
    def _run(self) -> None:
        asyncio.run(self._consume())

    async def _consume(self) -> None:
        assignor = AIOKAFKA_ASSIGNORS[self._place.assignor]
        self._consumer = aiokafka.AIOKafkaConsumer(partition_assignment_strategy=[assignor], **self._settings())
        self._consumer.subscribe([self._place.topic], listener=_AiokafkaListener(self))
        await self._consumer.start()
        try:
            while not self._ending.is_set():
                self._note_processed(await self._consumer.getmany(timeout_ms=POLL_MS))
                await self.commit()
        finally:
            await self._consumer.stop()

    async def commit(self) -> None:
        if values := list(self._uncommitted):
            try:
                await self._consumer.commit()
            except aiokafka.errors.KafkaError:
                return  # stays uncommitted
            self._note_committed(values)

    async def give_up(self, partitions: Collection[Any]) -> None:
        await self.commit()
        self._note_revoked(partitions)

    def take_over(self, partitions: Collection[Any]) -> None:
        self._note_assigned(partitions)


class _AiokafkaListener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: AiokafkaMember) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        await self._member.give_up(revoked)

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._member.take_over(assigned)


class KafkaPythonMember(_ThreadedMember):
    def _run(self) -> None:
        self._consumer = kafka.KafkaConsumer(
            partition_assignment_strategy=[KAFKA_PYTHON_ASSIGNORS[self._place.assignor]],
            reconnect_backoff_max_ms=RECONNECT_MAX_MS,
            **self._settings(),
        )
        self._consumer.subscribe([self._place.topic], listener=_KafkaPythonListener(self))
        try:
            while not self._ending.is_set():
                self._note_processed(self._consumer.poll(timeout_ms=POLL_MS if self.owned else JOINING_POLL_MS))
                self.commit()
        finally:
            self._consumer.close()

    def commit(self) -> None:
        if values := list(self._uncommitted):
            try:
                self._consumer.commit()
            except kafka.errors.KafkaError:
                return  # stays uncommitted
            self._note_committed(values)

    def give_up(self, partitions: Collection[Any]) -> None:
        self.commit()
        self._note_revoked(partitions)

    def take_over(self, partitions: Collection[Any]) -> None:
        self._note_assigned(partitions)


class _KafkaPythonListener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: KafkaPythonMember) -> None:
        self._member = member

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        self._member.give_up(revoked)

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._member.take_over(assigned)


MemberType = type[ConfluentMember] | type[AiokafkaMember] | type[KafkaPythonMember]
MEMBERS: dict[str, MemberType] = {
    "confluent-kafka": ConfluentMember,
    "aiokafka": AiokafkaMember,
    "kafka-python": KafkaPythonMember,
}
