"""What others make of a compacted log: the next start, whatever the topic's policy is by then, retention, and `check`."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.storage.check import check_directory
from ottla.storage.checkpoint import CLEANER_FILE
from ottla.storage.compaction.compaction import CompactionAborted
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.log import Log
from support.batches import batch
from support.compacting import LIMITS, NoHurry, compact, records, what_is_cleanable
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"
COMPACTED = LogConfig(segment_bytes=400, cleanup_policy=frozenset({"compact"}), file_delete_delay_ms=0)
KEPT = LogConfig(segment_bytes=400, retention_ms=-1)


def compacted(config: LogConfig = COMPACTED) -> tuple[PowerCutFiles, Log]:
    """A log of which the middle segments have lost all, or their last, records; the first and the newest are there."""
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = Log.open(FOLDER, files=files, config=config, now_ms=0, clean=True)
    log.append(batch(b"first", key=b"only once"), leader_epoch=0, now_ms=0)
    for number in range(30):
        log.append(batch(b"%d" % number, key=b"again and again"), leader_epoch=0, now_ms=0)
    log.flush()
    compact(log, now_ms=0)
    return files, log


@pytest.mark.parametrize("config", [COMPACTED, KEPT], ids=["compacted", "no longer compacted"])
@pytest.mark.parametrize("old_files", ["are still there", "are gone"])
def test_after_a_crash_its_gaps_are_no_damage(config: LogConfig, old_files: str) -> None:
    files, log = compacted()
    if old_files == "are gone":
        log.sweep(1)
    before, point, cleaned_to = records(log), log.recovery_point, log.cleaned_to
    files = files.kill()
    log = Log.open(
        FOLDER, files=files, config=config, now_ms=0, clean=False, recovery_point=point, cleaned_to=cleaned_to
    )
    assert records(log) == before
    assert not log.recovery.notes
    assert not log.recovery.dropped
    assert not log.recovery.rebuilt_indexes, "also those of a segment of which nothing is left"


def test_the_recovery_point_alone_tells_a_gap_from_a_lost_segment() -> None:
    """A crash before the cleaner's checkpoint was written; nothing is cleaned behind the recovery point's."""
    files, log = compacted()
    before, point = records(log), log.recovery_point
    log = Log.open(FOLDER, files=files.kill(), config=COMPACTED, now_ms=0, clean=False, recovery_point=point)
    assert records(log) == before
    assert not log.recovery.notes


def test_a_segment_that_was_lost_behind_the_recovery_point_takes_what_follows_along() -> None:
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = Log.open(FOLDER, files=files, config=COMPACTED, now_ms=0, clean=True)
    for number in range(30):
        log.append(batch(b"%d" % number, key=b"k"), leader_epoch=0, now_ms=0)
    bases = sorted(int(name[:20]) for name in files.list_files(FOLDER) if name.endswith(".log"))
    files = files.kill()
    files.remove(f"{FOLDER}/{bases[2]:020d}.log")
    log = Log.open(FOLDER, files=files, config=COMPACTED, now_ms=0, clean=False, recovery_point=bases[1])
    assert log.log_end_offset == bases[2]


def test_retention_takes_what_compaction_has_emptied() -> None:
    config = LogConfig(
        segment_bytes=400, cleanup_policy=frozenset({"compact", "delete"}), retention_ms=100, file_delete_delay_ms=0
    )
    files, log = compacted(config)
    assert 0 in {files.size(f"{FOLDER}/{name}") for name in files.list_files(FOLDER) if name.endswith(".log")}
    log.append(batch(b"now", key=b"new", timestamp=100_000), leader_epoch=0, now_ms=100_000)
    log.roll(100_000)
    log.sweep(100_050)
    assert [record.key for record in records(log)] == [b"new"] or log.segment_count < 3
    log.check()


def test_while_a_cleaning_is_under_way_retention_waits() -> None:
    config = LogConfig(segment_bytes=400, cleanup_policy=frozenset({"compact", "delete"}), retention_ms=100)
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = Log.open(FOLDER, files=files, config=config, now_ms=0, clean=True)
    for number in range(30):
        log.append(batch(b"%d" % number, key=b"%d" % (number % 7)), leader_epoch=0, now_ms=0)
    log.flush()
    swept = [0]

    def sweep() -> None:
        swept[0] += log.sweep(10**6).deleted_segments

    compact(log, now_ms=0, between=sweep)
    assert swept == [0]
    assert log.sweep(10**6).deleted_segments > 0


def test_a_cleaning_of_what_retention_has_taken_meanwhile_does_not_begin() -> None:
    config = LogConfig(
        segment_bytes=400, cleanup_policy=frozenset({"compact", "delete"}), retention_ms=100, file_delete_delay_ms=0
    )
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = Log.open(FOLDER, files=files, config=config, now_ms=0, clean=True)
    for number in range(30):
        log.append(batch(b"%d" % number, key=b"k"), leader_epoch=0, now_ms=0)
    log.flush()
    what = what_is_cleanable(log, 0)
    log.sweep(10**6)
    with pytest.raises(CompactionAborted):
        log.compaction.begin(what, limits=LIMITS, pace=NoHurry(), now_ms=0)
    assert log.compaction.under_way is None


def test_check_finds_nothing_in_a_compacted_directory() -> None:
    files = PowerCutFiles()
    directory = LogDirectory.open("/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=9), now_ms=0)
    directory.load(lambda topic: COMPACTED, now_ms=0)
    log = directory.create_log("t", 0, UUID(int=7), COMPACTED, now_ms=0)
    for number in range(40):
        value = None if number % 9 == 0 else b"%d" % number
        log.append(batch(value, key=b"%d" % (number % 3), timestamp=number), leader_epoch=0, now_ms=0)
    log.flush()
    compact(log, now_ms=0)
    assert not directory.close()
    assert list(check_directory("/data", files, deep=True)) == []
    files.remove(f"/data/{CLEANER_FILE}")
    notes = list(check_directory("/data", files))
    assert notes
    assert all(each.what.endswith("compacted, or lost") for each in notes), "it cannot know any more"


def test_the_checkpoint_comes_back_with_the_log_and_goes_with_it() -> None:
    files = PowerCutFiles()

    def opened(files: PowerCutFiles) -> LogDirectory:
        directory = LogDirectory.open(
            "/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=9), now_ms=0
        )
        directory.load(lambda topic: COMPACTED, now_ms=0)
        return directory

    directory = opened(files)
    log = directory.create_log("t", 0, UUID(int=7), COMPACTED, now_ms=0)
    for number in range(30):
        log.append(batch(b"%d" % number, key=b"k"), leader_epoch=0, now_ms=0)
    log.flush()
    compact(log, now_ms=0)
    cleaned_to = log.cleaned_to
    assert cleaned_to
    directory.close()
    directory = opened(files.kill())
    again = directory.get("t", 0)
    assert again is not None
    assert again.cleaned_to == cleaned_to
    directory.delete_log(again, now_ms=0)
    assert directory.create_log("t", 0, UUID(int=8), COMPACTED, now_ms=0).cleaned_to is None
    directory.close()
    assert "t 0" not in directory.files.read_bytes(f"/data/{CLEANER_FILE}").decode()
