"""A shard on a disk in memory: what it promises to a coordinator that writes, and to those who wait."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from ottla.broker.coordinators.runtime.machine import TransactionalProducer
from ottla.protocol.compression import Codec
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.record_reader import EndTxnMarker
from ottla.protocol.records import ControlType, iter_headers
from ottla.storage.log import TransactionEnd
from support.power_cut import PowerCutFiles
from support.shards import Entry, House, in_a_house

PRODUCER = TransactionalProducer(7, 3)


def words_found(files: PowerCutFiles) -> dict[str, str]:
    found: dict[str, str] = {}

    async def look(house: House) -> None:
        found.update(house.shard.machine.words)

    in_a_house(look, files)
    return found


def test_a_decision_sees_what_the_one_before_it_has_done_without_waiting_for_the_disk() -> None:
    async def test(house: House) -> None:
        house.shard.write([Entry("a", "1")])
        assert house.shard.machine.words == {"a": "1"}
        house.shard.write([Entry("a", "2"), Entry("b", "3")])
        assert house.shard.machine.words == {"a": "2", "b": "3"}
        assert house.shard.machine.offsets == [0, 1, 2]

    in_a_house(test)


def test_records_of_one_decision_are_one_batch() -> None:
    async def test(house: House) -> None:
        house.shard.write([Entry("a", "1"), Entry("b", "2")])
        house.shard.write([Entry("c", "3")])
        found = house.logs.log().read(0, max_bytes=10_000)
        assert found is not None
        assert [header.record_count for _, header in iter_headers(found.read())] == [2, 1]

    in_a_house(test)


def test_to_write_nothing_writes_nothing() -> None:
    async def test(house: House) -> None:
        assert house.shard.write([]) == 0
        assert house.logs.log().log_end_offset == 0

    in_a_house(test)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_durable_survives_a_power_cut(seed: int) -> None:
    async def test(house: House) -> None:
        await house.shard.durable(house.shard.write([Entry("a", "1")]))
        house.shard.write([Entry("b", "2")])

    files = in_a_house(test, ends_in_order=False)

    assert words_found(files.cut(Random(seed))).items() >= {("a", "1")}


def test_a_restart_finds_words_tombstones_and_what_a_stop_found_unsynced() -> None:
    async def test(house: House) -> None:
        house.shard.write([Entry("a", "1"), Entry("b", "2")])
        house.shard.write([Entry("a", None)])

    assert words_found(in_a_house(test)) == {"b": "2"}


@pytest.mark.parametrize("codec", list(Codec))
def test_records_may_be_compressed(codec: Codec) -> None:
    async def test(house: House) -> None:
        house.shard.write([Entry("a", "1" * 1000)])

    assert words_found(in_a_house(test, codec=codec)) == {"a": "1" * 1000}


def test_appends_that_wait_together_share_a_sync() -> None:
    async def test(house: House) -> None:
        told: list[KafkaError | None] = []
        for count in range(10):
            house.shard.when_durable(house.shard.write([Entry("a", str(count))]), told.append)
        await house.shard.durable()
        assert told == [None] * 10

    in_a_house(test)


def test_who_asks_about_what_is_on_the_disk_is_told_at_once() -> None:
    async def test(house: House) -> None:
        end = house.shard.write([Entry("a", "1")])
        await house.shard.durable()
        told: list[KafkaError | None] = []
        house.shard.when_durable(end, told.append)
        assert told == [None]

    in_a_house(test)


def test_a_full_disk_refuses_and_changes_nothing_and_later_there_is_room_again() -> None:
    files = PowerCutFiles()

    async def test(house: House) -> None:
        await house.shard.durable(house.shard.write([Entry("a", "1")]))
        files.fill_disk(30)
        with pytest.raises(KafkaError) as refused:
            house.shard.write([Entry("a", "2")])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert house.shard.machine.words == {"a": "1"}
        files.free_disk()
        await house.shard.durable(house.shard.write([Entry("a", "3")]))

    assert words_found(in_a_house(test, files)) == {"a": "3"}


def test_after_a_failed_sync_all_who_wait_are_told_and_nothing_more_is_taken() -> None:
    files = PowerCutFiles()

    async def test(house: House) -> None:
        files.fail_next_sync(Random(1))
        end = house.shard.write([Entry("a", "1")])
        told: list[KafkaError | None] = []
        house.shard.when_durable(end, told.append)
        with pytest.raises(KafkaError) as failed:
            await house.shard.durable(end)
        assert failed.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert [each is not None and each.code for each in told] == [ErrorCode.KAFKA_STORAGE_ERROR]
        with pytest.raises(KafkaError) as refused:
            house.shard.write([Entry("a", "2")])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        with pytest.raises(KafkaError):
            await house.shard.durable()

    in_a_house(test, files, ends_in_order=False)


def test_a_shard_that_cannot_apply_a_record_takes_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def test(house: House) -> None:
        with pytest.raises(AssertionError):
            house.shard.write([Entry("a", "poison")])
        with pytest.raises(KafkaError) as refused:
            house.shard.write([Entry("a", "1")])
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        assert "could not be applied" in caplog.text

    in_a_house(test)


@pytest.mark.parametrize(("committed", "words"), [(True, {"a": "in"}), (False, {"a": "before"})])
def test_what_a_producer_wrote_counts_when_its_transaction_is_committed(committed: bool, words: dict[str, str]) -> None:
    async def test(house: House) -> None:
        house.shard.write([Entry("a", "before")])
        house.shard.write([Entry("a", "in")], producer=PRODUCER)
        assert house.shard.machine.words == {"a": "before"}
        marker = EndTxnMarker(ControlType.COMMIT if committed else ControlType.ABORT, 0)
        house.shard.end_transaction(TransactionEnd(7, 3, marker, 1, 1_000))
        assert house.shard.machine.words == words

    assert words_found(in_a_house(test)) == words


def test_a_restart_finds_a_transaction_that_is_still_open() -> None:
    async def before(house: House) -> None:
        house.shard.write([Entry("a", "in")], producer=PRODUCER)

    async def after(house: House) -> None:
        assert house.shard.machine.pending == {7: [Entry("a", "in")]}

    in_a_house(after, in_a_house(before))


def test_a_reader_that_waits_is_woken_by_a_write() -> None:
    async def test(house: House) -> None:
        partition = house.logs.find("__machine_state", 0)
        assert partition is not None
        woken: list[int] = []

        class Wait:
            def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
                woken.append(size_bytes)

        partition.waits.add(Wait())  # type: ignore[arg-type]
        house.shard.write([Entry("a", "1")])
        assert len(woken) == 1
        partition.waits.clear()

    in_a_house(test)


def test_a_deadline_is_the_caller_s_and_what_was_written_goes_on() -> None:
    async def test(house: House) -> None:
        waiting = asyncio.ensure_future(house.shard.durable(house.shard.write([Entry("a", "1")])))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert words_found(in_a_house(test)) == {"a": "1"}
