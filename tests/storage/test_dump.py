"""Every file of a log directory, dumped: what was written comes out, damage ends it with a reason."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.protocol.records import Codec
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.dump import (
    DumpedAbort,
    DumpedBatch,
    DumpedEpoch,
    DumpedOffset,
    DumpedPosition,
    DumpedProducer,
    DumpedProperty,
    DumpedTime,
    NotDumpable,
    Unreadable,
    dump_file,
)
from support.batches import batch
from support.power_cut import PowerCutFiles

CONFIG = LogConfig(segment_bytes=2000, index_interval_bytes=200)
FOLDER = "/data/t-0"
FIRST = f"{FOLDER}/{0:020d}"


@pytest.fixture
def files() -> PowerCutFiles:
    """A directory of one partition with six batches of two records, closed."""
    files = PowerCutFiles()
    directory = LogDirectory.open("/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=9), now_ms=0)
    directory.load(lambda topic: CONFIG, now_ms=0)
    log = directory.create_log("t", 0, UUID("6b3fc217-8862-4394-ba99-21aae2236fb0"), CONFIG, now_ms=0)
    for number in range(6):
        made = batch(
            b"x" * 100,
            None,
            key=b"k",
            timestamp=1000 + number,
            producer_id=5,
            producer_epoch=1,
            base_sequence=2 * number,
            codec=Codec.ZSTD if number == 3 else Codec.NONE,
        )
        log.append(memoryview(made), leader_epoch=number // 3, now_ms=0)
    assert directory.close() == []
    return files


def dump(files: PowerCutFiles, path: str, *, deep: bool = False) -> list[object]:
    return list(dump_file(path, files, deep=deep))


def test_a_log_is_its_batches(files: PowerCutFiles):
    seen: list[int] = []
    batches = list(dump_file(f"{FIRST}.log", files, on_bytes=seen.append))
    assert [type(each) for each in batches] == [DumpedBatch] * 6
    assert [each.header.base_offset for each in batches] == [0, 2, 4, 6, 8, 10]
    assert [each.header.partition_leader_epoch for each in batches] == [0, 0, 0, 1, 1, 1]
    assert all(each.crc_is_valid and each.records is None for each in batches)
    assert sum(seen) == files.size(f"{FIRST}.log")


def test_a_deep_dump_has_the_records_of_compressed_batches_too(files: PowerCutFiles):
    for each in dump(files, f"{FIRST}.log", deep=True):
        assert [(record.key, record.value) for record in each.records] == [(b"k", b"x" * 100), (b"k", None)]
        assert [record.offset for record in each.records] == [each.header.base_offset, each.header.base_offset + 1]


def test_a_wrong_checksum_is_told_and_stepped_over(files: PowerCutFiles):
    files.flip(f"{FIRST}.log", 100)
    batches = dump(files, f"{FIRST}.log", deep=True)
    assert [each.crc_is_valid for each in batches] == [False] + [True] * 5
    assert batches[0].records is None


def test_a_dump_ends_where_the_bytes_make_no_sense(files: PowerCutFiles):
    file = files.open(f"{FIRST}.log")
    end = file.size()
    file.write(b"no batch", end)
    *batches, last = dump(files, f"{FIRST}.log")
    assert len(batches) == 6
    assert last == Unreadable(end, "only 8 bytes are left, a header has 61")


def test_indexes_are_their_entries(files: PowerCutFiles):
    positions = dump(files, f"{FIRST}.index")
    assert all(isinstance(each, DumpedPosition) for each in positions)
    starts = {each.header.last_offset: each.position for each in dump(files, f"{FIRST}.log")}
    assert positions
    assert all(starts[each.offset] == each.log_position for each in positions)
    assert dump(files, f"{FIRST}.timeindex")[-1] == DumpedTime(timestamp=1005, offset=11)


def test_a_snapshot_is_its_producers(files: PowerCutFiles):
    assert dump(files, f"{FOLDER}/{12:020d}.snapshot") == [
        DumpedProducer(
            producer_id=5,
            producer_epoch=1,
            coordinator_epoch=-1,
            last_timestamp=1005,
            current_txn_first_offset=-1,
            first_sequence=10,
            last_sequence=11,
            last_offset=11,
            offset_delta=1,
        )
    ]
    files.flip(f"{FOLDER}/{12:020d}.snapshot", 30)
    assert dump(files, f"{FOLDER}/{12:020d}.snapshot") == [Unreadable(None, "has a wrong checksum")]


def test_a_transaction_index_is_its_aborted_transactions(files: PowerCutFiles):
    file = files.open(f"{FIRST}.txnindex")
    file.write(b"\0\0" + b"".join(number.to_bytes(8, "big") for number in (5, 2, 7, 8)) + b"\0\0", 0)
    assert dump(files, f"{FIRST}.txnindex") == [
        DumpedAbort(version=0, producer_id=5, first_offset=2, last_offset=7, last_stable_offset=8),
        Unreadable(34, "only 2 bytes are left, an entry has 34"),
    ]


def test_the_small_files_are_their_lines(files: PowerCutFiles):
    assert dump(files, f"{FOLDER}/leader-epoch-checkpoint") == [DumpedEpoch(0, 0), DumpedEpoch(1, 6)]
    assert dump(files, "/data/recovery-point-offset-checkpoint") == [DumpedOffset("t", 0, 12)]
    assert dump(files, f"{FOLDER}/partition.metadata") == [DumpedProperty("topic_id", "az_CF4hiQ5S6mSGq4iNvsA")]
    assert DumpedProperty("node.id", "1") in dump(files, "/data/meta.properties")
    assert dump(files, "/data/.kafka_cleanshutdown") == [DumpedProperty("content", '{"version":0,"brokerEpoch":-1}')]


@pytest.mark.parametrize("name", [f"{12:020d}.checkpoint", f"{12:020d}-{3:010d}.checkpoint", "bootstrap.checkpoint"])
def test_a_snapshot_of_a_journals_state_is_batches(files: PowerCutFiles, name: str):
    files.replace_bytes(f"{FOLDER}/{name}", bytes(batch(b"state")))
    (only,) = dump(files, f"{FOLDER}/{name}", deep=True)
    assert [record.value for record in only.records] == [b"state"]


def test_a_damaged_small_file_says_why(files: PowerCutFiles):
    files.replace_bytes("/data/recovery-point-offset-checkpoint", b"0\n2\n")
    assert dump(files, "/data/recovery-point-offset-checkpoint") == [
        Unreadable(None, "says it has 2 entries and has 0")
    ]


def test_names_that_say_nothing_and_files_that_are_not_there_are_refused(files: PowerCutFiles):
    with pytest.raises(NotDumpable, match=r"notes\.txt"):
        dump_file("/data/notes.txt", files)
    with pytest.raises(FileNotFoundError):
        dump_file(f"{FOLDER}/{77:020d}.index", files)
    assert not files.exists(f"{FOLDER}/{77:020d}.index")
