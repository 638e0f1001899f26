"""The log directory: whose it is, what it loads, what it remembers, how logs come and go."""

from __future__ import annotations

import itertools
import os
from random import Random
from uuid import UUID

import pytest
from ottla.storage.checkpoint import read_offsets
from ottla.storage.config import LogConfig
from ottla.storage.directory import LockedError, LogDirectory, LogExists
from ottla.storage.directory_names import TopicPartition
from ottla.storage.files import Files
from ottla.storage.log import Log
from ottla.storage.meta_properties import ForeignDirectory
from ottla.storage.system_files import SystemFiles
from support.batches import batch
from support.log_content import read_batches
from support.power_cut import PowerCutFiles, PowerLost

CONFIG = LogConfig(segment_bytes=1000, file_delete_delay_ms=60_000)
TOPIC_ID, OTHER_ID = UUID(int=7), UUID(int=8)
NOW_MS = 1_795_421_337_000  # 2026-11-23T08:08:57Z


def open_directory(files: Files, path: str = "/data", *, node_id: int = 1, cluster_id: str | None = None):
    numbers = itertools.count(1000)
    return LogDirectory.open(
        path,
        files=files,
        node_id=node_id,
        cluster_id=cluster_id,
        new_id=lambda: UUID(int=next(numbers)),
        now_ms=NOW_MS,
    )


def loaded(files: Files, path: str = "/data", **options):
    directory = open_directory(files, path)
    report = directory.load(lambda topic: CONFIG, now_ms=NOW_MS, **options)
    return directory, report


def append(log: Log, *values: bytes) -> None:
    for value in values:
        log.append(memoryview(batch(value)), leader_epoch=0, now_ms=NOW_MS)


# --- whose it is --------------------------------------------------------------------------------------------


def test_a_new_directory_gets_an_identity_that_stays():
    files = PowerCutFiles()
    first = open_directory(files, "/some/where/data")
    first.close()
    again = open_directory(files, "/some/where/data")
    assert again.identity == first.identity
    assert again.identity.node_id == 1
    assert len(again.identity.cluster_id) == 22
    assert again.identity.directory_id is not None


def test_a_given_cluster_id_is_taken():
    directory = open_directory(PowerCutFiles(), cluster_id="MkU3OEVBNTcwNTJENDM2Qg")
    assert directory.identity.cluster_id == "MkU3OEVBNTcwNTJENDM2Qg"


def test_a_directory_of_another_node_or_cluster_is_refused():
    files = PowerCutFiles()
    open_directory(files, cluster_id="ours").close()
    with pytest.raises(ForeignDirectory, match="/data belongs to node 1 of cluster ours, not to node 2"):
        open_directory(files, node_id=2)
    with pytest.raises(ForeignDirectory, match="not to node 1 of cluster theirs"):
        open_directory(files, cluster_id="theirs")
    open_directory(files, cluster_id="ours")  # the refusals let go of the lock


def test_a_second_broker_is_told_who_has_the_directory_and_since_when(tmp_path):
    path = str(tmp_path / "data")
    first = open_directory(SystemFiles(), path)
    with pytest.raises(LockedError) as caught:
        open_directory(SystemFiles(), path)
    assert str(caught.value) == f"{path} is in use by process {os.getpid()} since 2026-11-23T08:08:57+00:00"
    assert caught.value.pid == os.getpid()
    first.close()
    open_directory(SystemFiles(), path).close()


# --- what it loads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_logs_are_there_again_with_their_topic_ids(threads: int):
    files = PowerCutFiles()
    directory, _ = loaded(files)
    logs = directory.create_logs("t", range(5), TOPIC_ID, CONFIG, now_ms=NOW_MS)
    for log in logs:
        append(log, b"1", b"2")
    before = [read_batches(log) for log in logs]
    assert directory.close(threads=threads) == []

    again, report = loaded(files, threads=threads)
    assert report.clean
    assert report.lines() == []
    assert [read_batches(again.get("t", index)) for index in range(5)] == before
    assert {again.topic_id_of(log) for log in again.logs} == {TOPIC_ID}


def test_after_a_crash_logs_are_recovered_and_the_report_says_what_was_dropped():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, b"1", b"2")
    files.open("/data/t-0/00000000000000000000.log").write(b"torn", log.size_bytes)

    again, report = loaded(files.kill())
    assert not report.clean
    assert again.get("t", 0).log_end_offset == 2
    assert report.scanned_bytes > 0
    assert "t-0: /data/t-0/00000000000000000000.log: cut 4 bytes" in report.lines()[0]


def test_progress_is_told_in_the_callers_thread():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    for log in directory.create_logs("t", range(3), TOPIC_ID, CONFIG, now_ms=NOW_MS):
        append(log, b"1")
    seen = []
    loaded(files.kill(), threads=2, on_progress=seen.append)
    assert seen[-1].opened_count == seen[-1].total_count == 3
    assert seen[-1].scanned_bytes == max(each.scanned_bytes for each in seen) > 0


def test_a_clean_stop_counts_for_one_start_only():
    files = PowerCutFiles()
    loaded(files)[0].close()
    assert loaded(files.kill())[1].clean is True
    loaded(files.kill())[0].close()
    first, report = loaded(files.kill())
    assert report.clean
    first.abandon()
    assert loaded(files.kill())[1].clean is False


def test_only_the_scan_behind_the_recovery_point_is_needed():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, *[b"x" * 100] * 40)
    log.flush()
    directory.begin_checkpoint().run()
    _, report = loaded(files.kill())
    assert 0 < report.scanned_bytes < 1000  # the last of several segments


def test_a_damaged_checkpoint_means_that_everything_is_proven():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, *[b"x" * 100] * 40)
    log.flush()
    directory.begin_checkpoint().run()
    files.replace_bytes("/data/recovery-point-offset-checkpoint", b"0\n1\nt 0")
    again, report = loaded(files.kill())
    assert report.scanned_bytes == again.get("t", 0).size_bytes
    assert "/data/recovery-point-offset-checkpoint ends in the middle of a line: not used" in report.lines()


def test_folders_of_others_are_left_alone():
    files = PowerCutFiles()
    for name in (
        "t-0.2b1a51cf9f7d4406b109580eb0c492ce-stray",
        "t-1.2b1a51cf9f7d4406b109580eb0c492ce-future",
        "__cluster_metadata-0",
        "journal-0",
        "lost+found",
        "remote-log-index-cache",
    ):
        files.make_directory(f"/data/{name}")
    before = sorted(files.list_directories("/data"))
    directory, report = loaded(files, others=frozenset({"journal-0"}))
    assert directory.logs == []
    assert len(report.set_aside) == 2
    directory.sweep(NOW_MS * 2)
    directory.close()
    assert sorted(files.list_directories("/data")) == before


class OneBadFile(PowerCutFiles):
    """A disk that cannot list one folder."""

    bad_folder = ""

    def list_files(self, directory: str) -> list[str]:
        if directory == self.bad_folder:
            raise OSError(5, "Input/output error", directory)
        return super().list_files(directory)


def test_a_log_that_cannot_be_opened_hides_no_other_and_loses_nothing():
    files = OneBadFile()
    directory, _ = loaded(files)
    bad, good = directory.create_logs("t", range(2), TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(bad, b"1", b"2", b"3")
    append(good, b"1")
    bad.delete_before(2)
    directory.close()

    files.bad_folder = "/data/t-0"
    directory, report = loaded(files)
    assert [log.partition for log in directory.logs] == [1]
    assert "t-0: cannot be opened" in report.lines()[0]
    with pytest.raises(LogExists):
        directory.create_log("t", 0, OTHER_ID, CONFIG, now_ms=NOW_MS)
    directory.close()

    files.bad_folder = ""
    directory, report = loaded(files)
    assert not report.clean  # nobody closed t-0
    assert directory.get("t", 0).log_start_offset == 2
    assert directory.get("t", 0).log_end_offset == 3


def test_a_torn_topic_id_is_reported_and_can_be_given_again():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    directory.close()
    files.replace_bytes("/data/t-0/partition.metadata", b"version: 0\ntopic_")
    directory, report = loaded(files)
    assert "/data/t-0/partition.metadata" in report.lines()[0]
    log = directory.get("t", 0)
    assert directory.topic_id_of(log) is None
    directory.adopt(log, OTHER_ID)
    directory.close()
    directory, _ = loaded(files)
    assert directory.topic_id_of(directory.get("t", 0)) == OTHER_ID


# --- logs come and go ---------------------------------------------------------------------------------------


def test_a_log_is_made_once():
    directory, _ = loaded(PowerCutFiles())
    directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    with pytest.raises(LogExists):
        directory.create_logs("t", [1, 0], TOPIC_ID, CONFIG, now_ms=NOW_MS)
    assert [log.partition for log in directory.logs] == [0]
    directory.create_log("t", 1, TOPIC_ID, CONFIG, now_ms=NOW_MS)


def test_a_deleted_log_is_renamed_and_removed_after_a_while():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, b"1")
    directory.delete_log(log, now_ms=NOW_MS)
    assert directory.get("t", 0) is None
    (folder,) = files.list_directories("/data")
    assert folder.startswith("t-0.")
    assert folder.endswith("-delete")
    assert directory.sweep(NOW_MS + 59_999) == 0
    assert directory.sweep(NOW_MS + 60_000) == 1
    assert files.list_directories("/data") == []


def test_what_a_stop_left_of_a_deletion_goes_after_the_next_start():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    directory.delete_log(directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS), now_ms=NOW_MS)
    directory.close()
    directory, _ = loaded(files)
    assert directory.logs == []
    directory.sweep(NOW_MS)
    assert files.list_directories("/data") == []


def test_a_stray_is_renamed_and_kept():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    directory.set_aside(directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS), now_ms=NOW_MS)
    directory.sweep(NOW_MS * 2)
    (folder,) = files.list_directories("/data")
    assert folder.endswith("-stray")
    assert directory.logs == []


def test_a_new_log_does_not_inherit_what_was_noted_of_an_old_one():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, b"1", b"2", b"3")
    log.flush()
    log.delete_before(2)
    directory.begin_checkpoint().run()
    directory.delete_log(log, now_ms=NOW_MS)
    again = directory.create_log("t", 0, OTHER_ID, CONFIG, now_ms=NOW_MS)
    append(again, b"1")

    directory, report = loaded(files.kill())
    assert directory.get("t", 0).log_start_offset == 0
    assert directory.get("t", 0).log_end_offset == 1
    assert report.scanned_bytes == directory.get("t", 0).size_bytes


def test_lines_of_logs_that_are_gone_leave_the_checkpoints_at_the_next_start():
    files = PowerCutFiles()
    files.make_directory("/data")
    files.replace_bytes("/data/recovery-point-offset-checkpoint", b"0\n1\ngone 0 100\n")
    loaded(files)
    assert read_offsets(files, "/data/recovery-point-offset-checkpoint") == {}


# --- checkpoints --------------------------------------------------------------------------------------------


def test_checkpoints_hold_what_is_durable_and_where_logs_begin():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    first, second = directory.create_logs("t", range(2), TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(first, b"1", b"2")
    first.flush()
    append(first, b"not flushed")
    append(second, b"1", b"2")
    second.flush()
    second.delete_before(1)
    high_watermarks = {TopicPartition("t", 0): 3}
    directory.begin_checkpoint(high_watermarks).run()
    assert read_offsets(files, "/data/recovery-point-offset-checkpoint") == {("t", 0): 2, ("t", 1): 2}
    assert read_offsets(files, "/data/log-start-offset-checkpoint") == {("t", 1): 1}
    assert read_offsets(files, "/data/replication-offset-checkpoint") == {("t", 0): 3, ("t", 1): 2}


def test_a_checkpoint_that_was_overtaken_is_not_written():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    earlier = directory.begin_checkpoint()
    directory.delete_log(log, now_ms=NOW_MS)
    earlier.run()
    assert read_offsets(files, "/data/recovery-point-offset-checkpoint") == {}


def test_an_unchanged_checkpoint_costs_nothing():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    directory.begin_checkpoint().run()
    changes = files.change_count
    directory.begin_checkpoint().run()
    assert files.change_count == changes


def test_a_log_that_could_not_be_made_durable_leaves_no_mark_of_a_clean_stop():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, b"1")
    files.fail_next_sync(Random(1))
    (problem,) = directory.close()
    assert problem.startswith("/data/t-0")
    assert not files.exists("/data/.kafka_cleanshutdown")


def test_the_mark_of_a_clean_stop_is_believed_only_when_all_else_is_on_the_disk():
    changes, finished = 0, False
    while not finished:
        changes += 1
        for seed in range(5):
            files = PowerCutFiles()
            directory, _ = loaded(files)
            log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
            append(log, *[b"x" * 100] * 12)
            content = read_batches(log)
            files.cut_after(changes)
            try:
                directory.close()
            except PowerLost:
                pass
            else:
                finished = True
            again, report = loaded(files.cut(Random(seed)))
            assert not report.clean or read_batches(again.get("t", 0)) == content
    assert changes > 10


def test_a_directory_that_was_only_looked_at_keeps_its_checkpoints():
    files = PowerCutFiles()
    directory, _ = loaded(files)
    log = directory.create_log("t", 0, TOPIC_ID, CONFIG, now_ms=NOW_MS)
    append(log, b"1")
    directory.close()
    open_directory(files).close()
    assert read_offsets(files, "/data/recovery-point-offset-checkpoint") == {("t", 0): 1}
    assert loaded(files)[1].clean
