"""A directory of logs on a disk that loses power: what was confirmed before a cut holds after it.

- A log whose creation returned is there, with its topic id; one whose deletion returned is gone, for good.
- A creation or deletion that the cut interrupted has happened or not; nothing else is in the directory.
- Flushed records are there; a log start that was checkpointed holds; a new log of an old name inherits nothing.
- The directory stays who it is, and a clean close that returned is believed.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from ottla.protocol.records import read_header
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.directory_checkpoints import Checkpoint
from ottla.storage.directory_names import TopicPartition
from ottla.storage.log import Log
from support.batches import batch
from support.log_content import read_batches
from support.power_machine import RANDOMS, OnPower

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
EXAMPLES = int(os.environ.get("OTTLA_EXAMPLES", "2000")) if HEAVY else 50
CONFIG = LogConfig(segment_bytes=500, index_interval_bytes=100, file_delete_delay_ms=10)
# Few names, so that they come back.
TOPICS = st.sampled_from(["a", "a-0"])
PARTITION_SETS = st.sets(st.integers(0, 1), min_size=1).map(sorted)


@dataclass(slots=True)
class Known:
    """What has been confirmed of one log."""

    topic_id: UUID
    flushed: list[bytes] = field(default_factory=list)  # from offset 0
    given: set[bytes] = field(default_factory=set)  # every batch it was ever given
    start_offset: int = 0
    checkpointed_start: int = 0
    certain: bool = True  # False while its creation or deletion may have happened or not


class DirectoryUnderPowerCut(OnPower):
    """The directory, the disk below it, and what is known of its logs."""

    most_changes = 25

    def __init__(self) -> None:
        super().__init__()
        self.ids = itertools.count(1)
        self.now_ms = 1_000
        self.known: dict[TopicPartition, Known] = {}
        self.was_closed = False
        self.checkpoint: tuple[Checkpoint, list[tuple[Known, int]]] | None = None

    @initialize()
    def begin(self) -> None:
        self.directory = self.opened()
        self.directory.load(lambda topic: CONFIG, now_ms=self.now_ms)
        self.identity = self.directory.identity

    def opened(self) -> LogDirectory:
        self.checkpoint = None
        return LogDirectory.open(
            "/data",
            files=self.files,
            node_id=1,
            cluster_id=None,
            new_id=lambda: UUID(int=next(self.ids)),
            now_ms=self.now_ms,
        )

    # --- what a broker does

    @precondition(lambda self: self.has_power)
    @rule(topic=TOPICS, partitions=PARTITION_SETS)
    def create(self, topic: str, partitions: list[int]) -> None:
        wanted = [TopicPartition(topic, index) for index in partitions]
        wanted = [partition for partition in wanted if partition not in self.known]
        topic_id = UUID(int=next(self.ids))
        for partition in wanted:
            self.known[partition] = Known(topic_id, certain=False)
        indexes = [partition.partition for partition in wanted]
        if self.powered(lambda: self.make(topic, indexes, topic_id)):
            for partition in wanted:
                self.known[partition].certain = True

    def make(self, topic: str, indexes: list[int], topic_id: UUID) -> None:
        # One thread, here and elsewhere: the same example must make the same changes in the same order.
        self.directory.create_logs(topic, indexes, topic_id, CONFIG, now_ms=self.now_ms, threads=1)

    @precondition(lambda self: self.has_power and self.known)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        partitions = data.draw(st.lists(st.sampled_from(sorted(self.known)), unique=True, min_size=1, max_size=3))
        for partition in partitions:
            self.known[partition].certain = False
        logs = [self.log(partition) for partition in partitions]
        if self.powered(lambda: self.directory.delete_logs(logs, now_ms=self.now_ms)):
            for partition in partitions:
                del self.known[partition]

    @precondition(lambda self: self.has_power and self.known)
    @rule(data=st.data(), count=st.integers(1, 8), flushed=st.booleans())
    def append(self, data: st.DataObject, count: int, flushed: bool) -> None:
        partition = data.draw(st.sampled_from(sorted(self.known)))
        self.powered(lambda: self.append_to(partition, count, flushed))

    def append_to(self, partition: TopicPartition, count: int, flushed: bool) -> None:
        log, known = self.log(partition), self.known[partition]
        for _ in range(count):
            made = batch(str(next(self.ids)).encode() * 20)
            try:
                log.append(memoryview(made), leader_epoch=0, now_ms=self.now_ms)
            finally:
                known.given.add(bytes(made))
        if flushed:
            log.flush()
            known.flushed = read_batches(log)

    @precondition(lambda self: self.has_power and self.known)
    @rule(data=st.data())
    def delete_records(self, data: st.DataObject) -> None:
        partition = data.draw(st.sampled_from(sorted(self.known)))
        log = self.log(partition)
        offset = data.draw(st.integers(log.log_start_offset, log.log_end_offset))
        self.known[partition].start_offset = log.delete_before(offset)

    @precondition(lambda self: self.has_power)
    @rule()
    def begin_checkpoint(self) -> None:
        starts = [(known, known.start_offset) for known in self.known.values()]
        self.checkpoint = self.directory.begin_checkpoint(), starts

    @precondition(lambda self: self.has_power and self.checkpoint is not None)
    @rule()
    def finish_checkpoint(self) -> None:
        assert self.checkpoint is not None
        (checkpoint, starts), self.checkpoint = self.checkpoint, None
        if self.powered(checkpoint.run):
            for known, start_offset in starts:
                known.checkpointed_start = max(known.checkpointed_start, start_offset)

    @precondition(lambda self: self.has_power)
    @rule()
    def sweep(self) -> None:
        self.now_ms += 11
        self.powered(lambda: self.directory.sweep(self.now_ms) and None)

    # --- what goes wrong

    @precondition(lambda self: self.has_power)
    @rule()
    def kill(self) -> None:
        self.files = self.files.kill()
        starts = {partition: known.start_offset for partition, known in self.known.items()}
        self.recover()
        for partition, start_offset in starts.items():
            assert self.log(partition).log_start_offset <= start_offset

    @precondition(lambda self: self.has_power)
    @rule(randomness=RANDOMS, changes=st.none() | st.integers(1, 20))
    def close_and_cut(self, randomness: Random, changes: int | None) -> None:
        if changes is not None:
            self.files.cut_after(changes)
        contents = {partition: read_batches(self.log(partition)) for partition in self.known}
        if self.powered(self.assert_closes):
            self.was_closed = True
            for partition, content in contents.items():
                known = self.known[partition]
                known.flushed, known.checkpointed_start = content, known.start_offset
        self.cut_power(randomness)

    def assert_closes(self) -> None:
        assert self.directory.close() == []

    def recover(self) -> None:
        self.has_power = True
        note(f"found {sorted(self.files.list_directories('/data'))}")
        self.directory = self.opened()
        report = self.directory.load(lambda topic: CONFIG, now_ms=self.now_ms)
        note(f"opened {self.directory.logs}: {report.lines()}")
        assert self.directory.identity == self.identity
        assert report.failed == {}
        assert report.set_aside == []
        assert report.clean or not self.was_closed
        self.was_closed = False
        found = {TopicPartition(log.topic, log.partition) for log in self.directory.logs}
        certain = {partition for partition, known in self.known.items() if known.certain}
        assert certain <= found <= set(self.known)
        for partition in sorted(self.known):
            self.compare(partition)

    def compare(self, partition: TopicPartition) -> None:
        known = self.known[partition]
        log = self.directory.get(*partition)
        if log is None:
            del self.known[partition]
            return
        topic_id = self.directory.topic_id_of(log)
        assert topic_id == known.topic_id or (topic_id is None and not known.certain)
        if topic_id is None:
            # As a broker does with a log that a crash left half made.
            self.directory.adopt(log, known.topic_id)
        known.certain = True
        found = read_batches(log)
        assert log.log_start_offset >= known.checkpointed_start
        assert known.given.issuperset(found)
        kept = [each for each in known.flushed if read_header(each).base_offset >= known.start_offset]
        assert [each for each in found if each in kept] == kept
        known.start_offset = log.log_start_offset

    def log(self, partition: TopicPartition) -> Log:
        log = self.directory.get(*partition)
        assert log is not None
        return log


TestDirectoryUnderPowerCut = DirectoryUnderPowerCut.TestCase
TestDirectoryUnderPowerCut.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=50 if HEAVY else 30, deadline=None
)
if HEAVY:
    TestDirectoryUnderPowerCut = pytest.mark.timeout(3600)(TestDirectoryUnderPowerCut)
