"""Snapshot files: whole or not there, and known for damaged when they are."""

from __future__ import annotations

import contextlib
from random import Random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.broker import journal_snapshots as snapshots
from ottla.protocol.records import BatchBuilder, iter_headers
from support.power_cut import PowerCutFiles, PowerLost

FOLDER = "/j"
PATH = "/j/00000000000000000042.checkpoint"


def new_disk() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    files.sync_directory("/")
    return files


def write(files: PowerCutFiles, records: list[bytes], offset: int = 42) -> snapshots.Snapshot:
    return snapshots.write(files, FOLDER, offset, records, now_ms=1_700_000_000_000)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_what_is_written_reads_back(records: list[bytes]) -> None:
    files = new_disk()
    written = write(files, records)
    assert snapshots.read(files, FOLDER, 42) == (records, written.size_bytes)
    assert written.size_bytes == files.size(PATH)


def test_a_large_state_is_written_in_batches_of_bounded_size() -> None:
    files = new_disk()
    records = [bytes(1000)] * 600
    write(files, records)
    batches = list(iter_headers(files.read_bytes(PATH)))
    assert len(batches) == 3
    assert max(header.size_bytes for _, header in batches) < snapshots.BATCH_BYTES + 2000
    assert snapshots.read(files, FOLDER, 42)[0] == records


def test_the_offsets_of_its_batches_go_on_from_0() -> None:
    files = new_disk()
    write(files, [bytes(300_000), b"a", b"b"])
    spans = [(header.base_offset, header.last_offset) for _, header in iter_headers(files.read_bytes(PATH))]
    assert spans == [(0, 1), (2, 4)]


def test_a_snapshot_written_again_replaces_the_old_one() -> None:
    files = new_disk()
    write(files, [b"old"])
    write(files, [b"new"])
    assert snapshots.read(files, FOLDER, 42)[0] == [b"new"]


def test_snapshots_are_listed_newest_first_and_nothing_else_is() -> None:
    files = new_disk()
    for offset in (7, 100, 42):
        write(files, [], offset)
    for name in ("00000000000000000009.log", "00000000000000000008.checkpoint.part", "leader-epoch-checkpoint"):
        file = files.open(f"{FOLDER}/{name}")
        file.write(b"x", 0)
        file.close()
    assert snapshots.offsets_present(files, FOLDER) == [100, 42, 7]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_while_writing_leaves_the_old_snapshot_or_the_new_one(cut: int) -> None:
    files = new_disk()
    write(files, [b"old"], 41)
    files.sync_directory(FOLDER)
    files.cut_after(cut)
    try:
        write(files, [b"new"] * 3)
    except PowerLost:
        files = files.cut(Random(cut))
    snapshots.remove_parts(files, FOLDER)
    newest = snapshots.offsets_present(files, FOLDER)[0]
    assert snapshots.read(files, FOLDER, newest)[0] == ([b"old"] if newest == 41 else [b"new"] * 3)


def test_a_full_disk_leaves_no_part_behind() -> None:
    files = new_disk()
    files.fill_disk(50)
    with pytest.raises(OSError, match="No space"):
        write(files, [bytes(100)])
    assert files.list_files(FOLDER) == []


@given(position=st.integers(0, 200), bits=st.integers(1, 255))
def test_any_flipped_bit_is_noticed(position: int, bits: int) -> None:
    files = new_disk()
    size_bytes = write(files, [b"one", b"two"]).size_bytes
    files.flip(PATH, position % size_bytes, bits)
    found = b""
    with contextlib.suppress(snapshots.DamagedSnapshot):
        # The first bytes of a batch (offset, leader epoch) are outside its CRC, and nobody reads them here.
        found = b" ".join(snapshots.read(files, FOLDER, 42)[0])
    assert found in (b"", b"one two")


@pytest.mark.parametrize("size_bytes", [0, 1, 60, 61, 90])
def test_a_file_cut_short_is_noticed(size_bytes: int) -> None:
    files = new_disk()
    write(files, [b"one", b"two"])
    files.open(PATH).truncate(size_bytes)
    with pytest.raises(snapshots.DamagedSnapshot):
        snapshots.read(files, FOLDER, 42)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([["ottla-snapshot", 0, 42], ["end", 3]], "footer does not count 0"),
        ([["ottla-snapshot", 0, 42]], "values to unpack"),
        ([["something", 0, 42], ["end", 0]], "header is missing"),
        ([["ottla-snapshot", 1, 42], ["end", 0]], "version 1, only 0 is known"),
        ([["ottla-snapshot", 0, 41], ["end", 0]], "header is of offset 41"),
        ([7, ["end", 0]], "header is missing"),
    ],
)
def test_a_file_that_is_not_our_snapshot_is_refused_with_the_reason(records: list[object], why: str) -> None:
    files = new_disk()
    builder = BatchBuilder()
    for record in records:
        builder.append(0, None, msgpack.packb(record))
    file = files.open(PATH)
    file.write(builder.build(), 0)
    file.close()
    with pytest.raises(snapshots.DamagedSnapshot, match=why):
        snapshots.read(files, FOLDER, 42)
