"""The bytes of the catalog's records: they are read back for years, so they are pinned here."""

from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.catalog_records import (
    CatalogRecord,
    ClientQuotasChanged,
    ClusterFormed,
    ConfigResource,
    ConfigsChanged,
    FeatureLevelSet,
    NodeStarted,
    PartitionsAdded,
    PartitionState,
    ProducerIdsAllocated,
    TopicCreated,
    TopicDeleted,
    TopicRemoved,
    UnknownRecord,
    decode_record,
    encode_record,
)
from support.catalog_strategies import records

ID = UUID("b890c06d-5b3b-47fd-b980-fa6a5175f7a0")
STATE = PartitionState(1, 5, (1, 2), (1,))

GOLDEN: list[tuple[CatalogRecord, str]] = [
    (ClusterFormed("abc"), "930100a3616263"),
    (NodeStarted(7), "93020007"),
    (
        TopicCreated(ID, "t", (STATE,), {"k": "v"}),
        "960a00c410b890c06d5b3b47fdb980fa6a5175f7a0a17491940105920102910181a16ba176",
    ),
    (PartitionsAdded(ID, (STATE,)), "940b00c410b890c06d5b3b47fdb980fa6a5175f7a0919401059201029101"),
    (TopicDeleted(ID), "930c00c410b890c06d5b3b47fdb980fa6a5175f7a0"),
    (TopicRemoved(ID), "930d00c410b890c06d5b3b47fdb980fa6a5175f7a0"),
    (ConfigsChanged(ConfigResource.BROKER, "1", {"a": "b", "c": None}), "95140004a13182a161a162a163c0"),
    (ProducerIdsAllocated(1, 3000), "941e0001cd0bb8"),
    (FeatureLevelSet("f", 2), "942800a16602"),
    (
        ClientQuotasChanged({"client-id": None, "user": "u"}, {"k": 2.5, "l": None}),
        "94320082a9636c69656e742d6964c0a475736572a17582a16bcb4004000000000000a16cc0",
    ),
]


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_a_record_has_the_bytes_it_had_in_the_first_release(record: CatalogRecord, golden: str) -> None:
    assert encode_record(record).hex() == golden
    assert decode_record(bytes.fromhex(golden)) == record


@given(records())
def test_every_record_reads_back_equal(record: CatalogRecord) -> None:
    assert decode_record(encode_record(record)) == record


@given(records())
def test_a_record_of_a_later_version_loses_only_the_fields_we_do_not_know(record: CatalogRecord) -> None:
    array = msgpack.unpackb(encode_record(record))
    later = msgpack.packb([array[0], 9, *array[2:], "a new field", {"more": 1}])
    assert decode_record(later) == record


def test_a_topic_written_before_it_had_configs_has_none() -> None:
    shorter = msgpack.unpackb(encode_record(TopicCreated(ID, "t", (STATE,))))[:-1]
    assert decode_record(msgpack.packb(shorter)) == TopicCreated(ID, "t", (STATE,), {})


def test_a_record_of_a_kind_we_do_not_know_is_carried_unchanged() -> None:
    data = msgpack.packb([99, 3, "something", b"\x00\x01", [1, 2]])
    record = decode_record(data)
    assert isinstance(record, UnknownRecord)
    assert encode_record(record) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        msgpack.packb({"a": 1}),
        msgpack.packb([]),
        msgpack.packb([10]),
        msgpack.packb(["x", 0]),
        msgpack.packb([12, 0, b"short"]),
        msgpack.packb([12, 0, 17]),
        msgpack.packb([11, 0, ID.bytes, [[1]]]),
        msgpack.packb([2, 0]),
    ],
    ids=lambda data: data.hex(),
)
def test_bytes_that_are_no_record_are_named_as_such(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"record|msgpack"):
        decode_record(data)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        decode_record(data)
    except ValueError:
        return
