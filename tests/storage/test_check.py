"""`check` finds nothing in a sound log, and every kind of damage in one that was operated on, byte by byte."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.records import Codec, patch_crc
from ottla.storage.check import Finding, Severity, bytes_to_check, check_directory, check_partition
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from support.batches import batch
from support.power_cut import PowerCutFiles

CONFIG = LogConfig(segment_bytes=2000, index_interval_bytes=200)
FOLDER = "/data/t-0"
FIRST, SECOND, LAST = (f"{FOLDER}/{base:020d}" for base in (0, 16, 32))
BATCH_BYTES = 112


def sound_directory() -> PowerCutFiles:
    """One partition, three segments of 16, 16 and 8 batches of one record, closed cleanly."""
    files = PowerCutFiles()
    directory = LogDirectory.open("/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=9), now_ms=0)
    directory.load(lambda topic: CONFIG, now_ms=0)
    log = directory.create_log("t", 0, UUID(int=7), CONFIG, now_ms=0)
    for number in range(40):
        record = batch(
            b"x" * 44,
            timestamp=1000 + number,
            producer_id=5,
            producer_epoch=0,
            base_sequence=number,
            codec=Codec.GZIP if number == 20 else Codec.NONE,
        )
        log.append(memoryview(record), leader_epoch=number // 10, now_ms=0)
        if number % 16 == 15:
            log.roll(0)
    assert directory.close() == []
    return files


def findings(files: PowerCutFiles, *, deep: bool = False) -> list[Finding]:
    return list(check_directory("/data", files, deep=deep))


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def overwrite(files: PowerCutFiles, path: str, position: int, data: bytes) -> None:
    file = files.open(path)
    file.write(data, position)
    file.close()


def extend(files: PowerCutFiles, path: str, data: bytes) -> None:
    overwrite(files, path, files.size(path), data)


# --- sound --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_directory_has_no_findings(deep: bool):
    assert findings(sound_directory(), deep=deep) == []


def test_checking_changes_nothing():
    files = sound_directory()
    names, changes = sorted(files.list_files(FOLDER)), files.change_count
    findings(files, deep=True)
    assert files.change_count == changes
    assert sorted(files.list_files(FOLDER)) == names


def test_progress_adds_up_to_what_was_announced():
    files = sound_directory()
    seen: list[int] = []
    list(check_directory("/data", files, on_bytes=seen.append))
    assert sum(seen) == bytes_to_check("/data", files) == bytes_to_check(FOLDER, files)


def test_one_partition_can_be_checked_by_itself():
    files = sound_directory()
    files.flip(f"{FIRST}.log", 100)
    assert only(list(check_partition(FOLDER, files))).path == f"{FIRST}.log"


def test_an_empty_log_that_begins_behind_0_needs_no_file():
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    files.replace_bytes("/data/log-start-offset-checkpoint", b"0\n1\nt 0 6\n")
    files.replace_bytes("/data/recovery-point-offset-checkpoint", b"0\n1\nt 0 6\n")
    assert findings(files) == []


def test_what_is_on_its_way_out_is_not_looked_into():
    files = sound_directory()
    overwrite(files, f"{FIRST}.log.deleted", 0, b"garbage")
    files.make_directory("/data/u-0.2b1a51cf9f7d4406b109580eb0c492ce-delete")
    overwrite(files, f"/data/u-0.2b1a51cf9f7d4406b109580eb0c492ce-delete/{0:020d}.log", 0, b"garbage")
    assert findings(files) == []


# --- the log ------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_in_old_data_is_damage_and_the_rest_is_still_checked():
    files = sound_directory()
    files.flip(f"{FIRST}.log", 100)
    files.flip(f"{FIRST}.log", 1000)
    first, second = findings(files)
    assert (first.path, first.severity) == (f"{FIRST}.log", Severity.DAMAGE)
    assert "checksum" in first.what
    assert first.position == 0
    assert second.position == 1000 // BATCH_BYTES * BATCH_BYTES


def test_a_header_that_makes_no_sense_ends_the_walk_of_its_segment():
    files = sound_directory()
    overwrite(files, f"{FIRST}.log", 8, struct.pack(">i", 7))
    found = findings(files)
    assert [each.position for each in found if each.severity is Severity.DAMAGE] == [0]
    assert any("no valid batch: it claims 19 bytes" in each.what for each in found)


def test_a_torn_tail_of_the_last_segment_is_for_recovery():
    files = sound_directory()
    end = files.size(f"{LAST}.log")
    extend(files, f"{LAST}.log", b"torn")
    found = only(findings(files))
    assert (found.path, found.position, found.severity) == (f"{LAST}.log", end, Severity.REPAIRABLE)


def test_a_torn_tail_in_the_middle_is_damage():
    files = sound_directory()
    extend(files, f"{FIRST}.log", b"torn")
    assert only(findings(files)).severity is Severity.DAMAGE


def test_offsets_that_fall_are_damage():
    files = sound_directory()
    extend(files, f"{FIRST}.log", files.read_bytes(f"{FIRST}.log")[:BATCH_BYTES])
    assert any("offset 0 lies before 16" in each.what for each in findings(files))


def test_records_are_looked_at_only_when_asked():
    files = sound_directory()
    data = bytearray(files.read_bytes(f"{FIRST}.log"))
    data[61] ^= 0x02  # the length of the first record
    patch_crc(data, 0, BATCH_BYTES)
    overwrite(files, f"{FIRST}.log", 0, bytes(data))
    assert findings(files) == []
    found = only(findings(files, deep=True))
    assert (found.path, found.position, found.severity) == (f"{FIRST}.log", 0, Severity.DAMAGE)


# --- what is derived from it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operate", "path", "what"),
    [
        (lambda f: overwrite(f, f"{FIRST}.index", 0, struct.pack(">ii", 1, 500)), ".index", "no batch begins"),
        (lambda f: overwrite(f, f"{FIRST}.index", 0, struct.pack(">ii", 1, 0)), ".index", "ends with 0, not with 1"),
        (
            lambda f: extend(f, f"{LAST}.index", struct.pack(">ii", 90, 9000)),
            ".index",
            "the log's end",
        ),
        (lambda f: overwrite(f, f"{FIRST}.index", 0, b"\0\0\0\1\0\0\0"), ".index", "not with 1"),
        (lambda f: overwrite(f, f"{FIRST}.timeindex", 0, struct.pack(">qi", 7, 2)), ".timeindex", "not 7"),
        (
            lambda f: extend(f, f"{LAST}.timeindex", struct.pack(">qi", 9999, 99)),
            ".timeindex",
            "end",
        ),
        (lambda f: f.remove(f"{FIRST}.timeindex"), ".timeindex", "largest timestamp is 1015"),
        (lambda f: extend(f, f"{FIRST}.index", b"\1"), ".index", "whole number"),
        (lambda f: f.flip(f"{SECOND}.snapshot", 20), ".snapshot", "wrong checksum"),
        (lambda f: f.rename(f"{SECOND}.snapshot", f"{FOLDER}/{50:020d}.snapshot"), ".snapshot", "log ends at 40"),
        (lambda f: overwrite(f, f"{FIRST}.txnindex", 0, bytes(33)), ".txnindex", "whole number"),
        (
            lambda f: overwrite(f, f"{FIRST}.txnindex", 0, struct.pack(">hqqqq", 0, 5, 9, 3, 3)),
            ".txnindex",
            "offsets 9 to 3",
        ),
        (lambda f: f.replace_bytes(f"{FOLDER}/.sync-failed", b""), ".sync-failed", "written again"),
        (lambda f: overwrite(f, f"{FOLDER}/{7:020d}.index", 0, bytes(8)), ".index", "log is not there"),
        (
            lambda f: f.replace_bytes(f"{FOLDER}/leader-epoch-checkpoint", b"0\n1\n0 0\n"),
            "leader-epoch-checkpoint",
            "the batch at 10 is of leader epoch 1, the checkpoint says 0",
        ),
        (lambda f: f.replace_bytes(f"{FOLDER}/leader-epoch-checkpoint", b"0\n"), "leader-epoch-checkpoint", "ends"),
    ],
)
def test_what_the_next_start_repairs(operate: Callable[[PowerCutFiles], None], path: str, what: str):
    files = sound_directory()
    operate(files)
    found = findings(files)
    assert found
    assert all(each.path.endswith(path) and each.severity is Severity.REPAIRABLE for each in found), found
    assert what in found[0].what


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        (f"{FOLDER}/partition.metadata", b"version: 0\n", "not a version and a topic_id"),
        ("/data/meta.properties", b"version=1\n", "lacks"),
        ("/data/recovery-point-offset-checkpoint", b"0\n1\nt 0 41\n", "says 41 for t-0, whose log ends at 40"),
        ("/data/log-start-offset-checkpoint", b"0\n1\nt 0 41\n", "whose log ends at 40"),
    ],
)
def test_what_nothing_repairs(path: str, content: bytes, what: str):
    files = sound_directory()
    files.replace_bytes(path, content)
    found = only(findings(files))
    assert (found.path, found.severity) == (path, Severity.DAMAGE)
    assert what in found.what


def test_a_lost_segment_in_the_middle_is_noted():
    files = sound_directory()
    for suffix in (".log", ".index", ".timeindex", ".snapshot"):
        files.remove(SECOND + suffix)
    found = findings(files)
    assert (found[0].path, found[0].severity) == (f"{LAST}.log", Severity.NOTE)
    assert found[0].what == "16 offsets are missing, first those from 16 to 31: compacted, or lost"


FILES = [f"{base}{suffix}" for base in (FIRST, SECOND, LAST) for suffix in (".log", ".index", ".timeindex")]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.integers(0), st.integers(1, 255))
def test_any_flipped_byte_is_found(path: str, position: int, bits: int):
    files = sound_directory()
    position %= files.size(path)
    files.flip(path, position, bits)
    found = findings(files)
    assert found
    if not path.endswith(".log"):
        assert {os.path.basename(each.path) for each in found} == {os.path.basename(path)}
