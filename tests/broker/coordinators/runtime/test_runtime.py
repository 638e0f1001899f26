"""The shards of an internal topic: they come with it, are loaded from its logs, and go with it."""

from __future__ import annotations

import pytest
from ottla.broker.coordinators.runtime.placement import partition_for
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.records import BatchBuilder
from support.power_cut import PowerCutFiles
from support.shards import TOPIC, Entry, House, in_a_house

SEGMENT = f"/data/{TOPIC}-0/00000000000000000000.log"


def refusal_at(house: House, index: int = 0) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        house.runtime.shard_at(index)
    return refused.value.code


def append_raw(house: House, key: bytes | None, value: bytes | None) -> None:
    builder = BatchBuilder()
    builder.append(0, key, value)
    house.logs.log().append(builder.build(), leader_epoch=0, now_ms=0)


def test_without_its_topic_nothing_is_coordinated() -> None:
    async def test(house: House) -> None:
        assert refusal_at(house) is ErrorCode.NOT_COORDINATOR
        with pytest.raises(KafkaError) as refused:
            house.runtime.shard_for("a key")
        assert refused.value.code is ErrorCode.NOT_COORDINATOR

    in_a_house(test, is_there=False)


def test_a_new_topic_is_there_after_a_moment_in_which_clients_are_told_to_wait() -> None:
    async def test(house: House) -> None:
        house.create_topic()
        assert refusal_at(house) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        await house.runtime.loaded()
        assert house.loaded == [0, 1, 2]
        assert [each.index for each in house.runtime.shards] == [0, 1, 2]

    in_a_house(test, count=3, is_there=False)


def test_a_key_is_coordinated_by_the_partition_of_its_hash() -> None:
    async def test(house: House) -> None:
        for key in ("a", "b", "readers"):
            assert house.runtime.shard_for(key).index == partition_for(key, 3)

    in_a_house(test, count=3)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_partition_that_the_topic_does_not_have_is_coordinated_by_nobody(index: int) -> None:
    async def test(house: House) -> None:
        assert refusal_at(house, index) is ErrorCode.NOT_COORDINATOR

    in_a_house(test)


def test_a_topic_that_is_deleted_takes_its_shards_along_and_may_come_back() -> None:
    async def test(house: House) -> None:
        shard = house.shard
        house.delete_topic()
        assert house.unloaded == [0]
        assert refusal_at(house) is ErrorCode.NOT_COORDINATOR
        with pytest.raises(KafkaError) as refused:
            shard.write([Entry("a", "1")])
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        house.create_topic()
        await house.runtime.loaded()
        assert house.loaded == [0, 0]

    in_a_house(test)


def test_a_topic_that_is_deleted_while_it_loads_is_not_loaded() -> None:
    async def before(house: House) -> None:
        house.shard.write([Entry("a", "1")])

    async def test(house: House) -> None:
        house.create_topic()
        house.delete_topic()
        await house.runtime.loaded()
        assert house.loaded == []

    in_a_house(test, in_a_house(before), is_there=False)


def test_a_partition_whose_log_comes_late_is_loaded_when_it_is_asked_for() -> None:
    async def test(house: House) -> None:
        partition, house.logs.partitions[0] = house.logs.partitions[0], None
        house.create_topic()
        await house.runtime.loaded()
        assert house.loaded == []
        assert house.logs.asked_why == [0]  # so that it is tried again
        house.logs.partitions[0] = partition
        assert refusal_at(house) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        await house.runtime.loaded()
        assert house.loaded == [0]

    in_a_house(test, is_there=False)


def test_after_a_stop_nothing_is_taken() -> None:
    async def test(house: House) -> None:
        shard = house.shard
        await house.runtime.stop()
        with pytest.raises(KafkaError) as refused:
            shard.write([Entry("a", "1")])
        assert refused.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert house.unloaded == [0]

    in_a_house(test)


# --- what a load finds


def test_records_of_a_later_release_are_passed_over_and_stay() -> None:
    async def before(house: House) -> None:
        append_raw(house, b"later", b"?")
        append_raw(house, b"a", b"1")

    async def after(house: House) -> None:
        assert house.shard.machine.words == {"a": "1"}
        assert house.logs.log().log_end_offset == 2

    in_a_house(after, in_a_house(before))


def test_a_compacted_log_has_gaps() -> None:
    async def before(house: House) -> None:
        builder = BatchBuilder()
        builder.append(0, b"a", b"1", offset=3)
        builder.append(0, b"b", b"2", offset=8)
        house.logs.log().append(builder.build(), leader_epoch=0, now_ms=0)

    async def after(house: House) -> None:
        assert house.shard.machine.offsets == [3, 8]
        assert house.shard.write([Entry("c", "3")]) == 10

    in_a_house(after, in_a_house(before))


def test_a_log_larger_than_one_read_is_loaded_in_order() -> None:
    async def before(house: House) -> None:
        for count in range(40):
            house.shard.write([Entry("a", f"{count}" + "x" * 100_000), Entry(f"{count}", "here")])

    async def after(house: House) -> None:
        assert house.shard.machine.words["a"].startswith("39x")
        assert len(house.shard.machine.words) == 41

    in_a_house(after, in_a_house(before))


@pytest.mark.parametrize(("key", "value"), [(b"bad", b"1"), (None, b"1"), (b"a", b"poison")])
def test_a_log_that_leads_to_no_state_is_not_served_and_the_others_are(
    caplog: pytest.LogCaptureFixture, key: bytes | None, value: bytes
) -> None:
    async def before(house: House) -> None:
        append_raw(house, key, value)

    async def after(house: House) -> None:
        assert refusal_at(house) is ErrorCode.NOT_COORDINATOR
        assert house.loaded == [1]
        assert "could not be loaded and is not served: the" in caplog.text

    in_a_house(after, in_a_house(before, count=2), count=2)


def test_a_batch_that_went_bad_on_the_disk_is_found(caplog: pytest.LogCaptureFixture) -> None:
    files = PowerCutFiles()

    async def before(house: House) -> None:
        await house.shard.durable(house.shard.write([Entry("a", "1" * 100)]))

    async def after(house: House) -> None:
        files.flip(SEGMENT, 100)
        house.create_topic()
        await house.runtime.loaded()
        assert refusal_at(house) is ErrorCode.NOT_COORDINATOR
        assert "the batch at offset 0 is damaged" in caplog.text

    in_a_house(before, files)
    in_a_house(after, files, is_there=False)
