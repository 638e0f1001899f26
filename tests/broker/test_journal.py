"""A journal on a disk in memory: what it promises to those who append, and what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from ottla.broker import journal_snapshots
from ottla.broker.flusher import Flusher
from ottla.broker.journal import Journal, JournalDamaged, JournalFailed
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.records import BatchBuilder
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from support.journals import FOLDER, Sequence, open_journal, started, words_of
from support.power_cut import PowerCutFiles

SMALL = LogConfig(segment_bytes=400, retention_ms=-1, file_delete_delay_ms=0)
SEGMENT = FOLDER + "/00000000000000000000.log"

Test = Callable[[Journal[str]], Awaitable[None]]


def new_disk() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory("/data")
    files.sync_directory("/")
    return files


def with_journal(
    test: Test, files: PowerCutFiles | None = None, *, config: LogConfig = SMALL, snapshot_after_bytes: int = 2**40
) -> PowerCutFiles:
    """Run `test` with a started journal and close it; the disk is returned for a look at it, or a restart."""
    files = files or new_disk()

    async def run() -> None:
        flusher = Flusher()
        journal = open_journal(files, config=config, snapshot_after_bytes=snapshot_after_bytes)
        await test(started(journal, flusher))
        await journal.close()
        await flusher.close()

    asyncio.run(run())
    return files


def append_all(*words: str) -> Test:
    async def test(journal: Journal[str]) -> None:
        for word in words:
            await journal.append([word])

    return test


def words_found(files: PowerCutFiles) -> list[str]:
    found: list[str] = []

    async def test(journal: Journal[str]) -> None:
        found.extend(words_of(journal))

    with_journal(test, files)
    return found


def test_what_is_appended_is_applied_when_append_returns() -> None:
    async def test(journal: Journal[str]) -> None:
        await journal.append(["a", "b"])
        assert words_of(journal) == ["a", "b"]
        await journal.append([])
        await journal.append(["c"])
        assert words_of(journal) == ["a", "b", "c"]

    with_journal(test)


def test_nothing_is_applied_before_it_is_durable() -> None:
    async def test(journal: Journal[str]) -> None:
        appending = asyncio.ensure_future(journal.append(["a"]))
        await asyncio.sleep(0)
        assert journal.end_offset == 1
        assert words_of(journal) == []
        await appending

    with_journal(test)


def test_a_restart_finds_everything_in_order() -> None:
    files = with_journal(append_all("a", "b", "c"))
    assert words_found(files) == ["a", "b", "c"]


def test_a_crash_behind_the_answer_loses_nothing() -> None:
    files = new_disk()

    async def run() -> None:
        flusher = Flusher()
        await started(open_journal(files), flusher).append(["a"])
        await flusher.close()

    asyncio.run(run())
    assert words_found(files.cut(Random(1))) == ["a"]


def test_appends_of_one_round_share_one_sync() -> None:
    async def test(journal: Journal[str]) -> None:
        await journal.append(["first"])  # makes the file, and its name
        before = files.change_count
        await asyncio.gather(*(journal.append([word]) for word in "abc"))
        assert words_of(journal) == ["first", "a", "b", "c"]
        writes, syncs = 3, 1
        assert files.change_count - before == writes + syncs

    files = new_disk()
    with_journal(test, files)


def test_each_decision_sees_what_the_one_before_it_decided() -> None:
    async def test(journal: Journal[str]) -> None:
        def take_a_number() -> tuple[list[str], int]:
            number = len(words_of(journal))
            return [f"number {number}"], number

        numbers = await asyncio.gather(*(journal.decide(take_a_number) for _ in range(5)))
        assert numbers == [0, 1, 2, 3, 4]

    with_journal(test)


def test_a_decision_that_writes_nothing_waits_for_no_disk() -> None:
    async def test(journal: Journal[str]) -> None:
        before = files.change_count
        assert await journal.decide(lambda: ([], "nothing to do")) == "nothing to do"
        assert files.change_count == before

    files = new_disk()
    with_journal(test, files)


def test_a_decision_that_refuses_tells_its_caller_and_lets_the_next_one_in() -> None:
    async def test(journal: Journal[str]) -> None:
        def refuse() -> tuple[list[str], None]:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, "no")

        refused = asyncio.ensure_future(journal.decide(refuse))
        assert await journal.decide(lambda: (["a"], "yes")) == "yes"
        with pytest.raises(KafkaError, match="no"):
            await refused

    with_journal(test)


def test_what_was_begun_goes_on_when_its_caller_is_gone() -> None:
    async def test(journal: Journal[str]) -> None:
        callers = [asyncio.ensure_future(journal.decide(lambda: (["decided"], None)))]
        callers.append(asyncio.ensure_future(journal.append(["appended"])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await journal.decide(lambda: ([], None))
        assert sorted(words_of(journal)) == ["appended", "decided"]

    with_journal(test)


def test_what_is_submitted_is_known_as_under_way_until_it_is_done() -> None:
    async def test(journal: Journal[str]) -> None:
        journal.submit(lambda: (["a"], None), keys=["x", "y"])
        assert journal.is_under_way("x")
        assert not journal.is_under_way("z")
        await journal.decide(lambda: ([], None))
        await asyncio.sleep(0)
        assert not journal.is_under_way("y")
        assert words_of(journal) == ["a"]

    with_journal(test)


def test_closing_finishes_what_was_submitted() -> None:
    async def test(journal: Journal[str]) -> None:
        journal.submit(lambda: (["a"], None), keys=["x"])

    assert words_found(with_journal(test)) == ["a"]


# -- the disk fails


def test_a_failed_sync_poisons_the_journal_and_applies_nothing_more() -> None:
    async def run() -> None:
        flusher = Flusher()
        journal = started(open_journal(files), flusher)
        await journal.append(["a"])
        files.fail_next_sync(Random(1))
        with pytest.raises(JournalFailed) as failed:
            await journal.append(["b"])
        assert failed.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        with pytest.raises(JournalFailed):
            await journal.append(["c"])
        with pytest.raises(JournalFailed):
            await journal.decide(lambda: (["d"], None))
        assert words_of(journal) == ["a"]
        assert str(journal.failed) == str(failed.value)
        assert journal.failed is not None
        assert journal.failed.__traceback__ is None, "it keeps nothing of those it refused"
        with pytest.raises(KafkaError):
            await journal.close()
        await flusher.close()

    files = new_disk()
    asyncio.run(run())
    assert words_found(files.cut(Random(2)))[:1] == ["a"]


def test_a_full_disk_refuses_an_append_and_the_next_one_with_room_succeeds() -> None:
    async def test(journal: Journal[str]) -> None:
        await journal.append(["a"])
        files.fill_disk(10)
        with pytest.raises(KafkaError) as refused:
            await journal.append(["b" * 20])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert journal.failed is None
        files.free_disk()
        await journal.append(["c"])
        assert words_of(journal) == ["a", "c"]

    files = new_disk()
    with_journal(test, files)
    assert words_found(files) == ["a", "c"]


def test_a_record_that_cannot_be_applied_stops_the_journal() -> None:
    async def run() -> None:
        flusher = Flusher()
        journal = started(open_journal(new_disk()), flusher)
        with pytest.raises(JournalFailed, match="could not be applied"):
            await journal.append(["a", "poison", "b"])
        with pytest.raises(JournalFailed):
            await journal.append(["c"])
        await journal.close()
        await flusher.close()

    asyncio.run(run())


# -- snapshots


def fill(count: int) -> Test:
    return append_all(*(f"word {number}" for number in range(count)))


def test_a_long_journal_is_shortened_by_snapshots() -> None:
    files = with_journal(fill(200), snapshot_after_bytes=1000)
    assert len(journal_snapshots.offsets_present(files, FOLDER)) == 2
    assert not files.exists(SEGMENT)

    async def test(journal: Journal[str]) -> None:
        assert words_of(journal) == [f"word {number}" for number in range(200)]
        replay = journal.replay
        assert replay.snapshot_offset is not None
        assert replay.snapshot_offset + replay.record_count == 200
        assert replay.record_count < 100

    with_journal(test, files)


def test_a_large_state_is_not_written_again_and_again() -> None:
    taken = 0

    async def test(journal: Journal[str]) -> None:
        nonlocal taken
        await journal.append(["x" * 300 for _ in range(100)])
        await journal.append(["y"])
        newest = journal_snapshots.offsets_present(files, FOLDER)
        for number in range(50):
            await journal.append([f"{number}"])
            offsets = journal_snapshots.offsets_present(files, FOLDER)
            taken += offsets != newest
            newest = offsets

    files = new_disk()
    with_journal(test, files, config=LogConfig(retention_ms=-1), snapshot_after_bytes=1000)
    assert taken <= 1


def test_the_first_snapshot_alone_shortens_nothing() -> None:
    async def test(journal: Journal[str]) -> None:
        while not journal_snapshots.offsets_present(files, FOLDER):
            await journal.append(["word"])
        await journal.append(["word"])

    files = new_disk()
    with_journal(test, files, snapshot_after_bytes=1500)
    assert files.exists(SEGMENT)


def test_a_damaged_snapshot_is_passed_over_for_the_one_before() -> None:
    files = with_journal(fill(200), snapshot_after_bytes=1000)
    newest, older = journal_snapshots.offsets_present(files, FOLDER)
    files.flip(f"{FOLDER}/{journal_snapshots.file_name(newest)}", 100)

    async def test(journal: Journal[str]) -> None:
        assert words_of(journal) == [f"word {number}" for number in range(200)]
        assert journal.replay.snapshot_offset == older
        assert len(journal.replay.damaged) == 1

    with_journal(test, files)


def test_without_a_whole_snapshot_a_shortened_journal_is_refused() -> None:
    files = with_journal(fill(200), snapshot_after_bytes=1000)
    for offset in journal_snapshots.offsets_present(files, FOLDER):
        files.flip(f"{FOLDER}/{journal_snapshots.file_name(offset)}", 100)
    with pytest.raises(JournalDamaged, match="no snapshot to begin from"):
        open_journal(files)


def test_a_half_written_snapshot_is_removed_at_the_next_start() -> None:
    files = with_journal(append_all("a"))
    part = f"{FOLDER}/{journal_snapshots.file_name(1)}.part"
    file = files.open(part)
    file.write(b"half", 0)
    file.close()
    assert words_found(files) == ["a"]
    assert not files.exists(part)


def test_a_snapshot_that_cannot_be_written_is_tried_again_later() -> None:
    async def test(journal: Journal[str]) -> None:
        await journal.append(["a" * 300 for _ in range(10)])
        files.fill_disk(200)
        await journal.append(["b"])  # the snapshot of three thousand bytes does not fit, this does
        await settle(journal)
        files.free_disk()
        assert not [name for name in files.list_files(FOLDER) if "checkpoint" in name and name[0] == "0"]
        for _ in range(3):
            await journal.append(["c" * 300 for _ in range(10)])
        await settle(journal)
        assert journal_snapshots.offsets_present(files, FOLDER) != []

    files = new_disk()
    with_journal(test, files, config=LogConfig(retention_ms=-1), snapshot_after_bytes=3190)


async def settle(journal: Journal[str]) -> None:
    """Wait for the snapshot that is being taken."""
    while journal._tasks:
        await asyncio.wait(journal._tasks)


# -- damage


def test_a_torn_tail_is_cut_off() -> None:
    files = with_journal(append_all("a", "b"))
    files.remove(FOLDER + "/clean-stop-end-offset")
    files.open(SEGMENT).truncate(files.size(SEGMENT) - 3)
    assert words_found(files) == ["a"]


def test_a_fault_in_what_a_clean_stop_left_is_no_torn_tail() -> None:
    files = with_journal(append_all("a", "b", "c"))
    files.flip(SEGMENT, 75)
    with pytest.raises(JournalDamaged, match=r"the batch at offset \d is damaged"):
        open_journal(files)


def test_a_log_that_has_lost_its_end_since_a_clean_stop_is_refused() -> None:
    files = with_journal(append_all("a", "b", "c"))
    files.open(SEGMENT).truncate(files.size(SEGMENT) - 3)
    with pytest.raises(JournalDamaged):
        open_journal(files)


def test_a_record_that_no_machine_knows_is_named_with_its_place() -> None:
    files = with_journal(append_all("a"))
    log = Log.open(FOLDER, files=files, config=SMALL, now_ms=0, clean=False)
    builder = BatchBuilder()
    builder.append(0, None, b"bad")
    log.append(memoryview(builder.build()), leader_epoch=0, now_ms=0)
    log.close()
    with pytest.raises(JournalDamaged, match="the batch at offset 1 holds a record that cannot be applied"):
        open_journal(files)


def test_a_journal_of_many_segments_is_replayed_whole() -> None:
    files = with_journal(fill(100))
    assert words_found(files) == [f"word {number}" for number in range(100)]


def test_a_batch_larger_than_one_read_is_replayed() -> None:
    words = ["x" * 200_000 for _ in range(20)]

    async def test(journal: Journal[str]) -> None:
        await journal.append(words)

    files = with_journal(test, config=LogConfig(retention_ms=-1))
    machine = Sequence()
    open_journal(files, machine)
    assert machine.words == words
